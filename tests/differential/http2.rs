//! HTTP/2 frames by hand (RFC 9113 §4), for either side: nothing is checked that a case may want to break, and the
//! fields of the other side are shown in the order they came.

use std::collections::BTreeMap;

use crate::case::step::Frame;
use crate::common::text::{show, wire};
use crate::grpc;
use crate::wire::Wire;

/// What a client sends first (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// Envoy's extension: a map of names and values about a stream.
const METADATA: u8 = 0x4d;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const END_METADATA: u8 = 4;

/// SETTINGS with an initial window of 1 GiB, and as much for the connection: flow control is never what a case waits for.
pub(crate) fn opening() -> Vec<u8> {
    let window: u32 = 1 << 30;
    let settings = frame(SETTINGS, 0, 0, &[&[0, 4][..], &window.to_be_bytes()].concat());
    [settings, frame(8, 0, 0, &window.to_be_bytes())].concat()
}

/// The bytes of `frame`.
pub(crate) fn bytes(told: &Frame) -> Vec<u8> {
    match told {
        Frame::Headers(headers) => fields(headers.stream, &headers.fields, headers.end),
        Frame::Data(part) => data(part.stream, &wire(&part.content), part.end),
        Frame::Rst { stream, code } => reset(*stream, *code),
        Frame::Raw { kind, flags, stream, payload } => frame(*kind, *flags, *stream, &wire(payload)),
    }
}

/// HEADERS with these `name: value` fields.
pub(crate) fn fields(stream: u32, fields: &[String], end: bool) -> Vec<u8> {
    let mut block = Vec::new();
    for field in fields {
        let (name, value) = split_field(field);
        block.push(0); // literal without indexing, new name (RFC 7541 §6.2.2)
        literal(&wire(name), &mut block);
        literal(&wire(value), &mut block);
    }
    let end_stream = if end { END_STREAM } else { 0 };
    // Frames over the default limit of 16 KiB go on in CONTINUATION.
    let mut parts = block.chunks(16_384).peekable();
    let mut bytes = Vec::new();
    let mut kind = HEADERS;
    while let Some(part) = parts.next() {
        let last = if parts.peek().is_none() { END_HEADERS } else { 0 };
        let flags = last | if kind == HEADERS { end_stream } else { 0 };
        bytes.extend_from_slice(&frame(kind, flags, stream, part));
        kind = CONTINUATION;
    }
    bytes
}

/// Splits `name: value`; a pseudo-header keeps its colon, and without `: ` the value is empty.
fn split_field(field: &str) -> (&str, &str) {
    let from = usize::from(field.starts_with(':'));
    match field[from..].find(": ") {
        Some(at) => (&field[..from + at], &field[from + at + 2..]),
        None => (field, ""),
    }
}

/// A string literal without Huffman coding (RFC 7541 §5.2).
fn literal(text: &[u8], block: &mut Vec<u8>) {
    if text.len() < 127 {
        block.push(text.len() as u8);
    } else {
        block.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            block.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        block.push(rest as u8);
    }
    block.extend_from_slice(text);
}

/// DATA frames with `content`.
pub(crate) fn data(stream: u32, content: &[u8], end: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut parts = content.chunks(16_384).peekable();
    if parts.peek().is_none() {
        return frame(DATA, u8::from(end), stream, content);
    }
    while let Some(part) = parts.next() {
        bytes.extend_from_slice(&frame(DATA, u8::from(end && parts.peek().is_none()), stream, part));
    }
    bytes
}

/// RST_STREAM.
pub(crate) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// What came on one stream.
#[derive(Default)]
pub(crate) struct Stream {
    shown: String,
    body: Vec<u8>,
    /// Payloads of METADATA, and what they say: apart, since it may overtake what is sent before it.
    metadata: (Vec<u8>, String),
    /// END_STREAM or RST_STREAM came.
    pub(crate) ended: bool,
    /// The first header block is there.
    pub(crate) started: bool,
}

impl Stream {
    /// Its transcript: fields, body, trailers or the reset.
    pub(crate) fn shown(&self) -> String {
        self.without_metadata() + &self.metadata.1
    }

    fn without_metadata(&self) -> String {
        let path = self.shown.lines().find_map(|line| line.strip_prefix(":path: "));
        let asked = path.and_then(|path| grpc::shown(path, &self.body));
        format!("{}{}", self.shown, asked.unwrap_or_else(|| show(&self.body)))
    }

    /// METADATA has a compression context of its own, which nothing is put into.
    fn take_metadata(&mut self, payload: &[u8], is_last: bool) {
        let (block, shown) = &mut self.metadata;
        block.extend_from_slice(payload);
        if is_last {
            let fields = loona_hpack::Decoder::new().decode(block);
            let shown_fields = |mut fields: Vec<_>| {
                fields.sort_unstable();
                show_fields(&fields)
            };
            let fields = fields.map_or_else(|error| format!("{error:?}\n"), shown_fields);
            shown.push_str(&format!("\n<metadata>\n{fields}"));
            block.clear();
        }
    }

