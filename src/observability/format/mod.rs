//! Evaluates format strings: what stands in an access log line or a header value.
//!
//! A command writes straight into the output; nothing is allocated on the way.

mod address;
mod bytes;
mod cel;
mod command;
mod downstream;
mod duration;
mod grpc;
mod json;
mod message_json;
mod metadata;
mod path;
mod response;
mod server_name;
mod strftime;
mod time;
mod tls;
mod upstream;
mod xfcc;

#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use crate::base::headers::Headers;
use crate::config::format::{Format, Part, SubstitutionFormat};

use super::stream_info::StreamInfo;

use command::Within;

pub use grpc::code as grpc_status;
pub use json::render_json;

/// What commands can ask about.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The stream.
    pub info: &'a StreamInfo,
    /// The request's headers.
    pub request: &'a Headers,
    /// The response's headers; empty before there are any.
    pub response: &'a Headers,
    /// The response's trailers; empty if there are none.
    pub response_trailers: &'a Headers,
    /// The body of a local reply; empty if there is none.
    pub local_reply_body: &'a [u8],
    /// Why a log line is written.
    pub log_type: LogType,
}

impl<'a> Context<'a> {
    /// What is known of a stream whose headers are these, and which has nothing else.
    pub fn new(info: &'a StreamInfo, request: &'a Headers, response: &'a Headers) -> Self {
        Context {
            info,
            request,
            response,
            response_trailers: no_headers(),
            local_reply_body: &[],
            log_type: LogType::NotSet,
        }
    }

    /// What is known of a stream of which nobody saw headers.
    pub fn without_headers(info: &'a StreamInfo) -> Self {
        Self::new(info, no_headers(), no_headers())
    }
}

/// The headers of what is not there.
fn no_headers() -> &'static Headers {
    static NONE: OnceLock<Headers> = OnceLock::new();
    NONE.get_or_init(Headers::new)
}

/// Why a log line is written: `envoy.data.accesslog.v3.AccessLogType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogType {
    /// No log line: a header value.
    #[default]
    NotSet,
    /// A connection has come that is proxied.
    TcpConnectionStart,
    /// There is a connection to a host for it.
    TcpUpstreamConnected,
    /// It goes on.
    TcpPeriodic,
    /// It has ended.
    TcpConnectionEnd,
    /// A request has come.
    DownstreamStart,
    /// A request goes on.
    DownstreamPeriodic,
    /// A request has ended.
    DownstreamEnd,
    /// A tunnel stands.
    DownstreamTunnelSuccessfullyEstablished,
    /// There is a connection for a request to a host.
    UpstreamPoolReady,
    /// A request to a host goes on.
    UpstreamPeriodic,
    /// A request to a host has ended.
    UpstreamEnd,
    /// A session over UDP has its tunnel.
    UdpTunnelUpstreamConnected,
    /// A session over UDP goes on.
    UdpPeriodic,
    /// A session over UDP has ended.
    UdpSessionEnd,
}

impl LogType {
    /// The name of the enum's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            LogType::NotSet => "NotSet",
            LogType::TcpConnectionStart => "TcpConnectionStart",
            LogType::TcpUpstreamConnected => "TcpUpstreamConnected",
            LogType::TcpPeriodic => "TcpPeriodic",
            LogType::TcpConnectionEnd => "TcpConnectionEnd",
            LogType::DownstreamStart => "DownstreamStart",
            LogType::DownstreamPeriodic => "DownstreamPeriodic",
            LogType::DownstreamEnd => "DownstreamEnd",
            LogType::DownstreamTunnelSuccessfullyEstablished => "DownstreamTunnelSuccessfullyEstablished",
            LogType::UpstreamPoolReady => "UpstreamPoolReady",
            LogType::UpstreamPeriodic => "UpstreamPeriodic",
            LogType::UpstreamEnd => "UpstreamEnd",
            LogType::UdpTunnelUpstreamConnected => "UdpTunnelUpstreamConnected",
            LogType::UdpPeriodic => "UdpPeriodic",
            LogType::UdpSessionEnd => "UdpSessionEnd",
        }
    }
}

/// What a command gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    /// Nothing, and nothing was written.
    Nothing,
    /// Text.
    Text,
    /// A number; in JSON it stands without quotes.
    Number,
    /// JSON: it stands as it is there, and is a text elsewhere.
    Json,
}

/// What stands in the place of what is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// `-`, as in access logs.
    Dash,
    /// Nothing, as in header values and with `omit_empty_values`.
    Omit,
}

/// Writes what the format gives.
pub fn render(format: &Format, context: &Context<'_>, absent: Absent, out: &mut Vec<u8>) {
    for part in &format.parts {
        match part {
            Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
            Part::Command(command) => {
                let given = command::write(command, context, Within::Text, out);
                if given == Given::Nothing && absent == Absent::Dash {
                    out.push(b'-');
                }
            }
        }
    }
}

/// Writes what the format gives: a text as it is, or a JSON document with a line break at its end.
pub fn render_substitution(format: &SubstitutionFormat, context: &Context<'_>, out: &mut Vec<u8>) {
    match format {
        SubstitutionFormat::Text { format, omit_empty_values } => {
            let absent = if *omit_empty_values { Absent::Omit } else { Absent::Dash };
            render(format, context, absent, out);
        }
        SubstitutionFormat::Json(format) => {
            render_json(format, context, out);
            out.push(b'\n');
        }
    }
}
