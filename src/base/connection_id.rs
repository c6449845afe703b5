//! Numbers of connections, as access logs show them.

use std::sync::atomic::{AtomicU64, Ordering};

/// The next number: from zero, in the order in which the connections of the process are made, as Envoy's.
///
/// The only thing that the processes' proxies share, and only so that no two connections have one number.
pub fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
