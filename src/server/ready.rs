//! `dragoman ready`: asks a running proxy's admin interface for `/ready`.
//!
//! For health checks where there is no curl, as in the container image: `HEALTHCHECK CMD ["dragoman",
//! "ready"]`. It blocks, since it is all that the process does.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long connecting, and each read and write, may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The longest status line that is looked at.
const MAX_STATUS_LINE_BYTES: u64 = 1024;

/// Why the proxy is not ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// Nobody answers there.
    #[error("cannot ask {address} for /ready")]
    Unreachable {
        /// Whom we asked.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The answer is not 200.
    #[error("{address} answers /ready with '{status}'")]
    Answered {
        /// Whom we asked.
        address: String,
        /// The status line.
        status: String,
    },
}

/// Asks `address`, `HOST:PORT` or the path of a Unix socket, once.
///
/// # Errors
///
/// When there is no answer, or it is not 200.
pub fn ask(address: &str) -> Result<(), NotReady> {
    let status = status_line(address)
        .map_err(|source| NotReady::Unreachable { address: address.to_owned(), source })?;
    match status.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(NotReady::Answered { address: address.to_owned(), status }),
    }
}

fn status_line(address: &str) -> io::Result<String> {
    if address.starts_with('/') {
        let stream = UnixStream::connect(address)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        return request(stream);
    }
    let target = address.to_socket_addrs()?.next();
    let target = target.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
    let stream = TcpStream::connect_timeout(&target, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    request(stream)
}

fn request(mut stream: impl Read + Write) -> io::Result<String> {
    stream.write_all(b"GET /ready HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")?;
    let mut line = String::new();
    BufReader::new(stream).take(MAX_STATUS_LINE_BYTES).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Serves one connection with `answer` and asks it.
    fn ask_for(answer: &'static str) -> Result<(), NotReady> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 64];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /ready HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let outcome = ask(&address);
        server.join().unwrap();
        outcome
    }

    #[test]
    fn only_200_is_ready() {
        ask_for("HTTP/1.1 200 OK\r\n\r\nLIVE\n").unwrap();
        let error = ask_for("HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap_err().to_string();
        assert!(error.ends_with("answers /ready with 'HTTP/1.1 503 Service Unavailable'"), "{error}");
        assert!(matches!(ask_for(""), Err(NotReady::Answered { .. })));
    }

    #[test]
    fn nobody_there_is_not_ready() {
        let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        assert!(matches!(ask(&unused), Err(NotReady::Unreachable { .. })));
        assert!(matches!(ask("/nowhere/admin.sock"), Err(NotReady::Unreachable { .. })));
    }
}
