//! The body of a message: how it is framed, and taking it out of its frames (RFC 9112 §6 and §7).

use bytes::{Buf, BytesMut};

use crate::base::headers::{Headers, Known};
use crate::codec::Frame;

use super::head::HeadParser;
use super::syntax::{is_value, trim};
use super::{HeadLimits, ParseError};

/// Longest line of a chunk's size with its extensions.
const MAX_CHUNK_LINE: usize = 4096;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// What comes until the connection ends. Only responses.
    UntilClose,
}

impl Framing {
    /// The framing that a request's headers tell. `chunked_length` permits both headers, the length is
    /// ignored then.
    ///
    /// # Errors
    /// Headers that contradict each other or themselves.
    pub fn of_request(headers: &Headers, chunked_length: bool) -> Result<Self, ParseError> {
        Ok(declared(headers, chunked_length)?.unwrap_or(Framing::None))
    }

    /// That of a CONNECT, which has no content (RFC 9110 §9.3.6). A length of zero is taken off: nothing has one behind
    /// which a tunnel begins.
    ///
    /// # Errors
    /// Headers that tell of a body.
    pub fn of_connect(headers: &mut Headers) -> Result<Self, ParseError> {
        if content_length(headers)?.is_some_and(|length| length > 0) {
            return Err(ParseError::Body);
        }
        if headers.contains(Known::TransferEncoding) {
            return Err(ParseError::TransferEncoding);
        }
        headers.remove(Known::ContentLength);
        Ok(Framing::None)
    }

    /// The framing of a response with this status to a request with this method.
    ///
    /// # Errors
    /// Headers that contradict each other or themselves, or that tell of a body where there is none.
    pub fn of_response(
        headers: &Headers,
        status: u16,
        request_is_head: bool,
        chunked_length: bool,
    ) -> Result<Self, ParseError> {
        let bodiless = status == 204 || status < 200;
        if bodiless && headers.contains(Known::TransferEncoding) {
            return Err(ParseError::TransferEncoding);
        }
        let declared = declared(headers, chunked_length)?;
        // RFC 9110 §8.6: a 204 has no Content-Length. One of zero says nothing wrong.
        if status == 204 && matches!(declared, Some(Framing::Length(1..))) {
            return Err(ParseError::ContentLength);
        }
        if bodiless || status == 304 || request_is_head {
            return Ok(Framing::None);
        }
        Ok(declared.unwrap_or(Framing::UntilClose))
    }
}

fn declared(headers: &Headers, chunked_length: bool) -> Result<Option<Framing>, ParseError> {
    let length = content_length(headers)?;
    if !headers.contains(Known::TransferEncoding) {
        return Ok(length.map(Framing::Length));
    }
    let mut encodings = headers.get_all(Known::TransferEncoding.into());
    let chunked = encodings.next().is_some_and(|value| value.eq_ignore_ascii_case(b"chunked"));
    let chunked = chunked && encodings.next().is_none();
    if !chunked && length.is_none() {
        return Err(ParseError::TransferEncoding);
    }
    if length.is_some() && !(chunked && chunked_length) {
        return Err(ParseError::LengthAndEncoding);
    }
    Ok(Some(Framing::Chunked))
}

/// The one value of `Content-Length`.
fn content_length(headers: &Headers) -> Result<Option<u64>, ParseError> {
    if !headers.contains(Known::ContentLength) {
        return Ok(None);
    }
    let mut values = headers.get_all(Known::ContentLength.into());
    let first = values.next().and_then(parse_length).ok_or(ParseError::ContentLength)?;
    if values.next().is_some() {
        return Err(ParseError::ContentLength);
    }
    Ok(Some(first))
}

fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    value.iter().try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

/// Takes a body out of its frames.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    trailer_limits: HeadLimits,
}

#[derive(Debug)]
enum State {
    Length(u64),
    ChunkSize { scanned: usize },
    ChunkData(u64),
    ChunkEnd,
    Trailers(Box<(HeadParser, Headers)>),
    UntilClose,
    Done,
}

