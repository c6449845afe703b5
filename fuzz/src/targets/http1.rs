//! HTTP/1.1 as it comes from strangers: heads and bodies, whole and in pieces, and what we write of them.

use bytes::{Bytes, BytesMut};
use dragoman::base::headers::{Headers, Known};
use dragoman::codec::Frame;
use dragoman::codec::h1::body::Decoded;
use dragoman::codec::h1::encode::RequestForm;
use dragoman::codec::h1::{BodyDecoder, Framing, HeadLimits, HeadParser, Output, ParseError, encode};

use super::Target;
use crate::corpus;

/// A request and what follows it.
pub(super) const REQUESTS: Target = Target {
    name: "http1-requests",
    run: |data| {
        let (whole, headers) = head(HeadParser::request, data, data.len());
        let (pieces, again) = head(HeadParser::request, data, 1);
        assert_eq!(whole, pieces, "arriving in pieces must not matter");
        let Ok(Some((_, used))) = whole else { return };
        assert!(headers.iter().eq(again.iter()));
        if let Ok(framing) = Framing::of_request(&headers, false)
            && let Some(message) = body(framing, &data[used..])
        {
            forwarded(headers, framing, &message);
        }
    },
    seeds: || corpus::load(&["fuzz/corpus/http1/requests"]),
    dictionary: WORDS,
};

/// A response to a request that is no HEAD, and what follows it.
pub(super) const RESPONSES: Target = Target {
    name: "http1-responses",
    run: |data| {
        let (whole, headers) = head(HeadParser::response, data, data.len());
        let (pieces, again) = head(HeadParser::response, data, 1);
        assert_eq!(whole, pieces, "arriving in pieces must not matter");
        let Ok(Some((line, used))) = whole else { return };
        assert!(headers.iter().eq(again.iter()));
        if let Ok(framing) = Framing::of_response(&headers, line.status, false, false) {
            body(framing, &data[used..]);
        }
    },
    seeds: || corpus::load(&["fuzz/corpus/http1/responses"]),
    dictionary: WORDS,
};

const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b" \r\n",
    b"Host: b\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: +5\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: transfer-encoding\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"10000000000000000\r\n",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"http://a/",
    b"*",
];

/// Above what an input of the driver can reach: the limits have tests of their own.
const LIMITS: HeadLimits = HeadLimits { bytes: 1 << 20, count: 1 << 16 };

/// What a parser says of a head, and how many bytes it took.
type Parsed<Line> = Result<Option<(Line, usize)>, ParseError>;
type Parse<Line> = fn(&mut HeadParser, &[u8], HeadLimits, &mut Headers) -> Parsed<Line>;

/// Reads a head that arrives `step` bytes at a time.
fn head<Line>(parse: Parse<Line>, data: &[u8], step: usize) -> (Parsed<Line>, Headers) {
    let (mut parser, mut headers) = (HeadParser::default(), Headers::new());
    let mut arrived = 0;
    loop {
        arrived = data.len().min(arrived + step.max(1));
        let parsed = parse(&mut parser, &data[..arrived], LIMITS, &mut headers);
        if arrived == data.len() || !matches!(parsed, Ok(None)) {
            return (parsed, headers);
        }
    }
}

/// A body that came to its end.
#[derive(Debug, Default, PartialEq)]
struct Body {
    data: Vec<u8>,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes that belong to the next message.
    surplus: usize,
}

/// Decodes a body whole and byte by byte. `None` for one that is malformed or not all there.
fn body(framing: Framing, data: &[u8]) -> Option<Body> {
    let whole = decode(framing, data, data.len());
    let pieces = decode(framing, data, 1);
    assert_eq!(whole, pieces, "arriving in pieces must not matter");
    whole.ok()
}

fn decode(framing: Framing, data: &[u8], step: usize) -> Result<Body, ParseError> {
    let mut decoder = BodyDecoder::new(framing, LIMITS);
    let (mut body, mut buffer, mut rest) = (Body::default(), BytesMut::new(), data);
    loop {
        match decoder.decode(&mut buffer)? {
            Decoded::Frame(Frame::Data(piece)) => body.data.extend_from_slice(&piece),
            Decoded::Frame(Frame::Trailers(trailers)) => body.trailers = owned(&trailers),
            Decoded::End => {
                body.surplus = buffer.len() + rest.len();
                return Ok(body);
            }
            Decoded::NeedMore if rest.is_empty() => {
                decoder.end_of_stream()?;
            }
            Decoded::NeedMore => {
                let (now, later) = rest.split_at(rest.len().min(step.max(1)));
                buffer.extend_from_slice(now);
                rest = later;
            }
        }
    }
}

fn owned(headers: &Headers) -> Vec<(Vec<u8>, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect()
}

/// What we write of a request is read again as the same request and nothing beside it.
fn forwarded(mut headers: Headers, framing: Framing, message: &Body) {
    // Its target is another header; `Transfer-Encoding` is for one connection and is not forwarded.
    if headers.get(Known::Method) == Some(b"CONNECT") {
        return;
    }
    headers.remove(Known::TransferEncoding);
    let bodiless = matches!(framing, Framing::None);
    let mut out = Output::default();
    let encoder =
        encode::request(&headers, RequestForm { end: bodiless, ..RequestForm::default() }, &mut out);
    encode::data(encoder, Bytes::copy_from_slice(&message.data), &mut out);
    if !bodiless {
        encode::end(encoder, None, &mut out);
    }
    let written = out.text().clone();
    let (parsed, read) = head(HeadParser::request, &written, written.len());
    let (_, used) = parsed.ok().flatten().unwrap_or_else(|| panic!("cannot be read again: {written:?}"));
    let framing = Framing::of_request(&read, false);
    let again = framing.and_then(|framing| decode(framing, &written[used..], written.len()));
    let again = again.unwrap_or_else(|error| panic!("{error}: {written:?}"));
    assert_eq!((&again.data, again.surplus), (&message.data, 0), "{written:?}");
    for name in [Known::Method, Known::Path, Known::Authority] {
        assert_eq!(read.get(name), headers.get(name), "{written:?}");
    }
}
