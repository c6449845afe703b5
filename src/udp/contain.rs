//! What happens to a datagram or a session stays with it: a panic ends that alone, and the listener goes on.
//!
//! The panic itself has been logged with its place by the process's hook; here it is counted. Nothing that is left half
//! done is seen by others: what sessions share is changed in single steps.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt as _;

use crate::observability::stats::server::ServerStats;

/// Does something; `None` where it panicked.
pub(super) fn contained<T>(process: &ServerStats, act: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(act)).inspect_err(|_| note_panic(process)).ok()
}

/// Drives a task to its end; `None` where it panicked.
pub(super) async fn contain<T>(process: &ServerStats, task: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(task).catch_unwind().await.inspect_err(|_| note_panic(process)).ok()
}

fn note_panic(process: &ServerStats) {
    process.connection_panics().inc();
    tracing::error!(target: "udp", "a datagram was dropped, or its session ended, because of a panic");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observability::stats::Registry;

    #[tokio::test]
    async fn what_panics_is_counted_and_what_does_not_goes_on() {
        let process = ServerStats::new(&Registry::new(1), "server.");
        let broken = || -> u8 { panic!("as the test wants it") };
        assert_eq!((contained(&process, broken), contained(&process, || 7)), (None, Some(7)));
        assert_eq!(contain(&process, async { broken() }).await, None);
        assert_eq!(contain(&process, async { 7 }).await, Some(7));
        assert_eq!(process.connection_panics().value(), 2);
    }
}
