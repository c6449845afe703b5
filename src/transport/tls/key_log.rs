//! Writes the keys of handshakes, where the configuration asks for that, in the format of NSS.

use std::fmt;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::access_log::AccessLogSink;
use crate::config::tls;
use crate::observability::access_log::{Sink, Sinks};

/// The addresses of a connection, `None` for what has none of IP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends {
    /// The own.
    pub local: Option<IpAddr>,
    /// The peer's.
    pub remote: Option<IpAddr>,
}

/// The log of a context.
#[derive(Debug)]
pub(super) struct KeyLog {
    config: tls::KeyLog,
    lines: Arc<Lines>,
}

/// Where the keys go.
struct Lines(Sink);

impl KeyLog {
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn open(config: &tls::KeyLog, sinks: Option<&Sinks>) -> Result<Self, String> {
        let sinks = sinks.ok_or("there are no logs")?;
        let sink =
            sinks.open(&AccessLogSink::File(config.path.clone())).map_err(|error| error.to_string())?;
        Ok(KeyLog { config: config.clone(), lines: Arc::new(Lines(sink)) })
    }

    /// What the library tells the keys of a connection, if the log is for it.
    pub(super) fn of(&self, ends: Ends) -> Option<Arc<dyn rustls::KeyLog>> {
        self.config
            .covers(ends.local, ends.remote)
            .then(|| Arc::clone(&self.lines) as Arc<dyn rustls::KeyLog>)
    }
}

impl rustls::KeyLog for Lines {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        self.0.append(|line| {
            line.extend_from_slice(label.as_bytes());
            for part in [client_random, secret] {
                line.push(b' ');
                // Writing to memory does not fail.
                part.iter().for_each(|byte| write!(line, "{byte:02x}").unwrap_or_default());
            }
            line.push(b'\n');
        });
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}
