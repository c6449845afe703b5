//! `/memory`: what the process has of the machine's memory.

use serde_json::json;

use super::{Reply, Request};

/// `envoy.admin.v3.Memory`. The allocator does not tell what of its memory is in use, so `allocated` is what is
/// resident.
pub(super) fn memory(_: &Request<'_>) -> Reply {
    let (virtual_bytes, resident) = usage();
    Reply::json(&json!({
        "allocated": resident.to_string(),
        "heap_size": virtual_bytes.min(resident).to_string(),
        "pageheap_unmapped": "0",
        "pageheap_free": "0",
        "total_thread_cache": "0",
        "total_physical_bytes": resident.to_string(),
    }))
}

/// Virtual and resident bytes of this process; zero where the system does not say.
pub fn usage() -> (u64, u64) {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let mut numbers = pages.split(' ').map(|number| number.parse::<u64>().unwrap_or(0) * PAGE_BYTES);
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The kernel counts in pages of 4 KiB on all machines that this runs on.
const PAGE_BYTES: u64 = 4096;
