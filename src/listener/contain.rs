//! What happens to a connection stays with it: neither a panic nor a peer that will not go outlasts it.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use crate::http::drain::Drain;
use crate::observability::stats::server::ServerStats;

/// Drives a connection to its end: its own, the end of the time that its listener had for draining, or a panic.
///
/// Whatever the connection holds is dropped here, and so given back. A panic has been logged with its place by the
/// process's hook; here it is counted.
///
/// `serving` is boxed by who calls this: the connection would have the room for it twice, being handed on.
pub(super) async fn contain(serving: impl Future<Output = ()> + Unpin, drain: &Drain, process: &ServerStats) {
    // Nothing that it leaves half done is seen by others: what connections share is changed in single steps.
    let mut serving = AssertUnwindSafe(serving).catch_unwind();
    let panicked = tokio::select! {
        // First, so that it can say goodbye when its time is over.
        biased;
        served = &mut serving => served.is_err(),
        () = drain.closing() => false,
    };
    if panicked {
        process.connection_panics().inc();
        tracing::error!(target: "connection", "a connection was closed because of a panic");
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::rc::Rc;

    use tokio::task::{LocalSet, yield_now};

    use super::*;
    use crate::http::drain::Pace;
    use crate::observability::stats::{HttpStats, Registry};

    /// Raises a gauge while it lives, as connections and requests do.
    struct Counted(HttpStats);

    impl Counted {
        fn new(stats: &HttpStats) -> Self {
            stats.downstream_cx_active().inc();
            Counted(stats.clone())
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.downstream_cx_active().dec();
        }
    }

    #[tokio::test]
    async fn a_panic_ends_its_connection_alone_and_gives_back_what_it_held() {
        let registry = Registry::new(1);
        let process = ServerStats::new(&registry, "server.");
        let stats = HttpStats::new(&registry, "http.web.");
        let drain = Drain::default();
        let broken = async {
            let _counted = Counted::new(&stats);
            yield_now().await;
            panic!("as the test wants it");
        };
        let sound = async {
            let _counted = Counted::new(&stats);
            for _ in 0..3 {
                yield_now().await;
            }
            stats.downstream_cx_total().inc();
        };
        tokio::join!(contain(Box::pin(broken), &drain, &process), contain(Box::pin(sound), &drain, &process));
        assert_eq!(process.connection_panics().value(), 1);
        assert_eq!(stats.downstream_cx_total().value(), 1);
        assert_eq!(stats.downstream_cx_active().value(), 0);
    }

    #[tokio::test]
    async fn a_connection_that_will_not_end_is_dropped_when_its_time_is_over() {
        let registry = Registry::new(1);
        let process = ServerStats::new(&registry, "server.");
        let stats = HttpStats::new(&registry, "http.web.");
        let drain = Rc::new(Drain::default());
        let counted = Counted::new(&stats);
        let serving = {
            let drain = Rc::clone(&drain);
            async move {
                let endless = async {
                    let _counted = counted;
                    pending().await
                };
                contain(Box::pin(endless), &drain, &process).await;
            }
        };
        let local = LocalSet::new();
        let task = local.spawn_local(serving);
        local.run_until(yield_now()).await;
        drain.begin(Pace::Immediate);
        local.run_until(yield_now()).await;
        assert_eq!(stats.downstream_cx_active().value(), 1, "it may still finish");
        drain.close("the time is over");
        local.run_until(task).await.unwrap();
        assert_eq!(stats.downstream_cx_active().value(), 0);
    }
}
