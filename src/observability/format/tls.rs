//! What is told of TLS and its certificates.

use crate::config::format::{CertificatePart, Side, TimeFormat, TlsPart};
use crate::observability::stream_info::{CertificateInfo, StreamInfo, TlsInfo};

use super::Given;
use super::command::{number, text};
use super::time;

fn of(side: Side, info: &StreamInfo) -> Option<&TlsInfo> {
    match side {
        Side::Downstream => info.connection.tls.get().map(|tls| &**tls),
        Side::Upstream => info.upstream.as_ref()?.tls.as_deref(),
    }
}

/// Writes what is told of the TLS of a side.
pub(super) fn write(side: Side, part: TlsPart, info: &StreamInfo, out: &mut Vec<u8>) -> Given {
    let Some(tls) = of(side, info) else { return Given::Nothing };
    match part {
        TlsPart::Version => not_empty(tls.version, out),
        TlsPart::Cipher => not_empty(tls.cipher, out),
        TlsPart::Group => not_empty(tls.group, out),
        TlsPart::ServerName => not_empty(&tls.sni, out),
        TlsPart::HandshakeDuration => match tls.took {
            Some(took) => number(took.as_millis() as u64, out),
            None => Given::Nothing,
        },
        TlsPart::Local(part) => all(tls.local.as_deref().as_slice(), part, out),
        TlsPart::Peer(part) => all(tls.peer.first().as_slice(), part, out),
        TlsPart::Issuer(part) => all(tls.peer.get(1).as_slice(), part, out),
        TlsPart::Chain(part) => all(&tls.peer.iter().collect::<Vec<_>>(), part, out),
    }
}

/// Writes when the peer's certificate begins or ends to hold.
pub(super) fn validity(
    side: Side,
    end: bool,
    format: &TimeFormat,
    info: &StreamInfo,
    out: &mut Vec<u8>,
) -> Given {
    let Some(certificate) = of(side, info).and_then(TlsInfo::peer_certificate) else { return Given::Nothing };
    time::write(format, if end { certificate.not_after } else { certificate.not_before }, out)
}

fn not_empty(value: &str, out: &mut Vec<u8>) -> Given {
    text(Some(value.as_bytes()).filter(|value| !value.is_empty()), out)
}

/// A part of each certificate, with commas between them.
fn all(certificates: &[&CertificateInfo], part: CertificatePart, out: &mut Vec<u8>) -> Given {
    let texts: Vec<String> = certificates.iter().map(|certificate| one(certificate, part)).collect();
    not_empty(&texts.join(","), out)
}

fn one(certificate: &CertificateInfo, part: CertificatePart) -> String {
    match part {
        CertificatePart::Pem => certificate.uri_encoded_pem().to_owned(),
        CertificatePart::Subject => certificate.subject.clone(),
        CertificatePart::IssuerName => certificate.issuer.clone(),
        CertificatePart::Serial => certificate.serial.clone(),
        CertificatePart::Fingerprint1 => certificate.sha1(),
        CertificatePart::Fingerprint256 => certificate.sha256().to_owned(),
        CertificatePart::DnsNames => certificate.dns_names.join(","),
        CertificatePart::Uris => certificate.uris.join(","),
        CertificatePart::Emails => certificate.emails.join(","),
        CertificatePart::OtherNames => certificate.other_names.join(","),
        CertificatePart::IpAddresses => {
            let addresses: Vec<_> = certificate.ip_addresses.iter().map(ToString::to_string).collect();
            addresses.join(",")
        }
    }
}
