//! Headers of the PROXY protocol, as hosts see them.

use std::io::{self, Read};
use std::net::TcpStream;

/// Reads the header that a connection begins with, and tells what it says. Ports are another each time.
pub(crate) fn read(stream: &mut TcpStream) -> io::Result<String> {
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    if start == *b"\r\n\r\n\0\r\nQUIT\n" {
        return second(stream);
    }
    let mut text = start.to_vec();
    while !text.ends_with(b"\r\n") && text.len() < 108 {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        text.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&text).trim_end().to_owned();
    let words: Vec<_> = text.split(' ').collect();
    Ok(match words.as_slice() {
        [proxy, family, from, to, _, _] => format!("<{proxy} {family} {from} {to}>"),
        _ => format!("<{text}>"),
    })
}

fn second(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
    stream.read_exact(&mut body)?;
    let ends = match head[1] {
        0x11 => 12,
        0x21 => 36,
        _ => 0,
    };
    let (ends, values) = body.split_at(ends.min(body.len()));
    let addresses = &ends[..ends.len().saturating_sub(4)];
    Ok(format!("<PROXY 2 {:#04x} {:#04x} {addresses:?}{}>", head[0], head[1], shown(values)))
}

/// The values by type; long ones by their length.
fn shown(mut values: &[u8]) -> String {
    let mut shown = String::new();
    while let [kind, high, low, rest @ ..] = values {
        let (value, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])).min(rest.len()));
        let text = String::from_utf8_lossy(value);
        shown += &match value.len() {
            0..64 => format!(" {kind:#04x}={text}"),
            length => format!(" {kind:#04x}=({length} bytes)"),
        };
        values = rest;
    }
    shown
}