/// What decoding found.
#[derive(Debug)]
pub enum Decoded {
    /// A piece of the message.
    Frame(Frame),
    /// More bytes are needed.
    NeedMore,
    /// The message is complete.
    End,
}

impl BodyDecoder {
    /// A decoder for a body framed so.
    pub fn new(framing: Framing, trailer_limits: HeadLimits) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkSize { scanned: 0 },
            Framing::UntilClose => State::UntilClose,
        };
        BodyDecoder { state, trailer_limits }
    }

    /// Whether the message is complete.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Bytes of the body still to come, where that is known: a hint for how much to read.
    pub fn remaining(&self) -> u64 {
        match self.state {
            State::Length(left) | State::ChunkData(left) => left,
            State::UntilClose => u64::MAX,
            State::ChunkSize { .. } | State::ChunkEnd | State::Trailers(_) | State::Done => 0,
        }
    }

    /// The connection ended: whether that completes the message.
    ///
    /// # Errors
    /// [`ParseError::Incomplete`] when more had to come.
    pub fn end_of_stream(&mut self) -> Result<(), ParseError> {
        match self.state {
            State::Done | State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            _ => Err(ParseError::Incomplete),
        }
    }

    /// Takes the next piece out of the buffer.
    ///
    /// # Errors
    /// The first fault found.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, ParseError> {
        loop {
            match &mut self.state {
                State::Done => return Ok(Decoded::End),
                State::Length(_) | State::ChunkData(_) | State::UntilClose => return Ok(self.data(buffer)),
                State::ChunkSize { scanned } => match chunk_size(buffer, scanned)? {
                    None => return Ok(Decoded::NeedMore),
                    Some(0) => self.state = State::Trailers(Box::default()),
                    Some(size) => self.state = State::ChunkData(size),
                },
                State::ChunkEnd => match buffer.get(..2) {
                    None => return Ok(Decoded::NeedMore),
                    Some(b"\r\n") => {
                        buffer.advance(2);
                        self.state = State::ChunkSize { scanned: 0 };
                    }
                    Some(_) => return Err(ParseError::Chunk),
                },
                State::Trailers(trailers) => {
                    let (parser, headers) = &mut **trailers;
                    let Some(length) = parser.trailers(buffer, self.trailer_limits, headers)? else {
                        return Ok(Decoded::NeedMore);
                    };
                    buffer.advance(length);
                    let headers = std::mem::take(headers);
                    self.state = State::Done;
                    if !headers.is_empty() {
                        return Ok(Decoded::Frame(Frame::Trailers(Box::new(headers))));
                    }
                }
            }
        }
    }

    fn data(&mut self, buffer: &mut BytesMut) -> Decoded {
        if buffer.is_empty() {
            return Decoded::NeedMore;
        }
        let wanted = usize::try_from(self.remaining()).unwrap_or(usize::MAX);
        let data = buffer.split_to(buffer.len().min(wanted)).freeze();
        let taken = data.len() as u64;
        self.state = match self.state {
            State::Length(left) if left == taken => State::Done,
            State::Length(left) => State::Length(left - taken),
            State::ChunkData(left) if left == taken => State::ChunkEnd,
            State::ChunkData(left) => State::ChunkData(left - taken),
            _ => State::UntilClose,
        };
        Decoded::Frame(Frame::Data(data))
    }
}

