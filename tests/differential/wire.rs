//! A connection of either side: blocking, with a bound on every wait.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use rustls::{ClientConnection, ServerConnection, StreamOwned};

use crate::common::http1::find;

/// The longest wait for anything that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A socket, or TLS over one.
pub(crate) enum Stream {
    Plain(TcpStream),
    Client(Box<StreamOwned<ClientConnection, TcpStream>>),
    Server(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl From<StreamOwned<ClientConnection, TcpStream>> for Stream {
    fn from(stream: StreamOwned<ClientConnection, TcpStream>) -> Self {
        Stream::Client(Box::new(stream))
    }
}

impl From<StreamOwned<ServerConnection, TcpStream>> for Stream {
    fn from(stream: StreamOwned<ServerConnection, TcpStream>) -> Self {
        Stream::Server(Box::new(stream))
    }
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Client(stream) => &stream.sock,
            Self::Server(stream) => &stream.sock,
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Client(stream) => stream.read(buffer),
            Self::Server(stream) => stream.read(buffer),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Client(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Self::Server(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Says that nothing more comes, where there is a way to say it before the socket does.
    fn end(&mut self) {
        let told = match self {
            Self::Plain(_) => Ok(()),
            Self::Client(stream) => {
                stream.conn.send_close_notify();
                stream.flush()
            }
            Self::Server(stream) => {
                stream.conn.send_close_notify();
                stream.flush()
            }
        };
        // That the other side was faster is no news.
        told.ok();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.end();
    }
}

/// A connection and all that was received on it and not yet taken.
pub(crate) struct Wire {
    stream: Stream,
    /// What has come and was not taken.
    pub(crate) received: Vec<u8>,
    /// Nothing more will come: the other side closed or reset.
    pub(crate) closed: bool,
    /// It was a reset.
    pub(crate) reset: bool,
    /// It was an alert that says that access is denied. Which others there are is the library's choice.
    pub(crate) denied: bool,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> std::io::Result<Self> {
        Self::over(Stream::Plain(stream))
    }

    pub(crate) fn over(stream: Stream) -> std::io::Result<Self> {
        stream.socket().set_nodelay(true)?;
        stream.socket().set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, received: Vec::new(), closed: false, reset: false, denied: false })
    }

    /// Writes all of `bytes`, taking in what comes meanwhile. A failure shows in what is received, so it is not reported.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(64 * 1024) {
            if self.stream.write_all(part).is_err() {
                return;
            }
        }
    }

    /// Waits for more bytes until `deadline`; whether anything changed.
    pub(crate) fn fill(&mut self, deadline: Instant) -> bool {
        let wait = deadline.saturating_duration_since(Instant::now());
        if self.closed || wait.is_zero() || self.stream.socket().set_read_timeout(Some(wait)).is_err() {
            return false;
        }
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.closed = true,
            Ok(count) => self.received.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(error) => {
                self.closed = true;
                self.reset = error.kind() == ErrorKind::ConnectionReset;
                self.denied = says_denied(&error);
            }
        }
        true
    }

    /// Waits until `done` finds what it looks for in the received bytes, they end, or patience does.
    pub(crate) fn until(&mut self, mut done: impl FnMut(&Self) -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if done(self) {
                return true;
            }
            if !self.fill(deadline) {
                return false;
            }
        }
    }

    /// Waits until the received bytes contain `text`.
    pub(crate) fn until_contains(&mut self, text: &[u8]) -> bool {
        self.until(|wire| find(&wire.received, text).is_some())
    }

    /// Waits for the end of the connection for at most `wait`.
    pub(crate) fn until_closed(&mut self, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        while !self.closed && self.fill(deadline) {}
        self.closed
    }

    /// Removes the first `count` received bytes.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        self.received.drain(..count).collect()
    }

    /// Ends one half or both. That the other side was faster is no news.
    pub(crate) fn shut(&mut self, half: Shutdown) {
        self.stream.end();
        self.stream.socket().shutdown(half).ok();
    }

    /// Makes the close that follows a reset.
    pub(crate) fn reset_on_close(&self) {
        socket2::SockRef::from(self.stream.socket()).set_linger(Some(Duration::ZERO)).ok();
    }
}

fn says_denied(error: &std::io::Error) -> bool {
    let told = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(told, Some(rustls::Error::AlertReceived(rustls::AlertDescription::AccessDenied)))
}

/// What the two sides of a case tell each other.
#[derive(Default)]
pub(crate) struct Signals {
    given: Mutex<BTreeSet<String>>,
    changed: Condvar,
}

impl Signals {
    pub(crate) fn give(&self, name: &str) {
        self.given.lock().expect("no holder panics").insert(name.to_owned());
        self.changed.notify_all();
    }

    pub(crate) fn wait(&self, name: &str) {
        let given = self.given.lock().expect("no holder panics");
        drop(self.changed.wait_timeout_while(given, PATIENCE, |given| !given.contains(name)));
    }
}
