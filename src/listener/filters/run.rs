//! A connection's way through the listener filters.

use std::io;

use crate::http::Worker;
use crate::listener::Listener;
use crate::observability::stream_info::Address;

use super::compiled::{Entry, Filters};
use super::seam::{Accepted, ListenerFilter, Verdict};

/// That filters have not let a connection pass; it has been counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// How a filter ended.
enum Ended {
    /// The connection goes on.
    Passed,
    /// The filter closes it.
    Closed,
    /// The client has gone.
    Gone,
}

impl Filters {
    /// Leads a connection through all of them.
    ///
    /// # Errors
    /// It is not served.
    pub(in crate::listener) async fn pass(
        &self,
        accepted: &mut Accepted<'_>,
        worker: &Worker,
        listener: &Listener,
    ) -> Result<(), Refused> {
        let (stats, current) = (&listener.stats, self.current());
        let Some(filters) = current.all() else {
            listener.extension_stats.extension_config_missing().inc();
            return Err(Refused);
        };
        let passing = pass_each(filters, accepted, worker);
        let passed = match self.timeout {
            None => passing.await,
            Some(limit) => match tokio::time::timeout(limit, passing).await {
                Ok(passed) => passed,
                Err(_) => {
                    stats.downstream_pre_cx_timeout().inc();
                    return if self.continue_on_timeout { Ok(()) } else { Err(Refused) };
                }
            },
        };
        match passed {
            Ok(Ended::Passed) => Ok(()),
            Ok(Ended::Closed) => Err(Refused),
            Ok(Ended::Gone) => {
                stats.downstream_listener_filter_remote_close().inc();
                Err(Refused)
            }
            Err(error) => {
                tracing::debug!(target: "connection", %error, "a listener filter could not read");
                stats.downstream_listener_filter_error().inc();
                Err(Refused)
            }
        }
    }
}

async fn pass_each(filters: &[Entry], accepted: &mut Accepted<'_>, worker: &Worker) -> io::Result<Ended> {
    for Entry { filter, disabled, .. } in filters {
        let local = match &accepted.info.local {
            Address::Ip(address) => Some(*address),
            Address::Pipe(_) | Address::Internal { .. } => None,
        };
        if disabled.as_ref().is_some_and(|disabled| disabled.holds(local)) {
            continue;
        }
        match filter.accepted(accepted) {
            Verdict::Close => return Ok(Ended::Closed),
            Verdict::Continue | Verdict::Take(_) => {}
            Verdict::More => match look(&**filter, accepted, worker).await? {
                Ended::Passed => {}
                ended => return Ok(ended),
            },
        }
    }
    Ok(Ended::Passed)
}

/// Shows a filter the first bytes until it has seen enough.
async fn look(
    filter: &dyn ListenerFilter,
    accepted: &mut Accepted<'_>,
    worker: &Worker,
) -> io::Result<Ended> {
    let socket = accepted.socket;
    // Bytes that the filter has seen.
    let mut seen = 0;
    loop {
        let source_ended = socket.ready_to_read().await?;
        let mut scratch = worker.scratch();
        scratch.resize(filter.max_bytes().max(1), 0);
        let there = match socket.try_peek(&mut scratch, seen) {
            Ok(0) => return Ok(Ended::Gone),
            Ok(there) => there,
            // Nothing has come, and nothing will.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && source_ended => {
                return Ok(Ended::Gone);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        seen = there;
        let taken = match filter.data(&scratch[..there], accepted) {
            Verdict::Continue => return Ok(Ended::Passed),
            Verdict::Close => return Ok(Ended::Closed),
            Verdict::More => continue,
            Verdict::Take(count) => count.min(there),
        };
        socket.try_take(&mut scratch[..taken])?;
        return Ok(Ended::Passed);
    }
}
