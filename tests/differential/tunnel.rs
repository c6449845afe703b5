//! Requests for tunnels, as proxies see them.

use std::io::{self, Read};
use std::net::TcpStream;

/// A head is not longer than this.
const LONGEST: usize = 1000;

/// Reads the head of the CONNECT that a connection begins with, and nothing behind it. Ports are another each time.
pub(crate) fn read(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < LONGEST {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).trim_end().replace("\r\n", " | ");
    Ok(format!("<{}>", head.split(' ').map(without_port).collect::<Vec<_>>().join(" ")))
}

fn without_port(word: &str) -> String {
    match word.rsplit_once(':') {
        Some((host, port)) if port.len() == 5 && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{host}:<port>")
        }
        _ => word.to_owned(),
    }
}
