//! Writes messages, unambiguously: one framing, no header that only this connection is meant for.

use bytes::{BufMut, Bytes};

use crate::base::headers::{Headers, Known, Name, Spelling};

use super::Output;
use super::head::Version;

/// How the body of a message is framed when it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyEncoder {
    /// As it comes: its length was told, there is none, or the connection's end is its end.
    #[default]
    Plain,
    /// In chunks.
    Chunked,
}

/// How a request is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestForm {
    /// No body follows.
    pub end: bool,
    /// What follows is no message.
    pub upgrade: bool,
    /// The target is the whole URL (RFC 9112 §3.2.2).
    pub whole_url: bool,
}

/// Writes a request's head.
pub fn request(headers: &Headers, form: RequestForm, out: &mut Output) -> BodyEncoder {
    let RequestForm { end, upgrade, whole_url } = form;
    let method = headers.get(Known::Method).unwrap_or(b"GET");
    let text = out.text();
    text.put_slice(method);
    text.put_u8(b' ');
    let is_connect = method == b"CONNECT";
    let authority = headers.get(Known::Authority).unwrap_or_default();
    if is_connect {
        text.put_slice(authority);
    } else {
        if whole_url && !authority.is_empty() {
            text.put_slice(headers.get(Known::Scheme).unwrap_or(b"http"));
            text.put_slice(b"://");
            text.put_slice(authority);
        }
        text.put_slice(headers.get(Known::Path).unwrap_or(b"/"));
    }
    text.put_slice(b" HTTP/1.1\r\n");
    out.begin_headers();
    let bodiless = matches!(method, b"GET" | b"HEAD" | b"DELETE" | b"TRACE" | b"CONNECT");
    let told = fields(headers, out);
    finish_head(headers.spelling(), out, told || upgrade, end, bodiless)
}

/// How a response begins.
#[derive(Clone, Copy, Debug)]
pub struct ResponseLine {
    /// The client's version, which the answer repeats.
    pub version: Version,
    /// 200 to 999.
    pub status: u16,
    /// False for 204 and 304.
    pub may_have_body: bool,
    /// Whether HEAD was asked: the framing is told, but no body follows.
    pub to_head: bool,
    /// Whether chunks are understood: HTTP/1.0 has none.
    pub chunk: bool,
}

/// Writes a response's head. `end` says that no body follows.
pub fn response(headers: &Headers, line: ResponseLine, end: bool, out: &mut Output) -> BodyEncoder {
    let spelling = headers.spelling();
    let phrase = spelling.map(Spelling::reason).filter(|phrase| !phrase.is_empty());
    status_line(line.version, line.status, phrase, out);
    // RFC 9110 §8.6: never in a 204.
    let told = if line.status == 204 {
        fields_but(headers, Some(Known::ContentLength), out)
    } else {
        fields(headers, out)
    };
    if line.to_head && line.may_have_body && line.chunk && !told {
        finish_head(spelling, out, false, false, false);
        return BodyEncoder::Plain;
    }
    let silent = told || !line.may_have_body || line.to_head || (!line.chunk && !end);
    finish_head(spelling, out, silent, end, false)
}

/// Writes the head of an informational response, which has no body.
pub fn informational(headers: &Headers, version: Version, status: u16, out: &mut Output) {
    status_line(version, status, None, out);
    fields(headers, out);
    out.end_headers();
    out.text().put_slice(b"\r\n");
}

/// Writes a piece of a body.
pub fn data(encoder: BodyEncoder, data: Bytes, out: &mut Output) {
    if data.is_empty() {
        return;
    }
    match encoder {
        BodyEncoder::Plain => out.push(data),
        BodyEncoder::Chunked => {
            put_hex(data.len(), out);
            out.push(data);
            out.text().put_slice(b"\r\n");
        }
    }
}

/// Ends a body, with trailers where the framing has room for them.
pub fn end(encoder: BodyEncoder, trailers: Option<&Headers>, out: &mut Output) {
    if encoder == BodyEncoder::Plain {
        return;
    }
    out.text().put_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        out.begin_headers();
        fields(trailers, out);
        out.end_headers();
    }
    out.text().put_slice(b"\r\n");
}

fn finish_head(
    spelling: Option<&Spelling>,
    out: &mut Output,
    told: bool,
    end: bool,
    bodiless: bool,
) -> BodyEncoder {
    let encoder = if told || end { BodyEncoder::Plain } else { BodyEncoder::Chunked };
    if encoder == BodyEncoder::Chunked {
        out.put_name(b"transfer-encoding", spelling);
        out.text().put_slice(b": chunked\r\n");
    } else if !told && !bodiless {
        out.put_name(b"content-length", spelling);
        out.text().put_slice(b": 0\r\n");
    }
    out.end_headers();
    out.text().put_slice(b"\r\n");
    encoder
}

/// Writes the headers that are no pseudo-headers; tells whether `Content-Length` was among them.
fn fields(headers: &Headers, out: &mut Output) -> bool {
    fields_but(headers, None, out)
}

/// The same, leaving one out.
fn fields_but(headers: &Headers, without: Option<Known>, out: &mut Output) -> bool {
    for (name, value) in headers.iter() {
        let name = match name {
            Name::Known(Known::Authority) => b"host",
            Name::Known(known) if known.is_pseudo() || Some(known) == without => continue,
            Name::Known(known) => known.as_str().as_bytes(),
            Name::Other(name) => name,
        };
        out.text().reserve(name.len() + value.len() + 4);
        out.put_name(name, headers.spelling());
        let text = out.text();
        text.put_slice(b": ");
        text.put_slice(value);
        text.put_slice(b"\r\n");
    }
    headers.contains(Known::ContentLength)
}

fn status_line(version: Version, status: u16, phrase: Option<&[u8]>, out: &mut Output) {
    let text = out.text();
    text.put_slice(match version {
        Version::Http10 => b"HTTP/1.0 ",
        Version::Http11 => b"HTTP/1.1 ",
    });
    text.put_slice(itoa::Buffer::new().format(status).as_bytes());
    text.put_u8(b' ');
    text.put_slice(phrase.unwrap_or(reason(status).as_bytes()));
    text.put_slice(b"\r\n");
    out.begin_headers();
}

fn put_hex(mut number: usize, out: &mut Output) {
    let mut digits = [0; 16];
    let mut at = digits.len();
    while number > 0 {
        at -= 1;
        digits[at] = b"0123456789abcdef"[number % 16];
        number /= 16;
    }
    let text = out.text();
    text.put_slice(&digits[at..]);
    text.put_slice(b"\r\n");
}

/// The reason phrase that Envoy's codec writes.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Payload Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Entity",
        423 => "Locked",
        424 => "Failed Dependency",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        510 => "Not Extended",
        511 => "Network Authentication Required",
        599 => "Last Unassigned Server Error Code",
        _ => "Unknown",
    }
}
