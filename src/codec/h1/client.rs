//! The client's end of a connection: requests go out, responses come in.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};

use crate::base::headers::{Headers, Known};
use crate::base::io::Io;
use crate::codec::{Frame, MessageStream, StreamError};
use crate::config::protocol::Http1Options;
use crate::observability::stream_info::WireBytes;

use super::body::{BodyDecoder, Framing};
use super::encode::RequestForm;
use super::head::{HeadParser, Version, begins_a_response};
use super::wire::{Wire, cut_off};
use super::{Limits, ParseError, encode};

/// A connection to an upstream host, with one request at a time on it.
#[derive(Debug)]
pub struct Client {
    wire: Wire,
    parser: HeadParser,
    sent_end: bool,
    answered: bool,
    keep_alive: bool,
    /// Whether the response's head said that the connection ends with it.
    ends_by_word: bool,
    /// Whether the response says where it ends.
    framed: bool,
    is_head: bool,
    is_connect: bool,
    asked_upgrade: bool,
    whole_url: bool,
    allow_chunked_length: bool,
    tunnel: bool,
}

/// The head of a response, beside its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// 100 to 999.
    pub status: u16,
    /// Whether no body follows.
    pub end: bool,
}

impl ResponseHead {
    /// Whether another response follows.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

impl Client {
    /// A fresh connection. `forward_trailers` says whether trailers pass, either way.
    pub fn new(io: Io, limits: Limits, forward_trailers: bool) -> Self {
        Client {
            wire: Wire::new(io, limits, forward_trailers),
            parser: HeadParser::default(),
            sent_end: true,
            answered: true,
            keep_alive: true,
            ends_by_word: false,
            framed: true,
            is_head: false,
            is_connect: false,
            asked_upgrade: false,
            whole_url: false,
            allow_chunked_length: false,
            tunnel: false,
        }
    }

    /// As these options say beside that.
    pub fn with_options(mut self, options: &Http1Options) -> Self {
        self.wire.set_key_format(options.header_key_format);
        self.whole_url = options.send_fully_qualified_url;
        self.allow_chunked_length = options.allow_chunked_length;
        self
    }

    /// Naming what is asked for as a whole URL (RFC 9112 §3.2.2), as proxies are asked.
    pub fn with_whole_url(self) -> Self {
        Client { whole_url: true, ..self }
    }

    /// Queues a request's head. `end` says that no body follows; `upgrade`, that the headers ask for another
    /// protocol.
    pub fn send_headers(&mut self, headers: &Headers, end: bool, upgrade: bool) {
        self.parser = HeadParser::default();
        self.wire.begin_messages();
        let method = headers.get(Known::Method);
        self.is_head = method == Some(b"HEAD");
        self.is_connect = method == Some(b"CONNECT");
        self.asked_upgrade = upgrade;
        self.answered = false;
        let upgrade = upgrade || self.is_connect;
        self.sent_end = end && !upgrade;
        let form = RequestForm { end, upgrade, whole_url: self.whole_url };
        self.wire.encoder = encode::request(headers, form, &mut self.wire.output);
    }

    /// Reads the head of the response. Informational ones are passed over, but the answer to an upgrade, unless
    /// `interim` asks for them.
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        headers: &mut Headers,
        interim: bool,
    ) -> Poll<Result<ResponseHead, StreamError>> {
        loop {
            if !self.wire.input.first().is_none_or(|first| begins_a_response(*first)) {
                return Poll::Ready(Err(StreamError::Protocol(ParseError::StatusLine)));
            }
            let found = self.parser.response(&self.wire.input, self.wire.limits, headers);
            let Some((line, length)) = found.map_err(StreamError::Protocol)? else {
                if !ready!(self.wire.poll_fill(cx))? {
                    return Poll::Ready(Err(cut_off(!self.wire.input.is_empty())));
                }
                continue;
            };
            self.wire.keep_spelling(length, headers);
            self.wire.input.advance(length);
            let informational = (100..200).contains(&line.status) && line.status != 101;
            self.wire.note_head(self.parser.header_bytes(), informational);
            self.parser = HeadParser::default();
            if informational {
                check_bodiless(headers).map_err(StreamError::Protocol)?;
                if interim {
                    return Poll::Ready(Ok(ResponseHead { status: line.status, end: false }));
                }
                continue;
            }
            return Poll::Ready(self.accept(line.status, line.version, headers));
        }
    }

