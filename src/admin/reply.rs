//! What an endpoint answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::Frame;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::{log, traffic};

/// Content type of texts.
const TEXT: &str = "text/plain; charset=UTF-8";
/// Content type of pages.
const HTML: &str = "text/html; charset=UTF-8";
/// Content type of JSON.
const JSON: &str = "application/json";

/// An answer: status, content type and body.
pub struct Reply {
    /// The status.
    pub status: u16,
    /// `content-type`
    pub content_type: &'static str,
    /// The body.
    pub body: Body,
    /// Whether `x-content-type-options` comes twice, as Envoy has it on the errors of `/config_dump`.
    pub doubled_options: bool,
}

impl Reply {
    /// A text.
    pub fn text(status: u16, text: impl Into<Bytes>) -> Self {
        Self::new(status, TEXT, Body::whole(text.into()))
    }

    /// The text `OK` and a line break.
    pub fn ok() -> Self {
        Self::text(200, "OK\n")
    }

    /// JSON, indented by one blank for each level as Envoy does.
    pub fn json(value: &Value) -> Self {
        Self::new(200, JSON, Body::whole(pretty(value).into()))
    }

    /// A page for browsers.
    pub fn html(page: String) -> Self {
        Self::new(200, HTML, Body::whole(page.into()))
    }

    /// A text made piece by piece.
    pub fn text_pieces(pieces: impl Iterator<Item = Bytes> + 'static) -> Self {
        Self::new(200, TEXT, Body::of(pieces))
    }

    /// A page made piece by piece.
    pub fn html_pieces(pieces: impl Iterator<Item = Bytes> + 'static) -> Self {
        Self::new(200, HTML, Body::of(pieces))
    }

    /// JSON made piece by piece.
    pub fn json_pieces(pieces: impl Iterator<Item = Bytes> + 'static) -> Self {
        Self::new(200, JSON, Body::of(pieces))
    }

    /// An error of `/config_dump` about what a pattern may say.
    pub fn plain_error(status: u16, text: String) -> Self {
        Self::new(status, "text/plain", Body::whole(text.into()))
    }

    /// An error of `/config_dump`.
    pub fn dump_error(status: u16, text: String) -> Self {
        Reply { doubled_options: true, ..Self::new(status, "text/plain", Body::whole(text.into())) }
    }

    fn new(status: u16, content_type: &'static str, body: Body) -> Self {
        Reply { status, content_type, body, doubled_options: false }
    }
}

/// Indented JSON and a line break.
pub(super) fn pretty(value: &Value) -> String {
    let mut out = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(b" "));
    // Writing to a vector does not fail, and a `Value` has only keys that are texts.
    serde::Serialize::serialize(value, &mut serializer).unwrap_or_default();
    out.push(b'\n');
    String::from_utf8(out).unwrap_or_default()
}

/// JSON whose lines after the first are moved to the right.
pub(super) fn indented(value: &Value, by: usize) -> String {
    pretty(value).trim_end().replace('\n', &format!("\n{}", " ".repeat(by)))
}

/// A body: pieces, each made when the one before it has been taken.
pub struct Body {
    pieces: Box<dyn Iterator<Item = Bytes>>,
    /// Whether other tasks are to run before the next piece is made.
    resting: bool,
    /// The request that it answers.
    active: Option<traffic::Request>,
    /// The line about it in the access logs.
    line: Option<log::Line>,
}

impl Body {
    fn whole(bytes: Bytes) -> Self {
        Self::of(std::iter::once(bytes))
    }

    fn of(pieces: impl Iterator<Item = Bytes> + 'static) -> Self {
        Body { pieces: Box::new(pieces), resting: false, active: None, line: None }
    }

    /// Keeps the request counted as active, and its line in the access logs unwritten, until the body is gone.
    pub(super) fn hold(&mut self, request: traffic::Request, line: Option<log::Line>) {
        self.active = Some(request);
        self.line = line;
    }
}

impl Iterator for Body {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.pieces.next()
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::take(&mut self.resting) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.resting = true;
        let this = &mut *self;
        let piece = this.pieces.next();
        if let (Some(line), Some(piece)) = (&mut this.line, &piece) {
            line.sent(piece.len());
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}
