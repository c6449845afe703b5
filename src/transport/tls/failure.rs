//! Why handshakes fail, in the words of BoringSSL, by which Envoy tells it.

use std::io;

use rustls::{AlertDescription, ContentType, Error, InvalidMessage, PeerIncompatible};

use crate::observability::stats::tls::TlsStats;
use crate::observability::stream_info::TlsInfo;

/// Number of the first reason of BoringSSL's part for TLS.
const FIRST_REASON: u32 = 0x1000_0000;

/// That the peer's key may not be used as it is: what BoringSSL calls it.
pub(super) const KEY_USAGE_BIT_INCORRECT: &str = "KEY_USAGE_BIT_INCORRECT";

/// Why a handshake failed. Its text is empty where the peer left without a word.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct HandshakeError {
    reason: String,
    is_late: bool,
    /// What is known of the handshake all the same.
    seen: Option<Box<TlsInfo>>,
}

/// First bytes of plain text in which BoringSSL sees a request.
const REQUESTS: [&[u8]; 4] = [b"GET ", b"POST ", b"HEAD ", b"PUT "];

/// And those in which it sees one for a proxy.
const PROXY_REQUEST: &[u8] = b"CONNE";

/// How many bytes [`HandshakeError::without_greeting`] looks at.
pub(super) const FIRST_BYTES: usize = 7;

/// Types of records and messages (RFC 8446 §5.1, §4).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// The level of an alert that ends a connection (RFC 8446 §6).
const FATAL: u8 = 2;

impl HandshakeError {
    /// That the peer's certificate was refused, which has been counted.
    pub(super) fn refused(why: &str) -> Self {
        let colon = if why.is_empty() { "" } else { ":" };
        told(125, &format!("CERTIFICATE_VERIFY_FAILED{colon}{why}")).into()
    }

    /// That the host cannot be asked for by its name.
    pub(super) fn no_name(name: &str) -> Self {
        format!("TLS_error:|{name} is no name of a server:TLS_error_end").into()
    }

    /// That a client sends first what is no greeting, where that is known from these bytes; it is counted.
    pub(super) fn without_greeting(first: &[u8], stats: &TlsStats) -> Option<Self> {
        let reason = match first {
            [ALERT, 3, _, 0, 2, FATAL, alert] => reason(&Error::AlertReceived((*alert).into())),
            _ if first.starts_with(PROXY_REQUEST) => told(155, "HTTPS_PROXY_REQUEST"),
            _ if REQUESTS.iter().any(|method| first.starts_with(method)) => told(156, "HTTP_REQUEST"),
            _ => return None,
        };
        stats.connection_error().inc();
        Some(reason.into())
    }

    /// From what the library says of a client's greeting, which begins with these bytes; counts it.
    pub(super) fn of_greeting(error: &io::Error, first: &[u8], stats: &TlsStats) -> Self {
        let failed = Self::new(error, stats);
        match library(error) {
            Some(Error::InvalidMessage(why)) if !is_about_records(why) => match first {
                [HANDSHAKE, _, _, _, _, kind, ..] if *kind != CLIENT_HELLO => told(223, "UNEXPECTED_MESSAGE"),
                _ => told(131, "CLIENTHELLO_PARSE_FAILED"),
            }
            .into(),
            _ => failed,
        }
    }

    /// From what the library says of a handshake with a host that has shown no certificate yet; counts it.
    pub(super) fn of_silent_host(error: &io::Error, stats: &TlsStats) -> Self {
        let failed = Self::new(error, stats);
        match library(error) {
            Some(Error::AlertReceived(AlertDescription::HandshakeFailure)) => {
                let alert = (1040, alert_name(AlertDescription::HandshakeFailure));
                told_all(&[alert, (154, "HANDSHAKE_FAILURE_ON_CLIENT_HELLO".to_owned())]).into()
            }
            _ => failed,
        }
    }

    /// That the client took too long.
    pub(super) fn too_late() -> Self {
        HandshakeError { is_late: true, ..String::new().into() }
    }

    /// That there is no certificate to be shown: none that was asked for, or no answer of OCSP that holds, which has to go
    /// with it.
    pub(super) fn no_certificate(stats: &TlsStats) -> Self {
        stats.connection_error().inc();
        told(132, "CONNECTION_REJECTED").into()
    }

    /// That a secret has not come.
    pub(super) fn no_secret() -> Self {
        "TLS error: Secret is not supplied by SDS".to_owned().into()
    }

    /// From what the library says; counts it.
    pub(super) fn new(error: &io::Error, stats: &TlsStats) -> Self {
        let Some(error) = library(error) else { return String::new().into() };
        if matches!(error, Error::NoCertificatesPresented) {
            stats.fail_verify_no_cert().inc();
        } else {
            stats.connection_error().inc();
        }
        reason(error).into()
    }

    /// The same where this is known of the handshake.
    pub(super) fn seeing(self, seen: TlsInfo) -> Self {
        HandshakeError { seen: Some(Box::new(seen)), ..self }
    }

    /// Whether the client took too long, and nothing else is wrong.
    pub fn is_late(&self) -> bool {
        self.is_late
    }

    /// What is known of a handshake with a client that failed; `None` where none began.
    pub fn take_seen(&mut self) -> Option<Box<TlsInfo>> {
        self.seen.take()
    }

    /// Why, as logs tell it; empty where that is not known.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<String> for HandshakeError {
    fn from(reason: String) -> Self {
        HandshakeError { reason, is_late: false, seen: None }
    }
}

impl From<HandshakeError> for io::Error {
    fn from(error: HandshakeError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

fn library(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn told(number: u32, name: &str) -> String {
    told_all(&[(number, name.to_owned())])
}

fn told_all(reasons: &[(u32, String)]) -> String {
    let one = |(number, name): &(u32, String)| {
        format!("|{}:SSL routines:OPENSSL_internal:{name}", FIRST_REASON + number)
    };
    let all: String = reasons.iter().map(one).collect();
    format!("TLS_error:{all}:TLS_error_end")
}

/// Whether a fault is one of records, and not of what is in them.
fn is_about_records(why: &InvalidMessage) -> bool {
    use InvalidMessage::{InvalidContentType, InvalidEmptyPayload, MessageTooLarge, UnknownProtocolVersion};
    matches!(why, InvalidContentType | InvalidEmptyPayload | MessageTooLarge | UnknownProtocolVersion)
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
        Error::InvalidMessage(InvalidMessage::MessageTooLarge) => told(146, "ENCRYPTED_LENGTH_TOO_LONG"),
        Error::InappropriateMessage {
            got_type: ContentType::ApplicationData | ContentType::ChangeCipherSpec,
            ..
        } => told(225, "UNEXPECTED_RECORD"),
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
