//! HTTP/2 frames by hand (RFC 9113 §4), for either end: nothing is checked that a test may want to break.

use std::net::SocketAddr;

use crate::wire::{Flooded, Wire};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Any frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block of literals without indexing (RFC 7541 §6.2.2).
pub(crate) fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        literal(name, &mut block);
        literal(value, &mut block);
    }
    block
}

/// A string literal without Huffman coding (RFC 7541 §5.2).
fn literal(text: &[u8], block: &mut Vec<u8>) {
    let mut rest = text.len();
    if rest < 127 {
        block.push(rest as u8);
    } else {
        block.push(127);
        rest -= 127;
        while rest >= 128 {
            block.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        block.push(rest as u8);
    }
    block.extend_from_slice(text);
}

/// What every request says, with these fields behind it.
pub(crate) fn request_block(method: &str, path: &str, more: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut fields: Vec<(&[u8], &[u8])> = vec![
        (b":method", method.as_bytes()),
        (b":scheme", b"http"),
        (b":authority", b"a"),
        (b":path", path.as_bytes()),
    ];
    fields.extend_from_slice(more);
    block(&fields)
}

/// A whole request.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &request_block("GET", path, &[]))
}

/// The head of a request with a body.
pub(crate) fn post(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &request_block("POST", path, &[]))
}

/// Resets a stream, with CANCEL.
pub(crate) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// SETTINGS with one setting.
pub(crate) fn setting(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

/// A frame that was read.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// Reads a frame; `None` when the peer has closed.
pub(crate) fn read(wire: &mut Wire) -> Option<Frame> {
    let head = wire.take(9)?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some(Frame { kind: head[3], flags: head[4], stream, payload: wire.take(length)? })
}

/// A client's connection, after the preface.
pub(crate) struct Client {
    pub(crate) wire: Wire,
    decoder: loona_hpack::Decoder<'static>,
}

impl Client {
    /// A client with these settings.
    pub(crate) fn connect(address: SocketAddr, settings: &[u8]) -> Self {
        let mut wire = Wire::connect(address);
        wire.send(PREFACE);
        wire.send(settings);
        Client { wire, decoder: loona_hpack::Decoder::new() }
    }

    /// A client with the default settings.
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self::connect(address, &frame(SETTINGS, 0, 0, &[]))
    }

    /// Sends the same again and again.
    pub(crate) fn flood(&mut self, frame: &[u8], count: usize) -> Flooded {
        self.wire.flood(&frame.repeat(count))
    }

    /// Reads up to the end of this stream: its status, 0 when it was reset or the connection closed.
    pub(crate) fn status(&mut self, stream: u32) -> u16 {
        let mut status = 0;
        while let Some(frame) = read(&mut self.wire) {
            if frame.kind == HEADERS {
                let fields = self.decoder.decode(&frame.payload).unwrap();
                let (_, value) = fields.into_iter().find(|(name, _)| name == b":status").unwrap_or_default();
                if frame.stream == stream {
                    status = String::from_utf8_lossy(&value).parse().unwrap_or(status);
                }
            }
            if frame.stream == stream && frame.kind == RST_STREAM {
                return if status == 0 { 0 } else { status };
            }
            if frame.stream == stream && matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0
            {
                return status;
            }
        }
        status
    }

    /// Reads until the peer closes: the error code of its GOAWAY, if there was one.
    pub(crate) fn closed(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = read(&mut self.wire) {
            if frame.kind == GOAWAY {
                code = frame.payload.get(4..8).map(|code| u32::from_be_bytes(code.try_into().unwrap()));
            }
        }
        code
    }

    /// Reads up to a frame of this kind; `None` when the peer closes before.
    pub(crate) fn next(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = read(&mut self.wire)?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }
}
