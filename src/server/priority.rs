//! Requests before configuration: the control thread gives way to the workers.
//!
//! Where there are fewer free cores than threads, a worker that has a request waits until the system takes the core from
//! the control thread. Lowering the latter's priority makes that soon; what it does itself can wait that long.

use rustix::process::{getpriority_process, setpriority_process};
use tokio::sync::watch;
use tracing::debug;

use crate::control::startup::Phase;

/// How much nicer than the workers. The control thread has a quarter of a core at least beside a worker that is never
/// idle: health checks and updates go on then, only slower.
const STEP: i32 = 5;

/// Lowers the priority of this thread, and of those that it starts, as soon as connections are accepted: a start is not
/// slower on a busy machine.
///
/// Threads have priorities of their own on Linux only.
pub(super) async fn give_way(mut phase: watch::Receiver<Phase>) {
    if !cfg!(target_os = "linux") || phase.wait_for(|phase| *phase == Phase::Serving).await.is_err() {
        return;
    }
    let lowered = getpriority_process(None).and_then(|nice| setpriority_process(None, nice + STEP));
    if let Err(error) = lowered {
        debug!(target: "main", "the control thread keeps the priority of the workers: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_thread_is_nicer_once_connections_are_accepted() {
        let before = getpriority_process(None).expect("a priority");
        let (phase, heard) = watch::channel(Phase::Lds);
        let lowering = tokio::spawn(give_way(heard));
        tokio::task::yield_now().await;
        assert_eq!(getpriority_process(None), Ok(before), "configuration is still awaited");
        phase.send(Phase::Serving).expect("it is heard");
        lowering.await.expect("no panic");
        assert_eq!(getpriority_process(None), Ok((before + STEP).min(19)));
    }

    #[tokio::test]
    async fn the_thread_keeps_its_priority_when_the_start_does_not_end() {
        let before = getpriority_process(None).expect("a priority");
        let (_, heard) = watch::channel(Phase::Lds);
        give_way(heard).await;
        assert_eq!(getpriority_process(None), Ok(before));
    }
}
