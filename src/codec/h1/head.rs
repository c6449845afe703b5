//! Reads the head of a message line by line, as the bytes come in.

use crate::base::headers::{Headers, Known, joined_in_requests, joined_in_responses};

use super::syntax::{is_target, is_token, is_value, trim};
use super::{HeadLimits, ParseError};

/// The protocol version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0, and of requests whatever else is no HTTP/1.1: its sender is answered as if it could do the least.
    Http10,
    /// HTTP/1.1
    Http11,
}

/// What a request line says beside the method and the target, which go into the headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLine {
    /// The client's version.
    pub version: Version,
}

/// What a status line says beside the status, which goes into the headers too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusLine {
    /// The server's version.
    pub version: Version,
    /// 100 to 999.
    pub status: u16,
}

/// The state of reading one head, or the trailers of a message. The bytes stay in the caller's buffer until
/// the head is complete.
#[derive(Debug, Default)]
pub struct HeadParser {
    line_start: usize,
    scanned: usize,
    count: usize,
    header_bytes: u64,
    any_method: bool,
}

/// Where a header stands, which says how it is read.
#[derive(Clone, Copy)]
enum Section {
    Request,
    Response,
    Trailers,
}

/// What stands between name and value and ends the line, as Envoy counts it: without the space.
const AROUND_VALUE: u64 = 3;

/// The methods that are served: those of Envoy's codec.
const METHODS: &[&str] = &[
    "GET",
    "POST",
    "PUT",
    "HEAD",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "CONNECT",
    "TRACE",
    "ACL",
    "BIND",
    "CHECKOUT",
    "COPY",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MOVE",
    "MSEARCH",
    "NOTIFY",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "REBIND",
    "REPORT",
    "SEARCH",
    "SOURCE",
    "SUBSCRIBE",
    "UNBIND",
    "UNLINK",
    "UNLOCK",
    "UNSUBSCRIBE",
];

impl HeadParser {
    /// A parser of requests; with `any_method` of those, too, whose method nobody knows.
    pub fn new(any_method: bool) -> Self {
        HeadParser { any_method, ..HeadParser::default() }
    }

    /// Reads on in a request's head. With the line comes how many bytes the head took; `None` asks for more.
    ///
    /// # Errors
    /// The first fault found.
    pub fn request(
        &mut self,
        buffer: &[u8],
        limits: HeadLimits,
        headers: &mut Headers,
    ) -> Result<Option<(RequestLine, usize)>, ParseError> {
        let line = if self.any_method { request_line::<true> } else { request_line::<false> };
        self.read(buffer, limits, headers, line, Section::Request)
    }

    /// Reads on in a response's head.
    ///
    /// # Errors
    /// The first fault found.
    pub fn response(
        &mut self,
        buffer: &[u8],
        limits: HeadLimits,
        headers: &mut Headers,
    ) -> Result<Option<(StatusLine, usize)>, ParseError> {
        self.read(buffer, limits, headers, status_line, Section::Response)
    }

    /// Reads on in trailers, up to the empty line.
    ///
    /// # Errors
    /// The first fault found.
    pub fn trailers(
        &mut self,
        buffer: &[u8],
        limits: HeadLimits,
        headers: &mut Headers,
    ) -> Result<Option<usize>, ParseError> {
        while let Some(line) = self.next_line(buffer, limits)? {
            if line.is_empty() {
                return Ok(Some(self.line_start));
            }
            self.header(line, limits, headers, Section::Trailers)?;
        }
        Ok(None)
    }

    /// Bytes of the headers read: names, values and what is around them, without white space. As in Envoy a head
    /// without any counts as one that is empty.
    pub fn header_bytes(&self) -> u64 {
        self.header_bytes.max(AROUND_VALUE)
    }

    fn read<Line>(
        &mut self,
        buffer: &[u8],
        limits: HeadLimits,
        headers: &mut Headers,
        first_line: fn(&[u8], &mut Headers) -> Result<Line, ParseError>,
        section: Section,
    ) -> Result<Option<(Line, usize)>, ParseError> {
        // The first line is cheap to read again, which saves keeping it across reads.
        let mut first = None;
        if self.line_start == 0 {
            let Some(line) = self.next_line(buffer, limits)? else {
                return Ok(None);
            };
            headers.clear();
            first = Some(first_line(line, headers)?);
        }
        while let Some(line) = self.next_line(buffer, limits)? {
            if line.is_empty() {
                headers.join_repeated();
                let first = match first {
                    Some(first) => first,
                    None => first_line(first_line_of(buffer), &mut Headers::new())?,
                };
                return Ok(Some((first, self.line_start)));
            }
            self.header(line, limits, headers, section)?;
        }
        Ok(None)
    }

