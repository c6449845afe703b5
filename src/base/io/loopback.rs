//! A connection within the process: what one end writes waits in memory until the other end reads it, up to a bound.
//!
//! Both ends are used by one thread. The locks are there because streams may be moved to another; nobody waits for them.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, BytesMut};
use tokio::io::ReadBuf;

/// One end.
#[derive(Debug)]
pub struct Loopback {
    incoming: Arc<Way>,
    outgoing: Arc<Way>,
}

/// What goes in one direction.
#[derive(Debug)]
struct Way {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: BytesMut,
    /// Nothing more is written.
    ended: bool,
    /// The end was a reset: what was not read is lost.
    broken: bool,
    /// Nobody reads any more.
    unheard: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Loopback {
    /// Both ends, between which so many bytes may wait each way.
    pub fn pair(limit: usize) -> (Self, Self) {
        let way = || Arc::new(Way { limit, state: Mutex::default() });
        let (there, back) = (way(), way());
        let one = Loopback { incoming: Arc::clone(&back), outgoing: Arc::clone(&there) };
        (one, Loopback { incoming: there, outgoing: back })
    }

    /// Ready when there are bytes, the end, or an error.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.incoming.state();
        if !state.bytes.is_empty() || state.ended {
            return Poll::Ready(());
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Waits for bytes or the end; true when nothing more comes behind what is there.
    pub(super) async fn ready_to_read(&self) -> bool {
        poll_fn(|cx| self.poll_readable(cx)).await;
        self.incoming.state().ended
    }

    /// Looks at the bytes that are there, which have to be more than `known`; 0 where there are none, and will be none.
    pub(super) fn try_peek(&self, buffer: &mut [u8], known: usize) -> io::Result<usize> {
        let state = self.incoming.state();
        let there = state.bytes.len().min(buffer.len());
        if there == 0 && state.ended {
            return Ok(0);
        }
        if there <= known {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        buffer[..there].copy_from_slice(&state.bytes[..there]);
        Ok(there)
    }

    /// Takes bytes that were looked at.
    pub(super) fn try_take(&self, buffer: &mut [u8]) -> io::Result<()> {
        let mut state = self.incoming.state();
        if state.bytes.len() < buffer.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        state.bytes.copy_to_slice(buffer);
        state.wake_writer();
        Ok(())
    }

    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.incoming.state();
        if state.broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if state.bytes.is_empty() && !state.ended {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = state.bytes.len().min(buffer.remaining());
        buffer.put_slice(&state.bytes[..count]);
        state.bytes.advance(count);
        state.wake_writer();
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut state = self.outgoing.state();
        if state.unheard || state.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = self.outgoing.limit.saturating_sub(state.bytes.len());
        if room == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut written = 0;
        for slice in slices {
            let count = slice.len().min(room - written);
            state.bytes.extend_from_slice(&slice[..count]);
            written += count;
        }
        state.wake_reader();
        Poll::Ready(Ok(written))
    }

    /// Tells the other end that nothing more comes.
    pub(super) fn shutdown_write(&self) {
        let mut state = self.outgoing.state();
        state.ended = true;
        state.wake_reader();
    }

    /// Tells the other end that the connection is broken.
    pub(super) fn break_off(&self) {
        self.outgoing.state().broken = true;
        self.shutdown_write();
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.shutdown_write();
        let mut state = self.incoming.state();
        state.unheard = true;
        state.bytes.clear();
        state.wake_writer();
    }
}

impl Way {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::Socket;
    use super::*;

    fn pair(limit: usize) -> (Socket, Socket) {
        let (one, other) = Loopback::pair(limit);
        (Socket::Loopback(one), Socket::Loopback(other))
    }

    #[tokio::test]
    async fn who_writes_waits_for_who_reads() {
        let (mut one, mut other) = pair(4);
        let sent = async {
            one.write_all(b"0123456789").await.expect("it is read");
            one.shutdown().await.expect("it is open");
        };
        let mut received = Vec::new();
        let ((), read) = tokio::join!(sent, other.read_to_end(&mut received));
        assert_eq!((read.expect("an end"), &*received), (10, &b"0123456789"[..]));
        other.write_all(b"back").await.expect("half of it is open");
        drop(other);
        let mut back = String::new();
        one.read_to_string(&mut back).await.expect("an end");
        assert_eq!(back, "back");
        assert_eq!(one.write(b"x").await.expect_err("nobody reads").kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn what_is_looked_at_stays() {
        let (mut one, mut other) = pair(100);
        one.write_all(b"abc").await.expect("room");
        let mut buffer = [0; 2];
        assert_eq!(other.try_peek(&mut buffer, 0).expect("bytes"), 2);
        assert_eq!(other.try_peek(&mut buffer, 2).expect_err("no more").kind(), io::ErrorKind::WouldBlock);
        other.try_take(&mut buffer[..1]).expect("it is there");
        let mut rest = [0; 2];
        other.read_exact(&mut rest).await.expect("the rest");
        assert_eq!(&rest, b"bc");
        drop(one);
        assert!(other.ready_to_read().await.expect("an end"));
        assert_eq!(other.try_peek(&mut buffer, 0).expect("the end"), 0);
    }

    #[tokio::test]
    async fn a_reset_takes_what_was_not_read() {
        let (one, other) = Loopback::pair(100);
        let mut one = Socket::Loopback(one);
        other.outgoing.state().bytes.extend_from_slice(b"lost");
        other.break_off();
        let error = one.read_u8().await.expect_err("a reset");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
