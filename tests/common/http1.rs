//! Just enough HTTP/1.1 to know where a message ends. Lenient on purpose: what a subject sent is shown, not judged.

use std::collections::BTreeMap;

use serde_json::Value;

use super::text::show;

/// Which message is read; it decides how far the body goes.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A request: no body without `content-length` or `transfer-encoding`.
    Request,
    /// A response to a request that was not HEAD.
    Response,
    /// A response to HEAD: never a body.
    ResponseToHead,
}

/// A message at the start of a buffer.
pub(crate) struct Message {
    /// Bytes it takes up in the buffer.
    pub(crate) length: usize,
    /// Its transcript: head, blank line, body, blank line, trailers. The chunks of a body are joined, since their borders mean nothing.
    pub(crate) shown: String,
    /// Its content, unchunked.
    pub(crate) body: Vec<u8>,
    /// The status of a response, 0 in a request.
    pub(crate) status: u16,
    /// Whether it ends only where the connection does.
    pub(crate) until_close: bool,
}

/// Reads the message at the start of `buffer`; `None` when it is not complete. `closed` says that no more will come.
pub(crate) fn read(buffer: &[u8], kind: Kind, closed: bool) -> Option<Message> {
    let head_length = find(buffer, b"\r\n\r\n")? + 4;
    let head = &buffer[..head_length - 4];
    let status = status(head);
    let body = &buffer[head_length..];
    let mut until_close = false;
    let (body, trailers, body_length) = match framing(head, kind, status) {
        Framing::None => (Vec::new(), String::new(), 0),
        Framing::Length(length) => (body.get(..length)?.to_vec(), String::new(), length),
        Framing::Chunked => chunked(body)?,
        Framing::UntilClose if closed => {
            until_close = true;
            (body.to_vec(), String::new(), body.len())
        }
        Framing::UntilClose => return None,
    };
    let gap = if body.is_empty() { "" } else { "\n\n" };
    let shown = format!("{}{gap}{}{trailers}", show(head), show_body(head, &body));
    Some(Message { length: head_length + body_length, shown, body, status, until_close })
}

/// `body` as text; JSON with its keys sorted, since their order means nothing.
fn show_body(head: &[u8], body: &[u8]) -> String {
    let is_json = header(head, "content-type").is_some_and(|kind| kind == "application/json");
    let value = if is_json { serde_json::from_slice(body).ok() } else { None };
    match value {
        Some(value) => format!("{:#}", sorted(value)),
        None => show(body),
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> =
                fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            fields.into_iter().collect()
        }
        other => other,
    }
}

/// The head at the start of `buffer` with its blank line, when it is complete.
pub(crate) fn head(buffer: &[u8]) -> Option<&[u8]> {
    Some(&buffer[..find(buffer, b"\r\n\r\n")? + 4])
}

enum Framing {
    None,
    Length(usize),
    Chunked,
    UntilClose,
}

fn framing(head: &[u8], kind: Kind, status: u16) -> Framing {
    if matches!(kind, Kind::ResponseToHead) || matches!(status, 100..=199 | 204 | 304) {
        return Framing::None;
    }
    if header(head, "transfer-encoding").is_some_and(|value| value.ends_with("chunked")) {
        return Framing::Chunked;
    }
    match header(head, "content-length").and_then(|value| value.parse().ok()) {
        Some(length) => Framing::Length(length),
        None if matches!(kind, Kind::Request) => Framing::None,
        None => Framing::UntilClose,
    }
}

fn status(head: &[u8]) -> u16 {
    let text = show(head);
    if !text.starts_with("HTTP/") {
        return 0;
    }
    text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// The value of the first header `name` in `head`, in lower case.
fn header(head: &[u8], name: &str) -> Option<String> {
    show(head).to_ascii_lowercase().lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().to_owned())
    })
}

/// Joins the chunks at the start of `body`: the content, the trailers as shown, and the bytes it all took.
fn chunked(body: &[u8]) -> Option<(Vec<u8>, String, usize)> {
    let mut content = Vec::new();
    let mut at = 0;
    loop {
        let line_end = find(body.get(at..)?, b"\r\n")?;
        let line = String::from_utf8_lossy(&body[at..at + line_end]).into_owned();
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16).ok()?;
        at += line_end + 2;
        if size == 0 {
            break;
        }
        // The end of a chunk that is said to be longer than anything has not come, and never will.
        let end = at.checked_add(size)?;
        content.extend_from_slice(body.get(at..end)?);
        at = end.checked_add(2)?;
    }
    let rest = body.get(at..)?;
    if rest.starts_with(b"\r\n") {
        return Some((content, String::new(), at + 2));
    }
    let trailers = find(rest, b"\r\n\r\n")?;
    Some((content, format!("\n\n{}", show(&rest[..trailers])), at + trailers + 4))
}

/// Where `needle` starts in `haystack`.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
