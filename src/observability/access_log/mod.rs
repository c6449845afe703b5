//! Access logs: which requests are logged, how a line looks and where it goes.
//!
//! A worker writes a line straight into a buffer that is its own. A thread of their own takes the buffers and
//! writes them to files, when one is full ([`Settings::flush_size`]) or [`Settings::flush_interval`] is over,
//! on request and at the end. A worker never waits for it: in the moment in which the buffer is being taken, the
//! line goes to that thread as a message.

mod filter;
mod sink;
mod writer;

#[cfg(test)]
mod tests;

use crate::config;
use crate::config::access_log::AccessLogFilter;
use crate::config::format::{Bytes, Operator, SubstitutionFormat};
use crate::config::runtime::Draw;

use super::format::{Context, render_substitution};

pub use filter::passes;
pub use sink::{OpenError, Sink, Sinks};
pub use writer::Settings;

/// One access log, ready to be written to.
#[derive(Debug)]
pub struct AccessLog {
    filter: Option<AccessLogFilter>,
    format: SubstitutionFormat,
    sink: Sink,
    tells_wire_bytes: bool,
}

impl AccessLog {
    /// Makes access logs of their configuration and opens their files.
    ///
    /// # Errors
    /// A file cannot be opened.
    pub fn build(
        configured: &[config::access_log::AccessLog],
        sinks: &Sinks,
    ) -> Result<Box<[Self]>, OpenError> {
        let build = |log: &config::access_log::AccessLog| {
            let sink = sinks.open(&log.sink)?;
            Ok(AccessLog {
                filter: log.filter.clone(),
                format: log.format.clone(),
                sink,
                tells_wire_bytes: log
                    .format
                    .any(&|operator| matches!(operator, Operator::Bytes(Bytes::Wire { .. }))),
            })
        };
        configured.iter().map(build).collect()
    }

    /// Whether a line tells bytes with their framing, so that it has to wait until all is framed.
    pub fn tells_wire_bytes(&self) -> bool {
        self.tells_wire_bytes
    }

    /// Writes a line, if the filter lets it through.
    pub fn write(&self, context: &Context<'_>, draw: Draw<'_>) {
        if self.filter.as_ref().is_none_or(|filter| filter::passes(filter, context, draw)) {
            self.sink.append(|line| render_substitution(&self.format, context, line));
        }
    }
}
