//! The stream below a connection: bytes that were read of it before come first, and all that passes is watched.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::base::io::Io;

use super::flood::{End, Flood, Guard, Limits};
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
}

impl Transport {
    /// Reads `prefix` first, then `io`.
    pub(super) fn new(io: Io, prefix: BytesMut, end: End, limits: Limits, meter: Meter) -> Self {
        let with_preface = Frames::after(PREFACE);
        let (received, sent) = match end {
            End::Server => (with_preface, Frames::default()),
            End::Client => (Frames::default(), with_preface),
        };
        let guard = Guard::new(end, limits);
        let watch = Rc::new(Watch {
            meter: meter.clone(),
            flood: Cell::default(),
            block_open: Cell::default(),
            blocked: Cell::default(),
            goes_away: Cell::default(),
            given_up: Cell::default(),
            read: Cell::default(),
            written: Cell::default(),
        });
        Transport { prefix, io, received, sent, guard, meter, watch }
    }

    /// What is seen here, for others to look at.
    pub(super) fn watch(&self) -> Rc<Watch> {
        Rc::clone(&self.watch)
    }

    /// Looks at what was read. A flood is an error of the kind that [`super::stream_error`] tells from those of the
    /// socket.
    fn inspect(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.watch.read.set(self.watch.read.get() + bytes.len() as u64);
        let mut found = Ok(());
        while let (Ok(()), Some(frame)) = (found, self.received.next(&mut bytes)) {
            self.meter.frame_in(frame);
            self.watch.goes_away.set(self.watch.goes_away.get() || frame.kind == kind::GOAWAY);
            found = self.guard.receive(frame);
        }
        self.watch.block_open.set(self.guard.block_is_open());
        let Err(flood) = found else { return Ok(()) };
        self.meter.flood(flood);
        self.watch.flood.set(Some(flood));
        Err(super::flood_error(flood))
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
        let before = buffer.filled().len();
        if this.prefix.is_empty() {
            std::task::ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        } else {
            let taken = this.prefix.len().min(buffer.remaining());
            buffer.put_slice(&this.prefix[..taken]);
            this.prefix.advance(taken);
        }
        Poll::Ready(this.inspect(&buffer.filled()[before..]))
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
        let polled = Io::poll_write_vectored(&this.io, cx, slices);
        this.watch.blocked.set(polled.is_pending());
        if let Poll::Ready(Ok(written)) = polled {
            this.note_written(slices, written);
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
