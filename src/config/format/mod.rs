//! Format strings with `%COMMAND(ARGS):LENGTH%`, as in access logs and header values: Envoy's substitution
//! formatter.
//!
//! Parsing resolves everything; `observability::format` renders. All commands of Envoy 1.40 are known.

mod argument;
mod bare;
mod coalesce;
mod command;
mod error;
mod file;
mod formatters;
mod json;
mod metadata;
mod operand;
mod parse;
mod part;
mod secret;
mod strftime;
mod substitution;
mod time;
mod tls;

pub use command::{Command, Operator};
pub use error::FormatError;
pub use formatters::Formatters;
pub use json::{JsonFormat, JsonValue};
pub use operand::{
    AddressOf, Bytes, ConnectionEnd, GrpcStatusFormat, HeaderSource, HostSource, MetadataOf, PathSource,
    Precision, ServerName, Side, StateForm, TimePoint, WireCount,
};
pub use part::{DownstreamPart, ResponsePart, UpstreamPart};
pub use secret::{FormatSecret, SecretText};
pub use strftime::{Directive, Pad, Piece, Strftime, What};
pub use substitution::{BodyFormat, SubstitutionFormat};
pub use time::{Offset, TimeFormat, TimePart, Zone};
pub use tls::{CertificatePart, TlsPart};

use super::field::Scope;
use super::matcher::canonical_name;
use crate::base::headers::Known;

/// The format of an access log that configures none.
pub const DEFAULT_ACCESS_LOG_FORMAT: &str = concat!(
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" ",
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ",
    "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% ",
    "\"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" ",
    "\"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n",
);

/// A parsed format string.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Format {
    /// What follows on what.
    pub parts: Vec<Part>,
}

/// A piece of a [`Format`].
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text as it is.
    Literal(String),
    /// What a command gives.
    Command(Command),
}

impl Format {
    /// Parses a format string.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(format: &str) -> Result<Self, FormatError> {
        Self::parse_with(format, &Formatters::default())
    }

    /// The same beside which formatter extensions are configured.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse_with(format: &str, formatters: &Formatters) -> Result<Self, FormatError> {
        parse::parse(format, formatters)
    }

    /// The same for whoever reads a resource: what is wrong is an error of it, and it is noted what the format asks for.
    pub(crate) fn read(format: &str, formatters: &Formatters, at: &mut Scope<'_>) -> Option<Self> {
        let format = Self::parse_with(format, formatters).map_err(|problem| problem.tell(at)).ok()?;
        format.note(at);
        Some(format)
    }

    /// Notes what has to be known beforehand of what the format asks for.
    pub(in crate::config) fn note(&self, at: &mut Scope<'_>) {
        if self.any(&|operator| *operator == Operator::RouteResolutionTime) {
            at.time_routes();
        }
    }

    /// The text, if no command is in it.
    pub fn as_literal(&self) -> Option<&str> {
        match &self.parts[..] {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether any of its operators is such a one.
    pub fn any(&self, is_such: &dyn Fn(&Operator) -> bool) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Literal(_) => false,
            Part::Command(command) => command.any(is_such),
        })
    }

    /// Whether it is a single command and nothing else.
    pub fn as_command(&self) -> Option<&Command> {
        match &self.parts[..] {
            [Part::Command(command)] => Some(command),
            _ => None,
        }
    }
}

/// A header that a command asks for, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderName {
    /// One known by number.
    Known(Known),
    /// Any other.
    Other(Box<[u8]>),
}

impl HeaderName {
    fn new(name: &str) -> Self {
        let name = canonical_name(name);
        match Known::lookup(name.as_bytes()) {
            Some(known) => HeaderName::Known(known),
            None => HeaderName::Other(name.into_bytes().into()),
        }
    }
}

#[cfg(test)]
mod tests;
