//! HTTP/2 (RFC 9113), by the `h2` crate: framing, HPACK, flow control and its defences against floods. What a
//! message means is translated here, both ways.

mod backlog;
mod client;
mod duplex;
mod edits;
mod fields;
mod flood;
mod frames;
mod keepalive;
mod metadata;
mod meter;
mod server;
mod stream;
mod transport;
mod watch;

pub use client::{Client, ClientStream, Connecting, connect};
pub use flood::{Flood, Limits};
pub use metadata::{Port, Sink};
pub use meter::{Fault, Refused};
pub use server::{Server, ServerStream};
pub use watch::Watch;

use crate::codec::{StreamError, buffer_limit};
use crate::config::protocol::{Http2Options, KeepaliveSettings};

use keepalive::Keepalive;

/// Bytes of a stream that may wait in h2 for the peer's window when nothing is configured.
const SEND_BUFFER: usize = 256 * 1024;
/// Frames are taken up to this size; larger ones hold up other streams.
const MAX_FRAME_SIZE: u32 = 16 * 1024;

/// The kind of error that tells of a [`Flood`]; no socket has it.
const FLOOD: std::io::ErrorKind = std::io::ErrorKind::InvalidData;

/// What the connection is told when a flood ends it.
fn flood_error(flood: Flood) -> std::io::Error {
    std::io::Error::new(FLOOD, flood)
}

/// A window as h2 takes it: the standard's bounds hold.
fn window(bytes: u32) -> u32 {
    bytes.min(i32::MAX as u32)
}

/// What the peers of a connection may do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `SETTINGS_HEADER_TABLE_SIZE`
    pub hpack_table_size: u32,
    /// `SETTINGS_MAX_CONCURRENT_STREAMS`
    pub max_concurrent_streams: u32,
    /// Window of each stream, in bytes.
    pub stream_window: u32,
    /// Window of the connection, in bytes.
    pub connection_window: u32,
    /// Bytes of headers accepted, as HPACK counts them.
    pub max_header_bytes: u32,
    /// Headers accepted in an answer.
    pub max_headers_count: u32,
    /// Accept extended CONNECT.
    pub allow_connect: bool,
    /// Frames that carry nothing on.
    pub floods: Limits,
    /// Pings to find a dead peer.
    pub keepalive: Option<KeepaliveSettings>,
    /// Bytes of a stream that may wait for the peer's window.
    pub send_buffer: usize,
    /// Further settings that the peer is told: identifiers and values.
    pub custom: Vec<(u16, u32)>,
    /// Bytes of METADATA accepted on a stream; `None` passes over such frames.
    pub metadata: Option<u64>,
}

impl Settings {
    /// The settings that the options ask for, with a limit on headers and `per_connection_buffer_limit_bytes`.
    pub fn new(options: &Http2Options, max_header_bytes: u32, buffer_limit_bytes: Option<u32>) -> Self {
        Settings {
            hpack_table_size: options.hpack_table_size,
            max_concurrent_streams: options.max_concurrent_streams,
            stream_window: window(options.initial_stream_window_size),
            connection_window: window(options.initial_connection_window_size),
            max_header_bytes,
            max_headers_count: u32::MAX,
            allow_connect: options.allow_connect,
            floods: Limits::from(options),
            keepalive: options.connection_keepalive.clone(),
            // h2 sends nothing of a frame for which there is no room at all.
            send_buffer: buffer_limit(buffer_limit_bytes, SEND_BUFFER)
                .clamp(MAX_FRAME_SIZE as usize, u32::MAX as usize),
            custom: options.custom_settings_parameters.clone(),
            metadata: options.metadata,
        }
    }

    fn keepalive(&self, pings: Option<h2::PingPong>) -> Option<Keepalive> {
        let settings = self.keepalive.clone()?;
        Some(Keepalive::new(settings, pings?))
    }
}

/// What an error of h2 means for a stream.
fn stream_error(error: &h2::Error) -> StreamError {
    if error.is_go_away() && error.is_remote() {
        return StreamError::Refused;
    }
    if let Some(error) = error.get_io() {
        return match error.kind() {
            FLOOD => StreamError::Protocol(crate::codec::h1::ParseError::Frame),
            _ => StreamError::Closed,
        };
    }
    match error.reason() {
        Some(h2::Reason::REFUSED_STREAM) => StreamError::Refused,
        Some(reason) if error.is_remote() => StreamError::Reset(reason.into()),
        Some(_) => StreamError::Protocol(crate::codec::h1::ParseError::Frame),
        None => StreamError::Closed,
    }
}
