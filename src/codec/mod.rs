//! HTTP on the wire. Behind this seam a message is [`Headers`], then [`Frame`]s, whatever the protocol.
//!
//! **Invariant:** nothing outside this module sees how a message was framed.

pub mod h1;
pub mod h2;

use std::fmt;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::base::headers::Headers;

/// A piece of a message after its headers.
#[derive(Debug)]
pub enum Frame {
    /// Some of the body, as it came.
    Data(Bytes),
    /// The trailers; nothing follows.
    Trailers(Box<Headers>),
}

/// The code of a stream that was reset for what was sent on it (RFC 9113 §7).
pub const PROTOCOL_ERROR: u32 = 1;
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

/// Bytes queued before reading stops until they are written.
const HIGH_WATERMARK: usize = 64 * 1024;

/// Moves one message from the stream it comes in on to the stream it goes out on.
#[derive(Debug, Default)]
pub struct Pump {
    ended: bool,
    /// Bytes of the body moved so far.
    pub bytes: u64,
    /// The trailers that were moved.
    pub trailers: Option<Box<Headers>>,
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
    /// A pump of a message that has no body: there is nothing to move.
    pub fn ended() -> Self {
        Pump { ended: true, ..Pump::default() }
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
        self.poll_through(source, sink, cx, |_| {})
    }

    /// Moves what there is, likewise, and shows each piece to `pass` on its way.
    ///
    /// # Errors
    /// What stopped it, and on which side.
    pub fn poll_through(
        &mut self,
        source: &mut impl MessageStream,
        sink: &mut impl MessageStream,
        cx: &mut Context<'_>,
        mut pass: impl FnMut(&mut Frame),
    ) -> Poll<Result<(), PumpError>> {
        loop {
            // Reading goes on while something is there, so that what belongs together is written together.
            let mut starved = false;
            while !self.ended && !starved && sink.buffered() < HIGH_WATERMARK {
                match source.poll_frame(cx) {
                    Poll::Ready(Ok(mut frame)) => {
                        frame.iter_mut().for_each(&mut pass);
                        self.forward(frame, sink);
                    }
                    Poll::Ready(Err(error)) => {
                        // What came before the fault still goes out, as far as the sink takes it now.
                        if let Poll::Ready(Err(error)) = sink.poll_flush(cx) {
                            return Poll::Ready(Err(PumpError::Sink(error)));
                        }
                        return Poll::Ready(Err(PumpError::Source(error)));
                    }
                    Poll::Pending => starved = true,
                }
            }
            match sink.poll_flush(cx) {
                Poll::Ready(Ok(())) if self.ended => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if starved => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(PumpError::Sink(error))),
                Poll::Pending => return Poll::Pending,
            }
        }
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