/// Reads the line that begins a chunk.
fn chunk_size(buffer: &mut BytesMut, scanned: &mut usize) -> Result<Option<u64>, ParseError> {
    let Some(found) = memchr::memchr(b'\n', &buffer[*scanned..]) else {
        *scanned = buffer.len();
        return if buffer.len() > MAX_CHUNK_LINE { Err(ParseError::Chunk) } else { Ok(None) };
    };
    let end = *scanned + found;
    let line = buffer[..end].strip_suffix(b"\r").ok_or(ParseError::Chunk)?;
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let zeros = line[..digits].iter().take_while(|byte| **byte == b'0').count();
    let extension = trim(&line[digits..]);
    let extension_is_sound = extension.is_empty() || extension[0] == b';' && is_value(extension);
    if digits == 0 || digits - zeros > 16 || end > MAX_CHUNK_LINE || !extension_is_sound {
        return Err(ParseError::Chunk);
    }
    let text = std::str::from_utf8(&line[..digits]).map_err(|_| ParseError::Chunk)?;
    let size = u64::from_str_radix(text, 16).map_err(|_| ParseError::Chunk)?;
    buffer.advance(end + 1);
    Ok(Some(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 100, count: 2 };

    /// Body, trailers and what is left, when the bytes come in pieces of `step`.
    fn chunked(text: &[u8], step: usize) -> Result<(Vec<u8>, usize, usize), ParseError> {
        let mut decoder = BodyDecoder::new(Framing::Chunked, LIMITS);
        let (mut buffer, mut body, mut trailers) = (BytesMut::new(), Vec::new(), 0);
        let mut pieces = text.chunks(step);
        loop {
            match decoder.decode(&mut buffer)? {
                Decoded::Frame(Frame::Data(data)) => body.extend_from_slice(&data),
                Decoded::Frame(Frame::Trailers(headers)) => trailers = headers.len(),
                Decoded::End => {
                    return Ok((body, trailers, buffer.len() + pieces.map(<[u8]>::len).sum::<usize>()));
                }
                Decoded::NeedMore => match pieces.next() {
                    Some(piece) => buffer.extend_from_slice(piece),
                    None => decoder.end_of_stream()?,
                },
            }
        }
    }

    #[test]
    fn chunks_are_joined_however_they_are_cut() {
        let text = b"5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nx: y\r\n\r\nGET";
        for step in 1..text.len() {
            assert_eq!(chunked(text, step), Ok((b"hello!".to_vec(), 1, 3)), "in steps of {step}");
        }
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for text in [
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhelloX\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "\r\nhello",
            "-5\r\nhello",
            "0x5\r\nhello",
            "5 5\r\nhello",
            "11111111111111111\r\n",
            "5;\u{1}\r\nhello",
        ] {
            assert_eq!(chunked(text.as_bytes(), 100), Err(ParseError::Chunk), "{text:?}");
        }
        assert_eq!(chunked(b"5\r\nhel", 100), Err(ParseError::Incomplete));
    }

    #[test]
    fn contradicting_framing_is_refused() {
        let request = |pairs: &[(&str, &str)]| {
            let mut headers = Headers::new();
            for (name, value) in pairs {
                headers.append_received(name.as_bytes(), value.as_bytes());
            }
            Framing::of_request(&headers, false)
        };
        let (length, encoding) = ("content-length", "transfer-encoding");
        assert_eq!(request(&[(length, "5")]), Ok(Framing::Length(5)));
        assert_eq!(request(&[(encoding, "Chunked")]), Ok(Framing::Chunked));
        assert_eq!(request(&[(length, "5"), (length, "5")]), Err(ParseError::ContentLength));
        for value in ["", "+5", "-5", "5,5", "0x5", "18446744073709551616"] {
            assert_eq!(request(&[(length, value)]), Err(ParseError::ContentLength), "{value:?}");
        }
        for value in ["gzip", "chunked, gzip", "identity", "chunked,chunked"] {
            assert_eq!(request(&[(encoding, value)]), Err(ParseError::TransferEncoding), "{value:?}");
        }
        assert_eq!(request(&[(length, "5"), (encoding, "chunked")]), Err(ParseError::LengthAndEncoding));
    }

    #[test]
    fn responses_without_a_body_have_none_whatever_they_declare() {
        let mut headers = Headers::new();
        headers.append(Known::ContentLength, b"5");
        assert_eq!(Framing::of_response(&headers, 204, false, false), Err(ParseError::ContentLength));
        assert_eq!(Framing::of_response(&headers, 304, false, false), Ok(Framing::None));
        assert_eq!(Framing::of_response(&headers, 200, true, false), Ok(Framing::None));
        assert_eq!(Framing::of_response(&headers, 200, false, false), Ok(Framing::Length(5)));
        assert_eq!(Framing::of_response(&Headers::new(), 200, false, false), Ok(Framing::UntilClose));
    }
}
