//! The stream below a connection: bytes that were read of it before come first, and all that passes is watched.

mod writing;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::base::io::Io;

use super::Settings;
use super::backlog::Backlog;
use super::edits::Edits;
use super::flood::{End, Flood, Guard};
use super::frames::{Frames, kind};
use super::metadata::Inlet;
use super::meter::Meter;
use super::watch::Watch;

use writing::cut;

/// Bytes of the preface that a client begins with (RFC 9113 §3.4).
const PREFACE: usize = 24;

/// The stream below a connection.
#[derive(Debug)]
pub(super) struct Transport {
    prefix: BytesMut,
    io: Io,
    received: Frames,
    sent: Frames,
    guard: Guard,
    meter: Meter,
    watch: Rc<Watch>,
    edits: Option<Box<Edits>>,
    /// Where METADATA is allowed.
    metadata: Option<Inlet>,
    /// What was taken of what is written, but not by the socket.
    backlog: Option<Box<Backlog>>,
    flooding: Flooding,
}

/// How far the end of a connection by a flood has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flooding {
    /// There is none.
    No,
    /// There is one; what came before it is still to be looked at.
    Found(Flood),
    /// What came before it was looked at.
    Due(Flood),
}

impl Transport {
    /// Reads `prefix` first, then `io`.
    pub(super) fn new(io: Io, prefix: BytesMut, end: End, settings: &Settings, meter: Meter) -> Self {
        let with_preface = Frames::after(PREFACE);
        let (received, sent, written_first) = match end {
            End::Server => (with_preface, Frames::default(), 0),
            End::Client => (Frames::default(), with_preface, PREFACE),
        };
        let guard = Guard::new(end, settings.floods);
        let custom = &settings.custom[..];
        let edits = (!custom.is_empty()).then(|| Box::new(Edits::with_settings(written_first, custom)));
        let watch = Rc::new(Watch::new(meter.clone()));
        let metadata = settings.metadata.map(Inlet::new);
        let (backlog, flooding) = (None, Flooding::No);
        Transport { prefix, io, received, sent, guard, meter, watch, edits, metadata, backlog, flooding }
    }

    /// What is seen here, for others to look at.
    pub(super) fn watch(&self) -> Rc<Watch> {
        Rc::clone(&self.watch)
    }

    /// Looks at what was read; how much of it counts. As in Envoy what came before a flood does.
    fn inspect(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        let mut found = self.take_metadata(rest);
        while let (Ok(()), Some(frame)) = (found, self.received.next(&mut rest)) {
            self.meter.frame_in(frame);
            if frame.kind == kind::GOAWAY {
                self.watch.goaway_code.set(Some(frame.second_word()));
            }
            found = self.guard.receive(frame);
            if let Some(inlet) = &mut self.metadata {
                inlet.begin(frame);
                found = found.and_then(|()| self.take_metadata(rest));
            }
        }
        self.watch.block_open.set(self.guard.block_is_open());
        let counts = match found {
            Ok(()) => bytes.len(),
            Err(flood) => {
                self.flooding = Flooding::Found(flood);
                bytes.len() - rest.len()
            }
        };
        self.watch.read.set(self.watch.read.get() + counts as u64);
        counts
    }

    /// Looks for METADATA in what comes behind the head of the last frame.
    fn take_metadata(&mut self, rest: &[u8]) -> Result<(), Flood> {
        self.metadata.as_mut().map_or(Ok(()), |inlet| inlet.take(rest, &self.meter))
    }

    /// Ends the connection by a flood, if there is one: with an error of the kind that [`super::stream_error`] tells from
    /// those of the socket.
    fn poll_flood(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.flooding {
            Flooding::No => Poll::Ready(Ok(())),
            Flooding::Found(flood) => {
                self.flooding = Flooding::Due(flood);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Flooding::Due(flood) => {
                self.meter.flood(flood);
                self.watch.flood.set(Some(flood));
                Poll::Ready(Err(super::flood_error(flood)))
            }
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_flood(cx))?;
        let before = buffer.filled().len();
        let answer = this.edits.as_mut().and_then(|edits| edits.answer(&this.received, buffer.remaining()));
        if let Some(answer) = answer {
            // It came from nobody, so it is not counted.
            buffer.put_slice(&answer);
            return Poll::Ready(Ok(()));
        }
        if this.prefix.is_empty() {
            ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        } else {
            let taken = this.prefix.len().min(buffer.remaining());
            buffer.put_slice(&this.prefix[..taken]);
            this.prefix.advance(taken);
        }
        let counts = this.inspect(&buffer.filled()[before..]);
        buffer.set_filled(before + counts);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.gather_metadata(cx)
            && let Some(slice) = slices.iter().find(|slice| !slice.is_empty())
        {
            // What it waits for may be the first of many frames, and the end of its stream among them.
            let first = this.sent.first_end(slice);
            return this.write_between(cx, &cut(slices, first));
        }
        this.write_between(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.gather_metadata(cx);
        if this.edits.is_some() || this.watch.announce.get() {
            ready!(this.poll_edits(cx))?;
        }
        // Who is to be read on must not wait for what it does not read.
        if this.poll_backlog(cx)?.is_pending() && !this.guard.owes_many() {
            return Poll::Pending;
        }
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_backlog(cx))?;
        let is_graceful = this.edits.as_ref().is_some_and(|edits| edits.is_announced());
        if !is_graceful {
            return Pin::new(&mut this.io).poll_shutdown(cx);
        }
        // As in Envoy it is the client who closes, in a time that is watched elsewhere: a connection that is torn down
        // with unread bytes is reset, and that may overtake what was said last.
        this.watch.closing.set(true);
        let mut scratch = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut this.io).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
