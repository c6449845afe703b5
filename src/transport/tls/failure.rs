//! Why handshakes fail, in the words of BoringSSL, by which Envoy tells it.

use std::io;

use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible};

use crate::observability::stats::tls::TlsStats;

/// Number of the first reason of BoringSSL's part for TLS.
const FIRST_REASON: u32 = 0x1000_0000;

/// That the peer's key may not be used as it is: what BoringSSL calls it.
pub(super) const KEY_USAGE_BIT_INCORRECT: &str = "KEY_USAGE_BIT_INCORRECT";

/// Why a handshake failed. Its text is empty where the peer left without a word.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct HandshakeError {
    reason: String,
}

impl HandshakeError {
    /// That the peer's certificate was refused, which has been counted.
    pub(super) fn refused(why: &str) -> Self {
        let colon = if why.is_empty() { "" } else { ":" };
        HandshakeError { reason: told(125, &format!("CERTIFICATE_VERIFY_FAILED{colon}{why}")) }
    }

    /// That the host cannot be asked for by its name.
    pub(super) fn no_name(name: &str) -> Self {
        HandshakeError { reason: format!("TLS_error:|{name} is no name of a server:TLS_error_end") }
    }

    /// That the client sent a request in plain text.
    pub(super) fn plain_request(stats: &TlsStats) -> Self {
        stats.connection_error().inc();
        HandshakeError { reason: told(156, "HTTP_REQUEST") }
    }

    /// That there is no certificate to be shown: none that was asked for, or no answer of OCSP that holds, which has to go
    /// with it.
    pub(super) fn no_certificate(stats: &TlsStats) -> Self {
        stats.connection_error().inc();
        HandshakeError { reason: told(132, "CONNECTION_REJECTED") }
    }

    /// That a secret has not come.
    pub(super) fn no_secret() -> Self {
        HandshakeError { reason: "TLS error: Secret is not supplied by SDS".to_owned() }
    }

    /// From what the library says; counts it.
    pub(super) fn new(error: &io::Error, stats: &TlsStats) -> Self {
        let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<Error>()) else {
            return HandshakeError { reason: String::new() };
        };
        if matches!(error, Error::NoCertificatesPresented) {
            stats.fail_verify_no_cert().inc();
        } else {
            stats.connection_error().inc();
        }
        HandshakeError { reason: reason(error) }
    }

    /// Why, as logs tell it; empty where that is not known.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<HandshakeError> for io::Error {
    fn from(error: HandshakeError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

fn told(number: u32, name: &str) -> String {
    format!("TLS_error:|{}:SSL routines:OPENSSL_internal:{name}:TLS_error_end", FIRST_REASON + number)
}

fn reason(error: &Error) -> String {
    match error {
        Error::AlertReceived(alert) => told(1000 + u32::from(u8::from(*alert)), &alert_name(*alert)),
        Error::NoCertificatesPresented => {
            told(192, "PEER_DID_NOT_RETURN_A_CERTIFICATE:peer did not provide required client certificate")
        }
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => told(247, "WRONG_VERSION_NUMBER"),
        Error::PeerIncompatible(why) => match why {
            PeerIncompatible::NoCipherSuitesInCommon => told(184, "NO_SHARED_CIPHER"),
            PeerIncompatible::NoKxGroupsInCommon => told(266, "NO_SHARED_GROUP"),
            PeerIncompatible::NoSignatureSchemesInCommon => told(253, "NO_COMMON_SIGNATURE_ALGORITHMS"),
            _ => told(240, "UNSUPPORTED_PROTOCOL"),
        },
        Error::DecryptError => told(139, "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"),
        Error::PeerSentOversizedRecord => told(136, "DATA_LENGTH_TOO_LONG"),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            told(223, "UNEXPECTED_MESSAGE")
        }
        Error::InvalidMessage(_) => told(137, "DECODE_ERROR"),
        Error::General(why) if why == KEY_USAGE_BIT_INCORRECT => told(302, why),
        // BoringSSL has no name for the rest; the library's words tell more than a number would.
        other => format!("TLS_error:|{other}:TLS_error_end"),
    }
}

fn alert_name(alert: AlertDescription) -> String {
    let name = match u8::from(alert) {
        0 => "SSLV3_ALERT_CLOSE_NOTIFY",
        10 => "SSLV3_ALERT_UNEXPECTED_MESSAGE",
        20 => "SSLV3_ALERT_BAD_RECORD_MAC",
        21 => "TLSV1_ALERT_DECRYPTION_FAILED",
        22 => "TLSV1_ALERT_RECORD_OVERFLOW",
        30 => "SSLV3_ALERT_DECOMPRESSION_FAILURE",
        40 => "SSLV3_ALERT_HANDSHAKE_FAILURE",
        41 => "SSLV3_ALERT_NO_CERTIFICATE",
        42 => "SSLV3_ALERT_BAD_CERTIFICATE",
        43 => "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        44 => "SSLV3_ALERT_CERTIFICATE_REVOKED",
        45 => "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        46 => "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        47 => "SSLV3_ALERT_ILLEGAL_PARAMETER",
        48 => "TLSV1_ALERT_UNKNOWN_CA",
        49 => "TLSV1_ALERT_ACCESS_DENIED",
        50 => "TLSV1_ALERT_DECODE_ERROR",
        51 => "TLSV1_ALERT_DECRYPT_ERROR",
        70 => "TLSV1_ALERT_PROTOCOL_VERSION",
        71 => "TLSV1_ALERT_INSUFFICIENT_SECURITY",
        80 => "TLSV1_ALERT_INTERNAL_ERROR",
        86 => "TLSV1_ALERT_INAPPROPRIATE_FALLBACK",
        90 => "TLSV1_ALERT_USER_CANCELLED",
        110 => "TLSV1_ALERT_UNSUPPORTED_EXTENSION",
        112 => "TLSV1_ALERT_UNRECOGNIZED_NAME",
        113 => "TLSV1_ALERT_BAD_CERTIFICATE_STATUS_RESPONSE",
        115 => "TLSV1_ALERT_UNKNOWN_PSK_IDENTITY",
        116 => "TLSV1_ALERT_CERTIFICATE_REQUIRED",
        120 => "TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
        other => return format!("ALERT_{other}"),
    };
    name.to_owned()
}
