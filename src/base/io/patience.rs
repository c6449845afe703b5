//! How long more may wait for a peer than fits into the buffer of its connection:
//! `per_connection_buffer_high_watermark_timeout` of listeners and clusters.

use std::error::Error;
use std::fmt;
use std::io;
use std::task::Context;
use std::time::Duration;

use tokio::time::Instant;

use super::Io;
use crate::base::timer::Timer;

/// Why a connection is closed whose peer was waited for too long, as access logs tell it.
pub const OVERFULL: &str = "buffer_high_watermark_timeout_reached";

/// What is waited for a peer that takes nothing, and how long.
#[derive(Debug)]
pub(super) struct Patience {
    /// As many bytes fill the buffer.
    limit: usize,
    timeout: Duration,
    /// When the buffer was filled, unless half of it has gone since.
    since: Option<Instant>,
    timer: Timer,
    /// It lasted too long: the connection is of no use any more.
    over: bool,
}

impl Patience {
    /// Notes that `waiting` bytes wait for the peer now.
    fn poll(&mut self, waiting: usize, cx: &mut Context<'_>) -> io::Result<()> {
        if waiting >= self.limit {
            self.since.get_or_insert_with(Instant::now);
        } else if waiting <= self.limit / 2 {
            self.since = None;
        }
        let end = self.since.map(|since| since + self.timeout);
        self.over |= self.timer.poll(end, cx).is_ready();
        if self.over { Err(io::Error::new(io::ErrorKind::TimedOut, Overfull)) } else { Ok(()) }
    }
}

/// The error of a connection whose peer was waited for too long.
#[derive(Debug)]
struct Overfull;

impl fmt::Display for Overfull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(OVERFULL)
    }
}

impl Error for Overfull {}

impl Io {
    /// Bounds how long so many bytes or more may wait for the peer, where both are given and not 0: until half of them
    /// have gone.
    pub fn bound_waiting(&self, limit_bytes: Option<u32>, timeout: Option<Duration>) {
        if let (Some(limit @ 1..), Some(timeout)) = (limit_bytes, timeout) {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let patience = Patience { limit, timeout, since: None, timer: Timer::default(), over: false };
            self.patience.replace(Some(Box::new(patience)));
        }
    }

    /// Whether that is bounded.
    pub fn bounds_waiting(&self) -> bool {
        self.patience.borrow().is_some()
    }

    /// Notes that `waiting` bytes wait for the peer, which is to be told whenever the socket takes some of them, or none.
    ///
    /// # Errors
    /// Too much has waited for too long; nothing can be read or written any more.
    pub fn poll_waiting(&self, waiting: usize, cx: &mut Context<'_>) -> io::Result<()> {
        self.patience.borrow_mut().as_mut().map_or(Ok(()), |patience| patience.poll(waiting, cx))
    }

    /// Whether the connection is to end because too much has waited for its peer for too long.
    pub fn is_overfull(&self) -> bool {
        self.patience.borrow().as_ref().is_some_and(|patience| patience.over)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_full_buffer_is_borne_until_half_of_it_has_gone_or_the_time_is_over() {
        let (socket, _peer) = tokio::net::UnixStream::pair().expect("a pair of sockets");
        let io = Io::from(socket);
        let cx = &mut Context::from_waker(Waker::noop());
        let second = Duration::from_secs(1);
        assert!(io.poll_waiting(usize::MAX, cx).is_ok(), "nothing is bounded yet");
        io.bound_waiting(Some(100), Some(3 * second));
        for (waiting, is_borne) in [(99, true), (100, true), (51, true), (100, true), (50, true), (99, true)]
        {
            assert_eq!(io.poll_waiting(waiting, cx).is_ok(), is_borne, "{waiting}");
            tokio::time::advance(second).await;
        }
        assert!(io.poll_waiting(100, cx).is_ok(), "it begins anew");
        tokio::time::advance(2 * second).await;
        assert!(io.poll_waiting(60, cx).is_ok() && !io.is_overfull());
        tokio::time::advance(second).await;
        assert!(io.poll_waiting(60, cx).is_err() && io.is_overfull());
        assert!(io.poll_waiting(0, cx).is_err(), "what is over stays over");
    }
}
