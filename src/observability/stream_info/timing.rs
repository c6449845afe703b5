//! Bytes on the wire and moments of a stream.

use std::ops::Add;
use std::time::Duration;

/// Bytes of a message as counted on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireBytes {
    /// Bytes received, framing and headers counted.
    pub received: u64,
    /// Of those, headers with their framing.
    pub header_received: u64,
    /// Headers as they were before HPACK packed them.
    pub decompressed_header_received: u64,
    /// Bytes sent, framing and headers counted.
    pub sent: u64,
    /// Of those, headers with their framing.
    pub header_sent: u64,
    /// Headers as they were before HPACK packed them.
    pub decompressed_header_sent: u64,
}

impl Add for WireBytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        WireBytes {
            received: self.received + other.received,
            header_received: self.header_received + other.header_received,
            decompressed_header_received: self.decompressed_header_received
                + other.decompressed_header_received,
            sent: self.sent + other.sent,
            header_sent: self.header_sent + other.header_sent,
            decompressed_header_sent: self.decompressed_header_sent + other.decompressed_header_sent,
        }
    }
}

/// Moments of a stream, each as the time since its start; `None` as long as it has not come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// `DS_RX_END`: last byte of the request received.
    pub downstream_rx_end: Option<Duration>,
    /// `US_CX_BEG`: connecting to the host began.
    pub upstream_connect_start: Option<Duration>,
    /// How long connecting took, whenever that was: from `US_CX_BEG` to `US_CX_END`.
    pub upstream_connect: Option<Duration>,
    /// `US_HS_END`: TLS handshake with the host done.
    pub upstream_handshake_end: Option<Duration>,
    /// `US_TX_BEG`: first byte of the request sent upstream.
    pub upstream_tx_start: Option<Duration>,
    /// `US_TX_END`: last byte of the request sent upstream.
    pub upstream_tx_end: Option<Duration>,
    /// `US_RX_BEG`: first byte of the response received.
    pub upstream_rx_start: Option<Duration>,
    /// `US_RX_BODY_BEG`: first byte of the response's body received.
    pub upstream_rx_body_start: Option<Duration>,
    /// `US_RX_END`: last byte of the response received.
    pub upstream_rx_end: Option<Duration>,
    /// `DS_TX_BEG`: first byte of the response sent.
    pub downstream_tx_start: Option<Duration>,
    /// `DS_TX_END`: last byte of the response sent.
    pub downstream_tx_end: Option<Duration>,
    /// The stream's end: what `%DURATION%` shows.
    pub complete: Option<Duration>,
}