    /// The next whole line without its end.
    fn next_line<'b>(
        &mut self,
        buffer: &'b [u8],
        limits: HeadLimits,
    ) -> Result<Option<&'b [u8]>, ParseError> {
        let Some(found) = memchr::memchr(b'\n', &buffer[self.scanned..]) else {
            self.scanned = buffer.len();
            return if buffer.len() > limits.bytes { Err(ParseError::HeadTooLarge) } else { Ok(None) };
        };
        let end = self.scanned + found;
        if end >= limits.bytes {
            return Err(ParseError::HeadTooLarge);
        }
        let line = &buffer[self.line_start..end];
        let Some((b'\r', line)) = line.split_last().map(|(last, line)| (*last, line)) else {
            return Err(ParseError::LineEnd);
        };
        self.line_start = end + 1;
        self.scanned = end + 1;
        Ok(Some(line))
    }

    /// Reads one header.
    fn header(
        &mut self,
        line: &[u8],
        limits: HeadLimits,
        headers: &mut Headers,
        section: Section,
    ) -> Result<(), ParseError> {
        self.count += 1;
        if self.count > limits.count {
            return Err(ParseError::TooManyHeaders);
        }
        if matches!(line[0], b' ' | b'\t') {
            return Err(ParseError::Fold);
        }
        let colon = memchr::memchr(b':', line).ok_or(ParseError::HeaderName)?;
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        if !is_token(name) {
            return Err(fault(name, ParseError::HeaderName));
        }
        if !is_value(value) {
            return Err(if value.contains(&b'\r') { ParseError::LineEnd } else { ParseError::HeaderValue });
        }
        self.header_bytes += (name.len() + value.len()) as u64 + AROUND_VALUE;
        match section {
            Section::Request if name.eq_ignore_ascii_case(b"host") => {
                if headers.contains(Known::Authority) {
                    return Err(ParseError::RepeatedHost);
                }
                headers.append(Known::Authority, value);
            }
            Section::Request => headers.append_received_joined(name, value, joined_in_requests),
            Section::Response => headers.append_received_joined(name, value, joined_in_responses),
            Section::Trailers => headers.append_received(name, value),
        }
        Ok(())
    }
}

/// Bytes of trailers, counted as [`HeadParser::header_bytes`] counts headers.
pub(super) fn size(trailers: &Headers) -> u64 {
    trailers.byte_size() as u64 + trailers.len() as u64 * AROUND_VALUE
}

/// Whether a request may begin with this byte. Where it may not, nothing is waited for: a line's end may never come, as
/// behind the first bytes of TLS.
pub(super) fn begins_a_request(byte: u8) -> bool {
    byte > b' '
}

/// Whether a response begins with this byte.
pub(super) fn begins_a_response(byte: u8) -> bool {
    byte == b'H'
}

fn first_line_of(buffer: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'\n', buffer).unwrap_or(buffer.len());
    buffer[..end].strip_suffix(b"\r").unwrap_or(&buffer[..end])
}

fn request_line<const ANY_METHOD: bool>(
    line: &[u8],
    headers: &mut Headers,
) -> Result<RequestLine, ParseError> {
    let method_end = memchr::memchr(b' ', line).ok_or(ParseError::RequestLine)?;
    let target_end = memchr::memrchr(b' ', line).ok_or(ParseError::RequestLine)?;
    let method = &line[..method_end];
    let known = (ANY_METHOD && is_token(method)) || METHODS.iter().any(|known| known.as_bytes() == method);
    if method_end == target_end {
        // HTTP/0.9 has no version.
        return Err(if known { ParseError::Version } else { ParseError::RequestLine });
    }
    let target = &line[method_end + 1..target_end];
    if !known {
        return Err(fault(method, ParseError::Method));
    }
    if !is_target(target) {
        return Err(fault(target, ParseError::Target));
    }
    let version = request_version(&line[target_end + 1..])?;
    headers.append(Known::Path, target);
    headers.append(Known::Method, method);
    Ok(RequestLine { version })
}

fn status_line(line: &[u8], headers: &mut Headers) -> Result<StatusLine, ParseError> {
    let (version_text, rest) = line.split_at_checked(8).ok_or(ParseError::StatusLine)?;
    let version = response_version(version_text)?;
    let [b' ', digits @ ..] = rest else {
        return Err(ParseError::StatusLine);
    };
    let (status, reason) = digits.split_at_checked(3).ok_or(ParseError::StatusLine)?;
    let reason_is_sound = reason.is_empty() || reason[0] == b' ' && is_value(reason);
    if !status.iter().all(u8::is_ascii_digit) || status[0] == b'0' || !reason_is_sound {
        return Err(ParseError::StatusLine);
    }
    headers.append(Known::Status, status);
    let status = status.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    Ok(StatusLine { version, status })
}

fn request_version(text: &[u8]) -> Result<Version, ParseError> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Ok(Version::Http10)
        }
        // HTTP/0.9 has no version.
        b"" => Err(ParseError::Version),
        _ => Err(ParseError::RequestLine),
    }
}

fn response_version(text: &[u8]) -> Result<Version, ParseError> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        _ => Err(ParseError::StatusLine),
    }
}

