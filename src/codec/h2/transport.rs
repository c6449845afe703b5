//! The stream below a connection: bytes that were read of it before come first, and all that passes is watched.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::base::io::Io;

use super::Settings;
use super::edits::{Edits, Fate};
use super::flood::{End, Flood, Guard};
use super::frames::{Frames, kind};
use super::metadata::Inlet;
use super::meter::Meter;
use super::watch::Watch;

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
        Transport { prefix, io, received, sent, guard, meter, watch, edits, metadata, flooding: Flooding::No }
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
            self.watch.goes_away.set(self.watch.goes_away.get() || frame.kind == kind::GOAWAY);
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

    /// Has METADATA go out with what is written next. True if some of it waits: for a frame to end, or for the head of its
    /// stream.
    fn gather_metadata(&mut self, cx: &Context<'_>) -> bool {
        if self.metadata.is_none() || self.edits.as_ref().is_some_and(|edits| edits.is_opening()) {
            return false;
        }
        let mut own = BytesMut::new();
        let waits = self.meter.take_metadata(cx, &mut own);
        if !own.is_empty() {
            self.edits.get_or_insert_default().add(own);
        }
        waits || self.edits.as_ref().is_some_and(|edits| edits.holds())
    }

    /// Writes what goes out beside what `h2` writes.
    fn poll_edits(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.watch.announce.take() {
            self.edits.get_or_insert_default().announce();
        }
        let Some(mut edits) = self.edits.take() else { return Poll::Ready(Ok(())) };
        let mut done = Poll::Ready(Ok(()));
        while let Some(own) = edits.due(&self.sent) {
            match Io::poll_write_vectored(&self.io, cx, &[IoSlice::new(own)]) {
                Poll::Ready(Ok(0)) => {
                    done = Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    break;
                }
                Poll::Ready(Ok(written)) => {
                    self.note_written(&[IoSlice::new(own)], written);
                    own.advance(written);
                }
                other => {
                    done = other.map_ok(drop);
                    break;
                }
            }
        }
        self.edits = Some(edits);
        self.watch.blocked.set(done.is_pending());
        done
    }

    fn write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let polled = Io::poll_write_vectored(&self.io, cx, slices);
        self.watch.blocked.set(polled.is_pending());
        if let Poll::Ready(Ok(written)) = polled {
            self.note_written(slices, written);
        }
        polled
    }

    /// Writes what `h2` writes, and what is to go out before it.
    fn write_between(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.edits.is_none() && !self.watch.announce.get() {
            return self.write(cx, slices);
        }
        ready!(self.poll_edits(cx))?;
        let Some(edits) = &mut self.edits else { return self.write(cx, slices) };
        match edits.look(slices, &self.sent) {
            Fate::Kept(bytes) => {
                // There is something to read, or to write, that nobody else tells of.
                cx.waker().wake_by_ref();
                Poll::Ready(Ok(bytes))
            }
            Fate::Out(bytes) => self.write(cx, &cut(slices, bytes)),
        }
    }

    /// Looks at what was written.
    fn note_written(&mut self, slices: &[IoSlice<'_>], mut written: usize) {
        self.watch.written.set(self.watch.written.get() + written as u64);
        for slice in slices {
            let taken = written.min(slice.len());
            let mut bytes = &slice[..taken];
            while let Some(frame) = self.sent.next(&mut bytes) {
                self.meter.frame_out(frame);
                self.guard.send(frame);
            }
            written -= taken;
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
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
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

/// As much of the slices as this.
fn cut<'s>(slices: &'s [IoSlice<'s>], mut bytes: usize) -> SmallVec<[IoSlice<'s>; 4]> {
    let cut = slices.iter().map(|slice| {
        let taken = bytes.min(slice.len());
        bytes -= taken;
        IoSlice::new(&slice[..taken])
    });
    cut.collect()
}
