//! HTTP on the wire. Behind this seam a message is [`Headers`], then [`Frame`]s, whatever the protocol.
//!
//! **Invariant:** nothing outside this module sees how a message was framed.

pub mod h1;
pub mod h2;
mod plain;

use std::fmt;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::base::headers::Headers;

pub use plain::Plain;

/// A piece of a message after its headers.
#[derive(Clone, Debug)]
pub enum Frame {
    /// Some of the body, as it came.
    Data(Bytes),
    /// The trailers; nothing follows.
    Trailers(Box<Headers>),
}

/// The code of a stream that was reset for what was sent on it (RFC 9113 §7).
pub const PROTOCOL_ERROR: u32 = 1;
/// The code of a stream that was reset for what is wrong at this end (RFC 9113 §7).
pub const INTERNAL_ERROR: u32 = 2;
/// The code of a stream that was reset because what a CONNECT leads to has failed.
pub const CONNECT_ERROR: u32 = 10;

/// Why a message could not be read or written to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// The peer sent what the protocol forbids.
    Protocol(h1::ParseError),
    /// The connection ended: by the peer, or by an error of the socket.
    Closed,
    /// The peer reset the stream; its HTTP/2 error code.
    Reset(u32),
    /// The peer told in a GOAWAY that it did not process the stream.
    Refused,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::Protocol(error) => error.fmt(f),
            StreamError::Closed => f.write_str("connection closed"),
            StreamError::Reset(code) => write!(f, "stream reset with code {code}"),
            StreamError::Refused => f.write_str("stream refused"),
        }
    }
}

impl std::error::Error for StreamError {}

/// One side of an exchange after its heads: a message comes in, another goes out.
///
/// Of a downstream stream the request comes in and the response goes out; of an upstream stream it is the other
/// way round. Nothing here waits by itself: all is polled from the one task that owns the exchange.
pub trait MessageStream {
    /// The next piece of the message coming in; `None` at its end, and ever after.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>>;
    /// Queues a piece of the message going out.
    fn send_data(&mut self, data: Bytes);
    /// Ends the message going out.
    fn send_end(&mut self, trailers: Option<&Headers>);
    /// Bytes queued and not yet taken by the transport.
    fn buffered(&self) -> usize;
    /// Ready when nothing is queued any more.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>>;
}

/// Bytes queued before they are written: what belongs together is written together, up to this.
const FLUSH_SIZE: usize = 64 * 1024;

/// Bytes that may wait for a peer that takes none, when nothing is configured.
const DEFAULT_BUFFER_LIMIT: usize = 64 * 1024;

/// The bytes that `per_connection_buffer_limit_bytes` allows: `default` without it, any number when it is 0.
fn buffer_limit(configured: Option<u32>, default: usize) -> usize {
    match configured {
        None => default,
        Some(0) => usize::MAX,
        Some(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
    }
}

/// Moves one message from the stream it comes in on to the stream it goes out on.
#[derive(Debug)]
pub struct Pump {
    ended: bool,
    /// Bytes that may be queued in the sink while it takes none; a frame may go beyond it.
    limit: usize,
    is_full: bool,
    /// Bytes of the body moved so far.
    pub bytes: u64,
    /// The trailers that were moved.
    pub trailers: Option<Box<Headers>>,
    /// How often reading stopped because the sink was full.
    pub pauses: u32,
    /// How often it went on after that.
    pub resumptions: u32,
}

/// Which stream an error of a [`Pump`] came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PumpError {
    /// The message could not be read.
    Source(StreamError),
    /// The message could not be written.
    Sink(StreamError),
}

impl Pump {
    /// A pump into a sink of which `per_connection_buffer_limit_bytes` says this.
    pub fn new(buffer_limit_bytes: Option<u32>) -> Self {
        Pump {
            ended: false,
            limit: buffer_limit(buffer_limit_bytes, DEFAULT_BUFFER_LIMIT),
            is_full: false,
            bytes: 0,
            trailers: None,
            pauses: 0,
            resumptions: 0,
        }
    }

    /// A pump of a message that has no body: there is nothing to move.
    pub fn ended() -> Self {
        Pump { ended: true, ..Pump::new(None) }
    }

    /// Whether the whole message was read.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Moves what there is. Ready when the message has ended and all of it is written.
    ///
    /// # Errors
    /// What stopped it, and on which side.
    pub fn poll(
        &mut self,
        source: &mut impl MessageStream,
        sink: &mut impl MessageStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), PumpError>> {
        self.poll_from(|cx| source.poll_frame(cx), sink, cx)
    }