    fn accept(
        &mut self,
        status: u16,
        version: Version,
        headers: &mut Headers,
    ) -> Result<ResponseHead, StreamError> {
        let upgrades = || nominates(headers, b"upgrade") && headers.contains(Known::Upgrade);
        if status == 101 && !(self.asked_upgrade && upgrades()) {
            return Err(StreamError::Protocol(ParseError::StatusLine));
        }
        // RFC 9110 §8.6 and RFC 9112 §6.1: where bytes follow that are none of a message, no length may be told of them.
        if status == 101 {
            check_bodiless(headers).map_err(StreamError::Protocol)?;
        }
        // RFC 9110 §9.3.6: what follows such an answer to CONNECT is a tunnel, whatever its headers say.
        if status == 101 || (self.is_connect && (200..300).contains(&status)) {
            headers.remove(Known::ContentLength);
            headers.remove(Known::TransferEncoding);
            self.tunnel = true;
            self.answered = true;
            self.wire.decoder = BodyDecoder::new(Framing::UntilClose, self.wire.limits);
            return Ok(ResponseHead { status, end: false });
        }
        let framing = Framing::of_response(headers, status, self.is_head, self.allow_chunked_length)
            .map_err(StreamError::Protocol)?;
        if framing == Framing::Chunked {
            // RFC 9112 §6.3: where both are permitted the chunks count, and the length must not go on.
            headers.remove(Known::ContentLength);
        }
        let keeps_alive = keeps_alive(version, headers);
        self.keep_alive = framing != Framing::UntilClose && keeps_alive;
        self.ends_by_word = !keeps_alive;
        self.framed = framing != Framing::UntilClose;
        // What stands behind a head that is none is no surplus of it.
        self.answered = true;
        self.wire.decoder = BodyDecoder::new(framing, self.wire.trailer_limits());
        Ok(ResponseHead { status, end: self.wire.decoder.is_done() })
    }

    /// Whether the connection ends because too much has waited for the host for too long.
    pub fn is_overfull(&self) -> bool {
        self.wire.io.is_overfull()
    }

    /// Whether the connection is proven clean, so that another request may go out on it: both messages are
    /// complete, nothing more came, and it stayed HTTP.
    pub fn is_reusable(&self) -> bool {
        self.keep_alive && self.is_complete()
    }

    /// Whether both messages are complete, and the host said that the connection ends with them.
    pub fn is_ended_by_word(&self) -> bool {
        self.ends_by_word && self.is_complete()
    }

    /// Whether the response said where it ends, so that the connection need not.
    pub fn is_framed(&self) -> bool {
        self.framed
    }

    fn is_complete(&self) -> bool {
        self.sent_end
            && self.answered
            && !self.tunnel
            && self.wire.decoder.is_done()
            && self.wire.input.is_empty()
            && self.wire.output.is_empty()
    }

    /// Gives back the memory of a connection that goes idle.
    pub fn release(&mut self) {
        self.wire.release();
    }

    /// Whether the peer said more than its response.
    pub fn has_surplus(&self) -> bool {
        self.answered && !self.tunnel && self.wire.decoder.is_done() && !self.wire.input.is_empty()
    }

    /// Whether an idle connection can still be used: ready as soon as the peer closes it, or with `true` when it says
    /// what nobody asked for.
    pub fn poll_unusable(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        // A small read is enough: whatever comes, the connection is done for.
        let mut scratch = bytes::BytesMut::with_capacity(16);
        self.wire.io.poll_read(cx, &mut scratch).map(|read| read.is_ok_and(|count| count > 0))
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

/// What an informational response says of a body that it cannot have (RFC 9110 §8.6, RFC 9112 §6.1).
fn check_bodiless(headers: &Headers) -> Result<(), ParseError> {
    if headers.contains(Known::TransferEncoding) {
        return Err(ParseError::TransferEncoding);
    }
    match headers.get(Known::ContentLength) {
        None | Some(b"0") => Ok(()),
        Some(_) => Err(ParseError::ContentLength),
    }
}

fn keeps_alive(version: Version, headers: &Headers) -> bool {
    match version {
        Version::Http11 => !nominates(headers, b"close"),
        Version::Http10 => nominates(headers, b"keep-alive"),
    }
}

/// Whether `Connection` has this token.
fn nominates(headers: &Headers, token: &[u8]) -> bool {
    headers
        .get_all(Known::Connection.into())
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|value| value.trim_ascii().eq_ignore_ascii_case(token))
}

impl MessageStream for Client {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        let cut = |error| match error {
            // A reset within a framed message leaves it incomplete, as an early end does.
            StreamError::Closed if !self.tunnel => StreamError::Protocol(ParseError::Incomplete),
            other => other,
        };
        self.wire.poll_frame(cx).map_err(cut)
    }

    fn send_data(&mut self, data: Bytes) {
        self.wire.send_data(data);
    }

    fn send_end(&mut self, trailers: Option<&Headers>) {
        self.sent_end = true;
        self.wire.send_end(trailers);
    }

    fn buffered(&self) -> usize {
        self.wire.buffered()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.wire.poll_flush(cx)
    }
}