    fn block(&mut self, block: &str) {
        if self.started {
            self.shown = format!("{}\n\n{block}", self.without_metadata());
            self.body.clear();
        } else {
            self.shown = format!("{block}\n");
            self.started = true;
        }
    }
}

/// Reads the frames of the other side.
#[derive(Default)]
pub(crate) struct Reader {
    decoder: loona_hpack::Decoder<'static>,
    block: Vec<u8>,
    block_ends_stream: bool,
    /// What came on each stream.
    pub(crate) streams: BTreeMap<u32, Stream>,
    /// The error name of GOAWAY.
    pub(crate) goaway: Option<String>,
    /// Numbers and values of SETTINGS.
    settings: BTreeMap<u16, u32>,
    /// Bytes that may come in all.
    window: u32,
}

impl Reader {
    /// Takes the complete frames out of `wire` and answers those that want an answer.
    pub(crate) fn read(&mut self, wire: &mut Wire) {
        while wire.received.len() >= 9 {
            let header: [u8; 9] = wire.received[..9].try_into().expect("nine bytes");
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
            if wire.received.len() < 9 + length {
                return;
            }
            let frame = wire.take(9 + length);
            let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
            self.take(header[3], header[4], stream, &frame[9..], wire);
        }
    }

    fn take(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8], wire: &mut Wire) {
        match kind {
            SETTINGS if flags & ACK == 0 => {
                self.settings.extend(payload.chunks_exact(6).map(|one| {
                    (
                        u16::from_be_bytes([one[0], one[1]]),
                        u32::from_be_bytes([one[2], one[3], one[4], one[5]]),
                    )
                }));
                wire.send(&frame(SETTINGS, ACK, 0, &[]));
            }
            WINDOW_UPDATE if stream == 0 => {
                self.window += payload.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
            }
            PING if flags & ACK == 0 => wire.send(&frame(PING, ACK, 0, payload)),
            GOAWAY => self.goaway = Some(error_name(&payload[4..8])),
            RST_STREAM => {
                let stream = self.streams.entry(stream).or_default();
                stream.shown = format!("{}<reset {}>", stream.without_metadata(), error_name(payload));
                stream.body.clear();
                stream.ended = true;
            }
            DATA => {
                let stream = self.streams.entry(stream).or_default();
                stream.body.extend_from_slice(payload);
                stream.ended |= flags & END_STREAM != 0;
            }
            METADATA => {
                let stream = self.streams.entry(stream).or_default();
                stream.take_metadata(payload, flags & END_METADATA != 0);
            }
            HEADERS | CONTINUATION => self.take_block(kind, flags, stream, payload),
            _ => {}
        }
    }

    /// What the other side says of table, streams and windows.
    pub(crate) fn limits(&self) -> String {
        let named = [(1, "table"), (3, "streams"), (4, "stream window")];
        let told = named
            .iter()
            .filter_map(|(number, name)| self.settings.get(number).map(|value| format!("{name} {value}")));
        let window = format!("window {}", 65_535 + self.window);
        format!("<{}>\n", told.chain([window]).collect::<Vec<_>>().join(", "))
    }

    fn take_block(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        if kind == HEADERS {
            let skip = if flags & 0x20 != 0 { 5 } else { 0 }; // PRIORITY
            self.block = payload[skip..].to_vec();
            self.block_ends_stream = flags & END_STREAM != 0;
        } else {
            self.block.extend_from_slice(payload);
        }
        if flags & END_HEADERS == 0 {
            return;
        }
        let shown = match self.decoder.decode(&self.block) {
            Ok(fields) => show_fields(&fields),
            Err(error) => format!("<undecodable: {error:?}>\n"),
        };
        let stream = self.streams.entry(stream).or_default();
        stream.block(&shown);
        stream.ended |= self.block_ends_stream;
    }
}

/// One field a line; pseudo-headers sorted, since their order means nothing (RFC 9113 §8.3).
fn show_fields(fields: &[(Vec<u8>, Vec<u8>)]) -> String {
    let mut lines: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}: {}\n", show(name), show(value))).collect();
    let pseudo = lines.iter().take_while(|line| line.starts_with(':')).count();
    lines[..pseudo].sort_unstable();
    lines.concat()
}

/// The name of an error code (RFC 9113 §7).
fn error_name(code: &[u8]) -> String {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    let code = code.iter().fold(0_usize, |code, byte| code << 8 | usize::from(*byte));
    NAMES.get(code).map_or_else(|| code.to_string(), |name| (*name).to_owned())
}
