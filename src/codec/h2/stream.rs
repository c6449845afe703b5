//! What is counted of one stream.

use std::hash::Hasher;
use std::task::{Context, Poll, Waker};

use crate::codec::StreamError;
use crate::observability::stream_info::WireBytes;

use super::flood::Flood;
use super::metadata::{Metadata, Port};
use super::meter::{Fault, Meter};

/// What is known of a stream until both messages have ended and nobody asks any more.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) wire: WireBytes,
    /// Bytes of the message going out that are queued and have not gone.
    pub(super) pending: u64,
    pub(super) owner: Owner,
    pub(super) local_ended: bool,
    pub(super) remote_ended: bool,
    pub(super) reset_by_peer: bool,
    pub(super) fault: Option<Fault>,
    /// METADATA, if there was any.
    pub(super) metadata: Option<Box<Metadata>>,
    /// Who waits for the message going out, or for its end.
    pub(super) waiting: Option<Waker>,
}

/// Who serves a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nobody yet.
    #[default]
    Nobody,
    /// Who has its [`StreamMeter`].
    Attached,
    /// Nobody any more.
    Gone,
}

impl Stream {
    pub(super) fn is_closed(&self) -> bool {
        self.local_ended && self.remote_ended
    }

    /// Whether the head has gone and nothing waits behind it.
    pub(super) fn is_framed(&self) -> bool {
        self.wire.header_sent > 0 && self.pending == 0
    }

    pub(super) fn close(&mut self) {
        (self.local_ended, self.remote_ended) = (true, true);
    }
}

/// The meter of one stream, for as long as it is served.
#[derive(Debug)]
pub(super) struct StreamMeter {
    pub(super) meter: Meter,
    pub(super) id: u32,
}

impl StreamMeter {
    /// What came and went so far.
    pub(super) fn wire(&self) -> WireBytes {
        self.with(|stream| stream.wire).unwrap_or_default()
    }

    /// Ready when the message going out has gone, or the stream is gone.
    pub(super) fn poll_sent(&self, cx: &Context<'_>) -> Poll<()> {
        let sent = self.with(|stream| {
            if !stream.local_ended {
                stream.waiting = Some(cx.waker().clone());
            }
            stream.local_ended
        });
        if sent.unwrap_or(true) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ready when the head and what was queued have gone, or the stream is gone.
    pub(super) fn poll_framed(&self, cx: &Context<'_>) -> Poll<()> {
        let framed = self.with(|stream| {
            let framed = stream.is_framed() || stream.local_ended;
            if !framed {
                stream.waiting = Some(cx.waker().clone());
            }
            framed
        });
        if framed.unwrap_or(true) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether the peer has reset the stream.
    pub(super) fn reset_by_peer(&self) -> bool {
        self.with(|stream| stream.reset_by_peer).unwrap_or(false)
    }

    /// Whether either message has not ended.
    pub(super) fn is_open(&self) -> bool {
        self.with(|stream| !stream.is_closed()).unwrap_or(false)
    }

    /// Notes bytes that were queued to be sent.
    pub(super) fn queued(&self, bytes: usize) {
        let inner = &mut *self.meter.inner.borrow_mut();
        if let Some(stream) = inner.streams.get_mut(&self.id).filter(|stream| !stream.is_closed()) {
            stream.pending += bytes as u64;
            inner.stats.pending_send_bytes().add(bytes as u64);
        }
    }

    /// The METADATA of the stream.
    pub(super) fn port(&self) -> Port {
        self.meter.port(self.id)
    }

    /// Whether METADATA came that leads nowhere yet.
    pub(super) fn holds_metadata(&self) -> bool {
        self.meter.holds_metadata(self.id)
    }

    /// The flood that the connection ended by.
    pub(super) fn flood(&self) -> Option<Flood> {
        self.meter.inner.borrow().flood
    }

    /// Whether the connection ends because too much has waited for its peer for too long.
    pub(super) fn is_overfull(&self) -> bool {
        self.meter.inner.borrow().overfull
    }

    /// Notes what broke the message coming in.
    pub(super) fn note(&self, error: StreamError) -> StreamError {
        let inner = self.meter.inner.borrow();
        if matches!(error, StreamError::Protocol(_)) && inner.flood.is_none() {
            inner.stats.rx_messaging_error().inc();
        }
        error
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Stream) -> T) -> Option<T> {
        self.meter.inner.borrow_mut().streams.get_mut(&self.id).map(use_it)
    }
}

impl Drop for StreamMeter {
    fn drop(&mut self) {
        let inner = &mut *self.meter.inner.borrow_mut();
        if let Some(stream) = inner.streams.get_mut(&self.id) {
            stream.owner = Owner::Gone;
            if stream.is_closed() {
                inner.streams.remove(&self.id);
            }
        }
    }
}

/// Stream ids are numbers in sequence: a multiplication spreads them well enough.
#[derive(Default)]
pub(super) struct StreamHasher(u64);

impl Hasher for StreamHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32((*byte).into());
        }
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}
