//! Signals of the operating system as events.
//!
//! Envoy ends at once on SIGTERM; we drain first, so that whoever stops the process need not call
//! `/drain_listeners` and wait. SIGPIPE is ignored from the start of every Rust program.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Finish what is under way, then end: the first SIGTERM or SIGINT.
    Drain,
    /// End now: each one after the first.
    Exit,
    /// Open the files of the application log and of access logs anew: SIGUSR1.
    ReopenLogs,
}

/// The signals of this process from the moment it is made; before, they have their default effect.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    user1: Signal,
    hangup: Signal,
    draining: bool,
}

impl Signals {
    /// Starts to listen; needs a tokio runtime with its I/O driver.
    ///
    /// # Errors
    ///
    /// When the handlers cannot be installed.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            user1: signal(SignalKind::user_defined1())?,
            hangup: signal(SignalKind::hangup())?,
            draining: false,
        })
    }

    /// Waits for the next signal that asks for something. Cancel safe: a dropped wait loses no signal.
    ///
    /// SIGHUP asks for nothing, as in Envoy, so that a closed terminal ends no proxy.
    pub async fn next(&mut self) -> Event {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {
                    warn!(target: "main", "caught SIGTERM");
                    return self.stop();
                }
                _ = self.interrupt.recv() => {
                    warn!(target: "main", "caught SIGINT");
                    return self.stop();
                }
                _ = self.user1.recv() => {
                    info!(target: "main", "caught SIGUSR1. Reopening access logs.");
                    return Event::ReopenLogs;
                }
                _ = self.hangup.recv() => {
                    warn!(target: "main", "caught and eating SIGHUP; there is no hot restart");
                }
            }
        }
    }

    fn stop(&mut self) -> Event {
        if std::mem::replace(&mut self.draining, true) { Event::Exit } else { Event::Drain }
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal, raise};

    use super::*;

    // One test, since signals belong to the process.
    #[tokio::test]
    async fn a_second_signal_to_stop_is_meant_seriously() {
        let mut signals = Signals::new().unwrap();
        raise(Signal::SIGUSR1).unwrap();
        assert_eq!(signals.next().await, Event::ReopenLogs);
        raise(Signal::SIGHUP).unwrap();
        raise(Signal::SIGTERM).unwrap();
        assert_eq!(signals.next().await, Event::Drain);
        raise(Signal::SIGUSR1).unwrap();
        assert_eq!(signals.next().await, Event::ReopenLogs);
        raise(Signal::SIGINT).unwrap();
        assert_eq!(signals.next().await, Event::Exit);
    }
}
