//! The server's end of a connection: requests come in, responses go out.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};

use crate::base::headers::{Headers, Known};
use crate::base::io::Io;
use crate::codec::{Frame, MessageStream, StreamError};
use crate::config::protocol::Http1Options;
use crate::observability::stream_info::WireBytes;

use super::Limits;
use super::ParseError;
use super::body::{BodyDecoder, Framing};
use super::encode::{self, BodyEncoder};
use super::head::{HeadParser, Version, begins_a_request};
use super::wire::{Wire, cut_off};

/// A connection from a downstream peer, with one request at a time on it.
#[derive(Debug)]
pub struct Server {
    wire: Wire,
    parser: HeadParser,
    version: Version,
    is_head: bool,
    allow_chunked_length: bool,
    any_method: bool,
    accept_http_10: bool,
    must_close: bool,
}

/// The head of a request, beside its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The client's version.
    pub version: Version,
    /// Whether no body follows.
    pub end: bool,
}

impl Server {
    /// A fresh connection. `forward_trailers` says whether trailers pass, either way.
    pub fn new(io: Io, limits: Limits, forward_trailers: bool, allow_chunked_length: bool) -> Self {
        Server {
            wire: Wire::new(io, limits, forward_trailers),
            parser: HeadParser::default(),
            version: Version::Http11,
            is_head: false,
            allow_chunked_length,
            any_method: false,
            accept_http_10: false,
            must_close: false,
        }
    }

    /// As these options say beside that.
    pub fn with_options(mut self, options: &Http1Options) -> Self {
        self.wire.set_key_format(options.header_key_format);
        self.any_method = options.allow_custom_methods;
        self.accept_http_10 = options.accept_http_10;
        self.parser = HeadParser::new(self.any_method);
        self
    }

    /// Whether what was read begins with these bytes; `None` while it is too little to tell.
    pub fn starts_with(&self, bytes: &[u8]) -> Option<bool> {
        let length = self.wire.input.len().min(bytes.len());
        let alike = self.wire.input[..length] == bytes[..length];
        if alike && length < bytes.len() { None } else { Some(alike) }
    }

