//! The downstream end of an exchange, whatever its protocol.

use std::task::{Context, Poll};

use crate::base::headers::Headers;
use crate::codec::{Frame, MessageStream, StreamError, h1, h2};
use crate::observability::stream_info::WireBytes;

use super::deadlines::Interrupt;

/// A stream that a request came on and its response goes out on.
pub(super) trait Downstream: MessageStream {
    /// Whether requests share the connection, so that a broken one need not close it.
    const MULTIPLEXED: bool;
    /// Whether the whole request was read.
    fn request_is_complete(&self) -> bool;
    /// Queues an informational response.
    fn send_interim(&mut self, headers: &Headers, status: u16);
    /// Queues the response's head.
    fn send_headers(&mut self, headers: &Headers, status: u16, end: bool);
    /// Queues the answer to an upgrade; from here on bytes pass as they are.
    fn send_upgrade(&mut self, headers: &Headers, status: u16);
    /// Ready when the peer has gone away or reset the stream, while the proxy waits for something else.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Interrupt>;
    /// Ready when bytes have come behind the head of a CONNECT, whose answer the client did not wait for; so many. They
    /// are lost.
    fn poll_early(&mut self, cx: &mut Context<'_>) -> Poll<usize>;
    /// What came and went of the request and its response so far.
    fn wire(&self) -> WireBytes;
    /// Ready when what was queued is framed, so that [`wire`](Self::wire) tells of it.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<()>;
    /// The flood of frames that the connection ended by.
    fn flood(&self) -> Option<h2::Flood>;
    /// Whether the connection ends because too much has waited for the client for too long.
    fn is_overfull(&self) -> bool;
    /// The METADATA of its stream, if that is allowed.
    fn metadata(&self) -> Option<h2::Port>;
    /// Whether METADATA came that leads nowhere yet.
    fn holds_metadata(&self) -> bool;
    /// Ready when what was queued has been handed to the transport, whether or not that was all.
    fn poll_framed(&mut self, cx: &mut Context<'_>) -> Poll<()>;
    /// Ends the stream without ending its message; a peer of HTTP/2 is told this code.
    fn abort(&mut self, code: u32);
}

impl Downstream for h1::Server {
    const MULTIPLEXED: bool = false;

    fn request_is_complete(&self) -> bool {
        h1::Server::request_is_complete(self)
    }

    fn send_interim(&mut self, headers: &Headers, status: u16) {
        h1::Server::send_interim(self, headers, status);
    }

    fn send_headers(&mut self, headers: &Headers, status: u16, end: bool) {
        h1::Server::send_headers(self, headers, status, end);
    }

    fn send_upgrade(&mut self, headers: &Headers, status: u16) {
        h1::Server::send_upgrade(self, headers, status);
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Interrupt> {
        h1::Server::poll_closed(self, cx).map(|()| Interrupt::DownstreamClosed)
    }

    fn poll_early(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        h1::Server::poll_early(self, cx)
    }

    fn wire(&self) -> WireBytes {
        h1::Server::wire(self)
    }

    /// What is queued is framed already.
    fn poll_sent(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn flood(&self) -> Option<h2::Flood> {
        None
    }

    fn is_overfull(&self) -> bool {
        h1::Server::is_overfull(self)
    }

    fn metadata(&self) -> Option<h2::Port> {
        None
    }

    fn holds_metadata(&self) -> bool {
        false
    }

    fn poll_framed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_flush(cx).map(|_| ())
    }

    /// The connection is closed by who owns it; there is no other way to say it.
    fn abort(&mut self, _: u32) {}
}

impl Downstream for h2::ServerStream {
    const MULTIPLEXED: bool = true;

    fn request_is_complete(&self) -> bool {
        h2::ServerStream::request_is_complete(self)
    }

    fn send_interim(&mut self, headers: &Headers, status: u16) {
        h2::ServerStream::send_interim(self, headers, status);
    }

    fn send_headers(&mut self, headers: &Headers, status: u16, end: bool) {
        h2::ServerStream::send_headers(self, headers, status, end);
    }

    /// HTTP/2 upgrades by extended CONNECT, which is agreed to with 200 (RFC 8441 §5).
    fn send_upgrade(&mut self, headers: &Headers, _: u16) {
        h2::ServerStream::send_headers(self, headers, 200, false);
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Interrupt> {
        h2::ServerStream::poll_closed(self, cx).map(|closed| match closed {
            StreamError::Reset(_) | StreamError::Refused => Interrupt::DownstreamReset,
            StreamError::Protocol(_) => Interrupt::DownstreamFault,
            StreamError::Closed => Interrupt::DownstreamClosed,
        })
    }

    fn poll_early(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        while let Poll::Ready(Ok(Some(frame))) = self.poll_frame(cx) {
            match frame {
                Frame::Data(data) if !data.is_empty() => return Poll::Ready(data.len()),
                Frame::Data(_) | Frame::Trailers(_) => {}
            }
        }
        Poll::Pending
    }

    fn wire(&self) -> WireBytes {
        h2::ServerStream::wire(self)
    }

    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        h2::ServerStream::poll_sent(self, cx)
    }

    fn flood(&self) -> Option<h2::Flood> {
        h2::ServerStream::flood(self)
    }

    fn is_overfull(&self) -> bool {
        h2::ServerStream::is_overfull(self)
    }

    fn metadata(&self) -> Option<h2::Port> {
        h2::ServerStream::metadata(self)
    }

    fn holds_metadata(&self) -> bool {
        h2::ServerStream::holds_metadata(self)
    }

    fn poll_framed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        h2::ServerStream::poll_framed(self, cx)
    }

    fn abort(&mut self, code: u32) {
        h2::ServerStream::abort(self, code);
    }
}
