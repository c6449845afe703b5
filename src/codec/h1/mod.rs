//! HTTP/1.1 (RFC 9112), strict: what two implementations could read differently is refused.

pub mod body;
pub mod client;
pub mod encode;
pub mod head;
pub mod output;
pub mod server;
mod syntax;
mod wire;

pub use body::{BodyDecoder, Framing};
pub use client::Client;
pub use head::{HeadParser, RequestLine, StatusLine};
pub use output::Output;
pub use server::Server;

use std::fmt;

/// Why a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The first line is no request line.
    RequestLine,
    /// The method is none that is served.
    Method,
    /// The request target is malformed.
    Target,
    /// The version is neither 1.0 nor 1.1.
    Version,
    /// The first line is no status line, or its status is not between 100 and 999.
    StatusLine,
    /// A line ends in a bare LF, or has a bare CR in it.
    LineEnd,
    /// A header's name has a character that no token has.
    HeaderName,
    /// A header's value has a control character.
    HeaderValue,
    /// A header goes on in the next line (obs-fold, RFC 9112 §5.2).
    Fold,
    /// The head is longer than allowed.
    HeadTooLarge,
    /// There are more headers than allowed.
    TooManyHeaders,
    /// `Host` comes twice.
    RepeatedHost,
    /// `Content-Length` is no number, or comes twice with different values.
    ContentLength,
    /// `Transfer-Encoding` is not just `chunked`, or stands where it must not.
    TransferEncoding,
    /// Both `Content-Length` and `Transfer-Encoding` (RFC 9112 §6.1).
    LengthAndEncoding,
    /// A chunk's size or its end is malformed.
    Chunk,
    /// The connection ended within the message.
    Incomplete,
    /// A frame or a field that HTTP/2 forbids.
    Frame,
    /// A name has an underscore, where that is not allowed.
    Underscore,
    /// A CONNECT that tells of a body.
    Body,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseError::RequestLine => "malformed request line",
            ParseError::Method => "unknown method",
            ParseError::Target => "malformed request target",
            ParseError::Version => "unsupported version",
            ParseError::StatusLine => "malformed status line",
            ParseError::LineEnd => "line not ended by CR LF",
            ParseError::HeaderName => "invalid character in a header name",
            ParseError::HeaderValue => "control character in a header value",
            ParseError::Fold => "folded header",
            ParseError::HeadTooLarge => "headers too large",
            ParseError::TooManyHeaders => "too many headers",
            ParseError::RepeatedHost => "repeated host",
            ParseError::ContentLength => "invalid content-length",
            ParseError::TransferEncoding => "unsupported transfer-encoding",
            ParseError::LengthAndEncoding => "both content-length and transfer-encoding",
            ParseError::Chunk => "malformed chunk",
            ParseError::Frame => "malformed HTTP/2",
            ParseError::Underscore => "underscore in a header name",
            ParseError::Body => "body of a CONNECT",
            ParseError::Incomplete => "connection ended within a message",
        })
    }
}

impl std::error::Error for ParseError {}

/// How much head a peer may send.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes of the whole head.
    pub bytes: usize,
    /// Number of headers.
    pub count: usize,
}

/// What a connection may take of a peer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of a message's head.
    pub head: HeadLimits,
    /// `per_connection_buffer_limit_bytes` of the listener or cluster; bounds what is read at once.
    pub buffer_bytes: Option<u32>,
}