    /// Reads more; ready with `false` when the peer has closed.
    pub fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.wire.poll_fill(cx).map(|read| read.unwrap_or(false))
    }

    /// The stream and what was read from it, for another protocol to go on with.
    pub fn into_parts(self) -> (Io, bytes::BytesMut) {
        (self.wire.io, self.wire.input)
    }

    /// Whether bytes of a request are there.
    pub fn has_input(&self) -> bool {
        !self.wire.input.is_empty()
    }

    /// Ready when bytes of a request are there (`true`), or when the peer has closed (`false`).
    pub fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.wire.begin_messages();
        if self.has_input() {
            return Poll::Ready(true);
        }
        self.wire.poll_fill(cx).map(|read| read.unwrap_or(false))
    }

    /// Reads the head of the next request; `None` when the peer closed between requests.
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        headers: &mut Headers,
    ) -> Poll<Result<Option<RequestHead>, StreamError>> {
        loop {
            self.skip_line_ends();
            // A CR alone may be half of an empty line.
            let begins_well = |first: &u8| begins_a_request(*first) || self.wire.input[..] == *b"\r";
            if !self.wire.input.first().is_none_or(begins_well) {
                return Poll::Ready(Err(StreamError::Protocol(ParseError::Method)));
            }
            let found = self.parser.request(&self.wire.input, self.wire.limits, headers);
            if let Some((line, length)) = found.map_err(StreamError::Protocol)? {
                self.wire.keep_spelling(length, headers);
                self.wire.input.advance(length);
                let header_bytes = self.parser.header_bytes();
                self.parser = HeadParser::new(self.any_method);
                let accepted = self.accept(line.version, headers);
                if accepted != Err(StreamError::Protocol(ParseError::ContentLength)) {
                    self.wire.note_head(header_bytes, false);
                }
                return Poll::Ready(accepted.map(Some));
            }
            if !ready!(self.wire.poll_fill(cx))? {
                let begun = !self.wire.input.is_empty();
                return Poll::Ready(if begun { Err(cut_off(true)) } else { Ok(None) });
            }
        }
    }

    /// RFC 9112 §2.2: empty lines before a request are passed over.
    fn skip_line_ends(&mut self) {
        while self.wire.input.starts_with(b"\r\n") {
            self.wire.input.advance(2);
            // It may have looked at the CR before the LF had come.
            self.parser = HeadParser::new(self.any_method);
        }
    }

    fn accept(&mut self, version: Version, headers: &mut Headers) -> Result<RequestHead, StreamError> {
        self.version = version;
        self.is_head = headers.get(Known::Method) == Some(b"HEAD");
        let connects = headers.get(Known::Method) == Some(b"CONNECT");
        let framing = match connects {
            true => Framing::of_connect(headers),
            false => Framing::of_request(headers, self.allow_chunked_length),
        };
        let framing = framing.map_err(StreamError::Protocol)?;
        // Where the version is refused, that is what the client is told.
        if version == Version::Http10 && self.accept_http_10 && framing == Framing::Chunked {
            return Err(StreamError::Protocol(ParseError::TransferEncoding));
        }
        if framing == Framing::Chunked {
            // RFC 9112 §6.3: where both are permitted the chunks count, and the length must not go on.
            headers.remove(Known::ContentLength);
        }
        self.wire.decoder = BodyDecoder::new(framing, self.wire.trailer_limits());
        Ok(RequestHead { version, end: self.wire.decoder.is_done() })
    }

    /// Answers in this version, whichever the client's is.
    pub fn answer_as(&mut self, version: Version) {
        self.version = version;
    }

    /// Whether the whole request was read.
    pub fn request_is_complete(&self) -> bool {
        self.wire.decoder.is_done()
    }

    /// Queues an informational response.
    pub fn send_interim(&mut self, headers: &Headers, status: u16) {
        encode::informational(headers, self.version, status, &mut self.wire.output);
    }

    /// Queues a response's head. `end` says that no body follows.
    pub fn send_headers(&mut self, headers: &Headers, status: u16, end: bool) {
        let may_have_body = !matches!(status, 204 | 304);
        let chunk = self.version == Version::Http11;
        let told = headers.contains(Known::ContentLength);
        self.must_close |= !end && may_have_body && !self.is_head && !chunk && !told;
        self.wire.encoder = encode::response(
            headers,
            encode::ResponseLine {
                version: self.version,
                status,
                may_have_body,
                to_head: self.is_head,
                chunk,
            },
            end,
            &mut self.wire.output,
        );
    }

    /// Makes a tunnel of the connection: from here on bytes pass as they are, both ways.
    pub fn send_upgrade(&mut self, headers: &Headers, status: u16) {
        encode::informational(headers, self.version, status, &mut self.wire.output);
        self.wire.decoder = BodyDecoder::new(Framing::UntilClose, self.wire.limits);
        self.wire.encoder = BodyEncoder::Plain;
        self.must_close = true;
    }

    /// Whether the response can only be ended by closing the connection.
    pub fn must_close(&self) -> bool {
        self.must_close
    }

    /// Ready when the peer has closed, while nothing is asked of it. What it sends early is kept, up to the
    /// size of a head.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.wire.input.len() < self.wire.limits.bytes {
            match ready!(self.wire.poll_fill(cx)) {
                Ok(true) => {}
                Ok(false) | Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Whether the connection ends because too much has waited for the client for too long.
    pub fn is_overfull(&self) -> bool {
        self.wire.io.is_overfull()
    }

    /// Ready when the peer has sent something behind a head whose answer it should wait for; so many bytes.
    pub fn poll_early(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        // That it has closed is told by `poll_closed`.
        if self.has_input() || matches!(self.wire.poll_fill(cx), Poll::Ready(Ok(true))) {
            return Poll::Ready(self.wire.input.len());
        }
        Poll::Pending
    }

    /// Reads and forgets, until the peer closes: so that it gets to read the last response before the
    /// connection is torn down.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.wire.input.clear();
            match ready!(self.wire.poll_fill(cx)) {
                Ok(true) => {}
                Ok(false) | Err(_) => return Poll::Ready(()),
            }
        }
    }

    /// Gives back the memory of a connection that goes idle.
    pub fn release(&mut self) {
        self.wire.release();
    }

    /// Bytes read and written so far, in all.
    pub fn bytes(&self) -> (u64, u64) {
        self.wire.bytes()
    }

    /// What came and went of the request and its response so far.
    pub fn wire(&self) -> WireBytes {
        self.wire.counted()
    }

    /// The stream below.
    pub fn io(&self) -> &Io {
        &self.wire.io
    }
}

impl MessageStream for Server {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        self.wire.poll_frame(cx).map_err(|error| match error {
            // A client that closes amid its request has left: nobody is there to be told of a fault.
            StreamError::Protocol(ParseError::Incomplete) => StreamError::Closed,
            error => error,
        })
    }

    fn send_data(&mut self, data: Bytes) {
        self.wire.send_data(data);
    }

    fn send_end(&mut self, trailers: Option<&Headers>) {
        self.wire.send_end(trailers);
    }

    fn buffered(&self) -> usize {
        self.wire.buffered()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.wire.poll_flush(cx)
    }
}