/// Which error a line with these bytes makes: some must stand nowhere in a head.
fn fault(bytes: &[u8], otherwise: ParseError) -> ParseError {
    let is_control = |byte: &u8| matches!(byte, 0..=8 | 11 | 12 | 14..=31 | 127);
    if bytes.iter().any(is_control) { ParseError::HeaderValue } else { otherwise }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 200, count: 3 };

    fn request(text: &str) -> Result<Option<usize>, ParseError> {
        let mut headers = Headers::new();
        HeadParser::default()
            .request(text.as_bytes(), LIMITS, &mut headers)
            .map(|found| found.map(|(_, length)| length))
    }

    #[test]
    fn a_request_is_read_however_it_is_cut() {
        let text = b"GET /a?b HTTP/1.1\r\nHost: h\r\nX-Y:  z \r\n\r\nrest";
        for cut in 0..text.len() {
            let mut parser = HeadParser::default();
            let mut headers = Headers::new();
            let early = parser.request(&text[..cut], LIMITS, &mut headers);
            let done = match early {
                Ok(None) => parser.request(text, LIMITS, &mut headers),
                other => other,
            };
            assert_eq!(
                done,
                Ok(Some((RequestLine { version: Version::Http11 }, text.len() - 4))),
                "cut at {cut}"
            );
            assert_eq!(headers.get(Known::Authority), Some(&b"h"[..]));
            assert_eq!(headers.get(Known::Path), Some(&b"/a?b"[..]));
            assert_eq!(headers.get_by_name(b"x-y"), Some(&b"z"[..]));
            assert_eq!(headers.len(), 4);
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (text, error) in [
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", ParseError::LineEnd),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", ParseError::LineEnd),
            ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", ParseError::LineEnd),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", ParseError::HeaderName),
            ("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", ParseError::RepeatedHost),
            ("GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", ParseError::Fold),
            ("GET / HTTP/1.1\r\nX: a\0\r\n\r\n", ParseError::HeaderValue),
            ("GET / HTTP/1.1\r\n: a\r\n\r\n", ParseError::HeaderName),
            ("GET / HTTP/1.1\r\nnocolon\r\n\r\n", ParseError::HeaderName),
            ("GET  / HTTP/1.1\r\n\r\n", ParseError::Target),
            ("GET /\r\n\r\n", ParseError::Version),
            ("GET / \r\n\r\n", ParseError::Version),
            ("GET / HTTP/11\r\n\r\n", ParseError::RequestLine),
            ("get / HTTP/1.1\r\n\r\n", ParseError::Method),
            ("GET /\u{1} HTTP/1.1\r\n\r\n", ParseError::HeaderValue),
            ("GET /\t HTTP/1.1\r\n\r\n", ParseError::Target),
            ("GET / HTTP/1.1\r\na: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\n\r\n", ParseError::TooManyHeaders),
        ] {
            assert_eq!(request(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_request_of_any_version_that_is_not_1_1_is_read_as_one_of_1_0() {
        for version in ["0.9", "1.0", "1.2", "2.0", "9.9"] {
            let text = format!("GET / HTTP/{version}\r\n\r\n");
            let line = HeadParser::default().request(text.as_bytes(), LIMITS, &mut Headers::new());
            let expected = RequestLine { version: Version::Http10 };
            assert_eq!(line.map(|found| found.map(|(line, _)| line)), Ok(Some(expected)), "{version}");
        }
    }

    #[test]
    fn host_is_a_header_like_any_other_in_a_response() {
        let text = b"HTTP/1.1 200 OK\r\nX: 1\r\nHost: a\r\nHost: b\r\n\r\n";
        let mut headers = Headers::new();
        HeadParser::default().response(text, LIMITS, &mut headers).expect("a response");
        let names: Vec<_> = headers.iter().map(|(name, _)| name.as_bytes().to_vec()).collect();
        assert_eq!(names, [&b":status"[..], b"x", b"host", b"host"]);
    }

    #[test]
    fn a_head_over_its_limit_is_refused_before_it_is_complete() {
        let text = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(200));
        assert_eq!(request(&text), Err(ParseError::HeadTooLarge));
    }

    #[test]
    fn a_status_must_have_three_digits_and_not_begin_with_zero() {
        let parse = |text: &str| {
            HeadParser::default()
                .response(text.as_bytes(), LIMITS, &mut Headers::new())
                .map(|found| found.map(|(line, _)| line.status))
        };
        assert_eq!(parse("HTTP/1.1 200 OK\r\n\r\n"), Ok(Some(200)));
        assert_eq!(parse("HTTP/1.0 404\r\n\r\n"), Ok(Some(404)));
        for text in [
            "HTTP/1.1 099 X\r\n\r\n",
            "HTTP/1.1 1000 X\r\n\r\n",
            "HTTP/1.1 20x\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
        ] {
            assert_eq!(parse(text), Err(ParseError::StatusLine), "{text:?}");
        }
    }
}
