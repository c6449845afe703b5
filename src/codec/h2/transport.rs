//! The stream below a connection: bytes that were read of it before come first, and all that passes is watched.

use std::cell::Cell;
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
use super::meter::Meter;

/// Bytes of the preface that a client begins with (RFC 9113 §3.4).
const PREFACE: usize = 24;

/// What is seen of a connection from below, for who drives it.
#[derive(Debug)]
pub struct Watch {
    meter: Meter,
    flood: Cell<Option<Flood>>,
    block_open: Cell<bool>,
    blocked: Cell<bool>,
    goes_away: Cell<bool>,
    given_up: Cell<bool>,
    closing: Cell<bool>,
    /// The end of the connection is to be announced.
    announce: Cell<bool>,
    read: Cell<u64>,
    written: Cell<u64>,
}

impl Watch {
    /// The flood that the connection was ended for.
    pub fn flood(&self) -> Option<Flood> {
        self.flood.get()
    }

    /// Whether a header block has begun and not ended: nothing else may come until it has.
    pub fn block_is_open(&self) -> bool {
        self.block_open.get()
    }

    /// Whether something waits to be written that the peer does not take.
    pub fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// Streams whose messages have not ended.
    pub fn open_streams(&self) -> usize {
        self.meter.open_streams()
    }

    /// Whether the peer was found to be gone, or dangerous.
    pub fn is_given_up(&self) -> bool {
        self.given_up.get() || self.flood.get().is_some()
    }

    /// Notes that the peer was found to be gone.
    pub(super) fn give_up(&self) {
        self.given_up.set(true);
    }

    /// Whether all was said, and the peer is waited for to close.
    pub fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Has the end of the connection announced with what is written next.
    pub(super) fn announce_end(&self) {
        self.announce.set(true);
    }

    /// Whether the peer said that it takes no further streams.
    pub fn goes_away(&self) -> bool {
        self.goes_away.get()
    }

    /// Bytes read and written so far, in all.
    pub fn bytes(&self) -> (u64, u64) {
        (self.read.get(), self.written.get())
    }
}

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
        let watch = Rc::new(Watch {
            meter: meter.clone(),
            flood: Cell::default(),
            block_open: Cell::default(),
            blocked: Cell::default(),
            goes_away: Cell::default(),
            given_up: Cell::default(),
            closing: Cell::default(),
            announce: Cell::default(),
            read: Cell::default(),
            written: Cell::default(),
        });
        Transport { prefix, io, received, sent, guard, meter, watch, edits, flooding: Flooding::No }
    }

    /// What is seen here, for others to look at.
    pub(super) fn watch(&self) -> Rc<Watch> {
        Rc::clone(&self.watch)
    }

    /// Looks at what was read; how much of it counts. As in Envoy what came before a flood does.
    fn inspect(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        let mut found = Ok(());
        while let (Ok(()), Some(frame)) = (found, self.received.next(&mut rest)) {
            self.meter.frame_in(frame);
            self.watch.goes_away.set(self.watch.goes_away.get() || frame.kind == kind::GOAWAY);
            found = self.guard.receive(frame);
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
        if this.edits.is_none() && !this.watch.announce.get() {
            return this.write(cx, slices);
        }
        ready!(this.poll_edits(cx))?;
        let Some(edits) = &mut this.edits else { return this.write(cx, slices) };
        match edits.look(slices, &this.sent) {
            Fate::Kept(bytes) => {
                // There is something to read, or to write, that nobody else tells of.
                cx.waker().wake_by_ref();
                Poll::Ready(Ok(bytes))
            }
            Fate::Out(bytes) => this.write(cx, &cut(slices, bytes)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
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
