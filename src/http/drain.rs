//! Ending connections without losing requests.

use std::cell::Cell;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Tells the connections of a listener, on one worker, to end: first when they can, then at once.
#[derive(Debug, Default)]
pub struct Drain {
    stage: Cell<Stage>,
    changed: Notify,
}

/// How far a drain has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Connections go on.
    #[default]
    Serving,
    /// Connections end after what they are at.
    Draining,
    /// Connections end now.
    Closing,
}

impl Drain {
    /// Goes on to a later stage.
    pub fn advance(&self, stage: Stage) {
        if stage > self.stage.get() {
            self.stage.set(stage);
            self.changed.notify_waiters();
        }
    }

    /// How far the drain has come.
    pub fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// Waits until connections are to end now.
    pub async fn closing(&self) {
        loop {
            let changed = self.changed();
            if self.stage() == Stage::Closing {
                return;
            }
            changed.await;
        }
    }

    /// Ready at the next change of the stage after this is first polled or enabled.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }
}
