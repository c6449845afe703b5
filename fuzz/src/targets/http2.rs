//! Request heads as they come over HTTP/2, and what goes to a host that speaks HTTP/1.1 of them.

use std::future::poll_fn;

use bytes::BytesMut;
use dragoman::base::headers::{Headers, Known};
use dragoman::base::io::Io;
use dragoman::codec::h1::encode::RequestForm;
use dragoman::codec::h1::{HeadLimits, HeadParser, Output, ParseError, encode};
use dragoman::codec::h2::{Server, Settings};
use dragoman::config::protocol::Http2Options;
use dragoman::observability::stats::{Http2Stats, Registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use super::Target;
use crate::corpus;

/// Fields, each `name` [`EQUALS`] `value`, with [`NEXT`] between them: a head is made of them as it is, so what is
/// mutated is what a peer says and not how HPACK says it.
pub(super) const HEADS: Target = Target {
    name: "http2-heads",
    run: |data| {
        let block = block(data);
        if block.len() > MAX_BLOCK {
            return;
        }
        if let Some(headers) = RUNTIME.with(|runtime| runtime.block_on(head(&block))) {
            forwarded(&headers);
        }
    },
    seeds: || corpus::load(&["fuzz/corpus/http2"]),
    dictionary: &[
        b"\xff",
        b"\xfe",
        b"\xff:authority\xfea",
        b"\xff:path\xfe/ HTTP/1.1\r\nx: y\r\n\r\n",
        b"\xff:protocol\xfewebsocket",
        b"\xffhost\xfeb",
        b"\xffcookie\xfea=1",
        b"\xffcontent-length\xfe0",
        b"\xfftransfer-encoding\xfechunked",
        b"\xffconnection\xfex-a",
        b"\xffte\xfetrailers",
        b"CONNECT",
        b"\r\n",
        b"\n",
        b"\0",
        b"#",
        b"@",
        b"*",
        b"//",
    ],
};

/// Stands between fields.
const NEXT: u8 = 0xff;
/// Stands between a field's name and its value.
const EQUALS: u8 = 0xfe;

/// One frame may carry so much.
const MAX_BLOCK: usize = 16 * 1024;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, b'p', b'i', b'n', b'g', b'p', b'i', b'n', b'g'];
/// How the answer to a ping begins.
const PONG: &[u8] = &[0, 0, 8, 6, 1];
/// The type of a HEADERS frame, and its flags END_STREAM and END_HEADERS.
const WHOLE_REQUEST: [u8; 2] = [1, 5];

thread_local!(static RUNTIME: Runtime = Builder::new_current_thread().enable_io().build().expect("a runtime starts"));

/// A header block of literals without indexing (RFC 7541 §6.2.2).
fn block(data: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    for field in data.split(|byte| *byte == NEXT) {
        let mut parts = field.splitn(2, |byte| *byte == EQUALS);
        block.push(0);
        literal(parts.next().unwrap_or_default(), &mut block);
        literal(parts.next().unwrap_or_default(), &mut block);
    }
    block
}

/// A string literal without Huffman coding (RFC 7541 §5.2); its length is a prefix of seven bits (§5.1).
fn literal(text: &[u8], block: &mut Vec<u8>) {
    match text.len().checked_sub(127) {
        None => block.push(text.len() as u8),
        Some(mut rest) => {
            block.push(127);
            while rest >= 128 {
                block.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            block.push(rest as u8);
        }
    }
    block.extend_from_slice(text);
}

/// The headers of the request that a peer sends with this block; `None` when it is refused.
async fn head(block: &[u8]) -> Option<Headers> {
    let (mut peer, io) = UnixStream::pair().expect("sockets can be had");
    let length = (block.len() as u32).to_be_bytes();
    let frame = [&length[1..], &WHOLE_REQUEST, &[0, 0, 0, 1], block].concat();
    peer.write_all(&[PREFACE, SETTINGS, &frame, PING].concat()).await.expect("the socket holds one request");
    let settings = Settings::new(&Http2Options::default(), 1 << 20, None);
    let stats = Http2Stats::new(&Registry::new(1), "http2.");
    let mut headers = Headers::new();
    let mut server = Server::accept(Io::from(io), BytesMut::new(), &settings, &stats).await.ok()?;
    let accepted = tokio::select! {
        biased;
        stream = poll_fn(|cx| server.poll_stream(cx, &mut headers)) => matches!(stream, Some(Ok(_))),
        () = pinged(&mut peer) => false,
    };
    accepted.then_some(headers)
}

/// Ready when the ping behind the request is answered, or the connection has ended: the request was refused.
async fn pinged(peer: &mut UnixStream) {
    let (mut told, mut buffer) = (Vec::new(), [0; 4096]);
    while !told.windows(PONG.len()).any(|window| window == PONG) {
        match peer.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => told.extend_from_slice(&buffer[..count]),
        }
    }
}

/// What we write of a request to an HTTP/1.1 host is read there as the same request and nothing beside it.
fn forwarded(headers: &Headers) {
    // The target of a CONNECT is another header, and an upgrade is no message.
    if headers.get(Known::Method) == Some(b"CONNECT") || headers.contains(Known::Upgrade) {
        return;
    }
    // Envoy forwards paths beyond ASCII from HTTP/2 as well; it is for the host to take or to refuse them.
    if headers.get(Known::Path).is_some_and(|path| !path.is_ascii()) {
        return;
    }
    // Requests without either are answered before they are forwarded.
    if !headers.contains(Known::Authority) || !headers.contains(Known::Path) {
        return;
    }
    let mut out = Output::default();
    encode::request(headers, RequestForm { end: true, ..RequestForm::default() }, &mut out);
    let written = out.text().clone();
    let (mut parser, mut read) = (HeadParser::default(), Headers::new());
    let limits = HeadLimits { bytes: 1 << 20, count: 1 << 16 };
    let parsed = parser.request(&written, limits, &mut read);
    // A method that our own reader does not know is one word all the same: HTTP/2 takes no other.
    if parsed == Err(ParseError::Method) {
        return;
    }
    assert!(matches!(&parsed, Ok(Some((_, used))) if *used == written.len()), "{parsed:?}: {written:?}");
    for name in [Known::Method, Known::Path, Known::Authority] {
        assert_eq!(read.get(name), headers.get(name), "{written:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heads_of_the_corpus_are_read() {
        for seed in (HEADS.seeds)().unwrap() {
            let headers = RUNTIME.with(|runtime| runtime.block_on(head(&block(&seed))));
            let headers = headers.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&seed)));
            assert!(headers.contains(Known::Method) && headers.contains(Known::Path));
        }
    }
}
