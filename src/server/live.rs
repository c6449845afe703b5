//! How a proxy that serves ends: by signals and the admin interface.

use std::io;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tracing::{error, info};

use crate::listener::manager::Command;
use crate::observability::access_log::Sinks;

use super::log::LogHandle;
use super::options::Options;
use super::program::Running;
use super::signal::{Event, Signals};
use super::worker::Workers;

/// Serves until the end is asked for, then lets connections end: in the drain time, or at the second signal at once.
pub(super) async fn live(
    options: &Options,
    workers: Workers,
    sinks: &Sinks,
    log: &LogHandle,
    running: &Running,
    mut quit: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut signals = Signals::new()?;
    loop {
        tokio::select! {
            event = signals.next() => match event {
                Event::ReopenLogs => reopen(sinks, log),
                Event::Drain => break,
                Event::Exit => return Ok(()),
            },
            asked = quit.wait_for(|quit| *quit) => if asked.is_ok() { break },
        }
    }
    running.draining.set(true);
    info!(target: "main", "draining: connections have {:?} to end", options.drain_time);
    workers.tell(&Command::Stop { inbound_only: false, within: options.drain_time });
    workers.tell(&Command::Finish);
    let mut ended = spawn_blocking(move || workers.join());
    loop {
        tokio::select! {
            joined = &mut ended => {
                if let Err(error) = joined {
                    error!(target: "main", "{error}");
                }
                info!(target: "main", "exiting");
                return Ok(());
            }
            event = signals.next() => match event {
                Event::ReopenLogs => reopen(sinks, log),
                Event::Drain | Event::Exit => return Ok(()),
            },
        }
    }
}

/// Opens the files of logs anew, which somebody may have moved.
pub(super) fn reopen(sinks: &Sinks, log: &LogHandle) {
    sinks.reopen();
    if let Err(error) = log.sink.reopen() {
        error!(target: "main", "{error}");
    }
}