    /// Moves what `next` gives, likewise.
    ///
    /// # Errors
    /// What stopped it, and on which side.
    pub fn poll_from(
        &mut self,
        mut next: impl FnMut(&mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>>,
        sink: &mut impl MessageStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), PumpError>> {
        loop {
            let starved = self.fill(&mut next, sink, FLUSH_SIZE.min(self.limit), cx)?;
            match sink.poll_flush(cx) {
                Poll::Ready(Ok(())) if self.ended => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if starved => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(PumpError::Sink(error))),
                Poll::Pending => {
                    // The sink is behind. It is filled up only where it may hold more than is written at once: else it
                    // would be handed ever smaller pieces, and each costs a read and a write.
                    if self.limit > FLUSH_SIZE {
                        self.fill(&mut next, sink, self.limit, cx)?;
                    }
                    self.note_fullness(sink.buffered());
                    return Poll::Pending;
                }
            }
            self.note_fullness(sink.buffered());
        }
    }

    /// Reads while something is there and less than `limit` waits to be written. True when nothing is there.
    fn fill(
        &mut self,
        next: &mut impl FnMut(&mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>>,
        sink: &mut impl MessageStream,
        limit: usize,
        cx: &mut Context<'_>,
    ) -> Result<bool, PumpError> {
        while !self.ended && sink.buffered() < limit {
            match next(cx) {
                Poll::Ready(Ok(frame)) => self.forward(frame, sink),
                Poll::Ready(Err(error)) => {
                    // What came before the fault still goes out, as far as the sink takes it now.
                    if let Poll::Ready(Err(error)) = sink.poll_flush(cx) {
                        return Err(PumpError::Sink(error));
                    }
                    return Err(PumpError::Source(error));
                }
                Poll::Pending => return Ok(true),
            }
        }
        Ok(false)
    }

    fn note_fullness(&mut self, buffered: usize) {
        let is_full = buffered >= self.limit && !self.ended;
        match (self.is_full, is_full) {
            (false, true) => self.pauses += 1,
            (true, false) => self.resumptions += 1,
            _ => {}
        }
        self.is_full = is_full;
    }

    fn forward(&mut self, frame: Option<Frame>, sink: &mut impl MessageStream) {
        match frame {
            Some(Frame::Data(data)) => {
                self.bytes += data.len() as u64;
                sink.send_data(data);
            }
            Some(Frame::Trailers(trailers)) => {
                self.ended = true;
                sink.send_end(Some(&trailers));
                self.trailers = Some(trailers);
            }
            None => {
                self.ended = true;
                sink.send_end(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// A source of endless pieces, and a sink that takes what it is told to.
    #[derive(Debug, Default)]
    struct Fake {
        piece: usize,
        queued: usize,
        takes: usize,
    }

    impl MessageStream for Fake {
        fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
            Poll::Ready(Ok(Some(Frame::Data(Bytes::from(vec![0; self.piece])))))
        }
        fn send_data(&mut self, data: Bytes) {
            self.queued += data.len();
        }
        fn send_end(&mut self, _: Option<&Headers>) {}
        fn buffered(&self) -> usize {
            self.queued
        }
        fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
            let taken = self.takes.min(self.queued);
            self.takes -= taken;
            self.queued -= taken;
            if self.queued == 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
        }
    }

    #[test]
    fn what_waits_for_a_peer_is_what_the_buffer_limit_allows() {
        for (configured, piece, expected) in [
            (Some(1000), 400, 1200),
            (Some(1 << 20), 1000, 1_049_000),
            (None, 1000, 66_000),
            (Some(1), 10, 10),
        ] {
            let (mut source, mut sink) = (Fake { piece, ..Fake::default() }, Fake::default());
            let mut pump = Pump::new(configured);
            let polled = pump.poll(&mut source, &mut sink, &mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            assert_eq!((sink.queued, pump.pauses), (expected, 1), "{configured:?}");
        }
    }

    #[test]
    fn reading_goes_on_when_the_peer_takes_something() {
        let (mut source, mut sink) = (Fake { piece: 100, ..Fake::default() }, Fake::default());
        let mut pump = Pump::new(Some(250));
        let mut cx = Context::from_waker(Waker::noop());
        for (takes, waiting) in [(0, 300), (350, 250)] {
            sink.takes = takes;
            assert!(pump.poll(&mut source, &mut sink, &mut cx).is_pending());
            assert_eq!(sink.queued, waiting);
        }
        assert_eq!((pump.bytes, pump.pauses, pump.resumptions), (600, 2, 1));
    }
}
