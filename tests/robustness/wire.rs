//! A connection that bytes are written to and read from, with no idea of what they mean.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::common::http1::{self, Kind, Message};

/// The longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// After so long a peer that takes no bytes is taken to have stopped reading.
const STUCK: Duration = Duration::from_millis(500);

/// More than any test's peer has to say before it closes.
const MOST: usize = 16 << 20;

/// How a flood ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flooded {
    /// Every byte was taken.
    Taken,
    /// The peer stopped reading.
    Stuck,
    /// The peer closed the connection.
    Closed,
}

/// One end of a TCP connection.
pub(crate) struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Wire { stream, received: Vec::new() }
    }

    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect_timeout(&address, PATIENCE).unwrap())
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends as much of this as the peer takes.
    pub(crate) fn flood(&mut self, bytes: &[u8]) -> Flooded {
        self.stream.set_write_timeout(Some(STUCK)).unwrap();
        let sent = self.stream.write_all(bytes);
        self.stream.set_write_timeout(Some(PATIENCE)).unwrap();
        match sent {
            Ok(()) => Flooded::Taken,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Flooded::Stuck
            }
            Err(_) => Flooded::Closed,
        }
    }

    /// Reads once. False when the peer has closed; a peer that does nothing fails the test.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.received.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}, having read {:?}", String::from_utf8_lossy(&self.received)),
        }
    }

    /// Takes so many bytes of what was read; `None` when the peer closed before.
    pub(crate) fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.received.len() < count {
            if !self.fill() {
                return None;
            }
        }
        Some(self.received.drain(..count).collect())
    }

    /// Reads up to the end of the next head; `None` when the peer closed before.
    pub(crate) fn head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = http1::find(&self.received, b"\r\n\r\n") {
                return Some(String::from_utf8_lossy(&self.take(at + 4)?).into_owned());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// The next response; `None` when the peer closed without one.
    pub(crate) fn response(&mut self) -> Option<Message> {
        let mut open = true;
        loop {
            if let Some(message) = http1::read(&self.received, Kind::Response, !open) {
                self.received.drain(..message.length);
                return Some(message);
            }
            if !open {
                return None;
            }
            open = self.fill();
        }
    }

    /// All that comes until the peer closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill() {
            assert!(self.received.len() < MOST, "the peer does not stop");
        }
        std::mem::take(&mut self.received)
    }

    /// Says that nothing more comes.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
}
