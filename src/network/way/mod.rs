//! One way of a connection that is passed on: what one side sends, for the other.
//!
//! Bytes are read into a buffer of the worker's and written from there. Only what the other side does not take at once
//! is kept with the connection: one that idles, or whose ends keep pace, holds no buffer, and nothing is allocated for
//! what passes. While much passes between plain sockets, it goes through a pipe, and is not copied.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};

use crate::base::io::{Io, Pipe};

/// Bytes that may wait for a side that takes none, when nothing is configured.
const DEFAULT_BUFFER_LIMIT: usize = 1024 * 1024;

/// Bytes read at once on top of those that wait.
const READ_SIZE: usize = 16 * 1024;

/// Bytes read at once from which on more are expected to follow.
const MUCH: usize = 32 * 1024;

/// What one side sends, on its way to the other.
#[derive(Debug)]
pub(super) struct Way {
    /// What was read and is not written.
    waiting: BytesMut,
    /// Much came at once, and more is likely to.
    is_much: bool,
    /// What much goes through while it is there. It is empty, or nothing else waits.
    pipe: Option<Pipe>,
    limit: usize,
    /// The source sends nothing more.
    source_ended: bool,
    is_full: bool,
    /// Bytes that were read.
    pub(super) read: u64,
    /// Bytes that were written.
    pub(super) written: u64,
    /// How often reading stopped because the sink took nothing.
    pauses: u64,
    /// How often it went on after that.
    resumptions: u64,
}

/// Which side broke, and why.
#[derive(Debug)]
pub(super) enum Broken {
    /// The one that is read from.
    Source(io::Error),
    /// The one that is written to.
    Sink(io::Error),
}

impl Way {
    /// A way to a side of which `per_connection_buffer_limit_bytes` says this; 0 means no limit.
    pub(super) fn new(buffer_limit_bytes: Option<u32>) -> Self {
        let limit = match buffer_limit_bytes {
            None => DEFAULT_BUFFER_LIMIT,
            Some(0) => usize::MAX,
            Some(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
        };
        Way {
            waiting: BytesMut::new(),
            is_much: false,
            pipe: None,
            limit,
            source_ended: false,
            is_full: false,
            read: 0,
            written: 0,
            pauses: 0,
            resumptions: 0,
        }
    }

    /// How often reading stopped because the sink took nothing, and went on, since this was last asked.
    pub(super) fn take_pauses(&mut self) -> [u64; 2] {
        [std::mem::take(&mut self.pauses), std::mem::take(&mut self.resumptions)]
    }

    /// Puts bytes on the way that were read elsewhere.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.read += bytes.len() as u64;
        self.waiting.extend_from_slice(bytes);
    }

    /// Nothing more is read; what waits is still written, and the sink told of the end.
    pub(super) fn end(&mut self) {
        self.source_ended = true;
    }

    /// Whether the source has ended, and what is left to do is with the sink alone.
    pub(super) fn has_read_all(&self) -> bool {
        self.source_ended
    }

    /// Writes what waits after the source has ended. Ready when the sink has it, and has been told of the end.
    ///
    /// # Errors
    /// What broke the sink.
    pub(super) fn poll_rest(&mut self, sink: &Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let drained = self.poll_drain(sink, cx)?;
        sink.poll_waiting(self.waiting.len(), cx)?;
        ready!(drained);
        ready!(sink.poll_flush(cx))?;
        sink.shutdown_write();
        Poll::Ready(Ok(()))
    }

    /// Moves what there is. Ready when the source has ended, and the sink has been told of it.
    ///
    /// # Errors
    /// Which side broke.
    pub(super) fn poll(
        &mut self,
        source: &Io,
        sink: &Io,
        scratch: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        loop {
            let blocked = self.poll_drain(sink, cx).map_err(Broken::Sink)?.is_pending();
            sink.poll_waiting(self.waiting.len(), cx).map_err(Broken::Sink)?;
            self.note_fullness();
            if self.source_ended && !blocked {
                return self.poll_rest(sink, cx).map_err(Broken::Sink);
            }
            if self.source_ended || self.is_full || (blocked && self.pipe.is_some()) {
                return Poll::Pending;
            }
            self.pipe = if self.is_much { self.pipe.take().or_else(Pipe::take) } else { None };
            let read = match &mut self.pipe {
                Some(pipe) => source.poll_fill(cx, pipe),
                None if blocked => {
                    self.waiting.reserve(READ_SIZE);
                    source.poll_read(cx, &mut self.waiting)
                }
                None => {
                    scratch.clear();
                    source.poll_read(cx, scratch)
                }
            };
            match read.map_err(Broken::Source)? {
                Poll::Ready(0) => self.source_ended = true,
                Poll::Ready(read) => {
                    self.read += read as u64;
                    if self.pipe.is_some() {
                        self.is_much = read >= MUCH;
                    } else if !blocked {
                        self.pass(scratch, sink, cx).map_err(Broken::Sink)?;
                        self.note_much(scratch, source, sink);
                    }
                }
                Poll::Pending => {
                    self.pipe = None; // others may use it meanwhile
                    // What TLS has taken and not sent is sent.
                    return match sink.poll_flush(cx).map_err(Broken::Sink)? {
                        Poll::Ready(()) | Poll::Pending => Poll::Pending,
                    };
                }
            }
        }
    }

    /// Whether there was as much as could be read, so that more is likely to come, and it may go through a pipe.
    fn note_much(&mut self, scratch: &BytesMut, source: &Io, sink: &Io) {
        let is_much = scratch.len() == scratch.capacity() && scratch.len() >= MUCH;
        // A pipe holds more than who wants little to wait may like.
        let may_wait = self.limit >= DEFAULT_BUFFER_LIMIT && !sink.bounds_waiting();
        self.is_much = is_much && may_wait && self.waiting.is_empty() && source.is_plain() && sink.is_plain();
    }

    /// Writes what waits. Ready when nothing does any more.
    fn poll_drain(&mut self, sink: &Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            match sink.poll_write_vectored(cx, &[IoSlice::new(&self.waiting)])? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(written) => {
                    self.waiting.advance(written);
                    self.written += written as u64;
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.waiting.capacity() > 0 {
            self.waiting = BytesMut::new();
        }
        while let Some(pipe) = &mut self.pipe
            && pipe.holds() > 0
        {
            match sink.poll_empty(cx, pipe)? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(written) => self.written += written as u64,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what was read just now; what the sink does not take waits.
    fn pass(&mut self, bytes: &[u8], sink: &Io, cx: &mut Context<'_>) -> io::Result<()> {
        match sink.poll_write_vectored(cx, &[IoSlice::new(bytes)])? {
            Poll::Ready(0) => Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(written) => {
                self.written += written as u64;
                self.waiting.extend_from_slice(&bytes[written..]);
                Ok(())
            }
            Poll::Pending => {
                self.waiting.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Reading stops above the limit, and goes on below half of it, as in Envoy.
    fn note_fullness(&mut self) {
        let waiting = self.waiting.len();
        if !self.is_full && waiting > self.limit {
            self.is_full = true;
            self.pauses += 1;
        } else if self.is_full && waiting <= self.limit / 2 {
            self.is_full = false;
            self.resumptions += 1;
        }
    }
}

#[cfg(test)]
mod tests;
