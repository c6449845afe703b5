//! Commands about TLS and its certificates, by their names.

use super::command::Operator;
use super::operand::Side;

/// What a command tells of a connection's TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPart {
    /// `…_TLS_VERSION`
    Version,
    /// `…_TLS_CIPHER`
    Cipher,
    /// `…_TLS_GROUP`
    Group,
    /// `DOWNSTREAM_HANDSHAKE_DURATION`, in milliseconds.
    HandshakeDuration,
    /// `UPSTREAM_SERVER_NAME`: the name that was asked for.
    ServerName,
    /// `…_LOCAL_…`: of our own certificate.
    Local(CertificatePart),
    /// `…_PEER_…`: of the peer's certificate.
    Peer(CertificatePart),
    /// `…_PEER_ISSUER_…`: of the certificate behind the peer's own.
    Issuer(CertificatePart),
    /// `…_PEER_CHAIN_…`: of each certificate that the peer showed.
    Chain(CertificatePart),
}

/// What a command tells of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificatePart {
    /// All of it: PEM with what URIs do not allow encoded.
    Pem,
    /// Whom it is of.
    Subject,
    /// Who issued it.
    IssuerName,
    /// Its number.
    Serial,
    /// Its SHA-1.
    Fingerprint1,
    /// Its SHA-256.
    Fingerprint256,
    /// Names of hosts.
    DnsNames,
    /// URIs.
    Uris,
    /// Addresses of mail.
    Emails,
    /// Names of other kinds.
    OtherNames,
    /// IP addresses.
    IpAddresses,
}

const NAMES: [(&str, CertificatePart); 5] = [
    ("DNS_SAN", CertificatePart::DnsNames),
    ("URI_SAN", CertificatePart::Uris),
    ("EMAIL_SAN", CertificatePart::Emails),
    ("IP_SAN", CertificatePart::IpAddresses),
    ("OTHERNAME_SAN", CertificatePart::OtherNames),
];

/// The command of this name; `None` where it is about something else.
pub(super) fn operator(name: &str) -> Option<Operator> {
    let (side, what) = match name.strip_prefix("DOWNSTREAM_") {
        Some(what) => (Side::Downstream, what),
        None => (Side::Upstream, name.strip_prefix("UPSTREAM_")?),
    };
    let part = match (side, what) {
        (_, "TLS_VERSION") => TlsPart::Version,
        (_, "TLS_CIPHER") => TlsPart::Cipher,
        (_, "TLS_GROUP") => TlsPart::Group,
        (Side::Downstream, "HANDSHAKE_DURATION") => TlsPart::HandshakeDuration,
        (Side::Upstream, "SERVER_NAME") => TlsPart::ServerName,
        (_, what) => match what.strip_prefix("LOCAL_") {
            Some(what) => TlsPart::Local(local(side, what)?),
            None => peer(side, what.strip_prefix("PEER_")?)?,
        },
    };
    Some(Operator::Tls(side, part))
}

fn names(what: &str) -> Option<CertificatePart> {
    NAMES.iter().find(|(name, _)| *name == what).map(|(_, part)| *part)
}

fn local(side: Side, what: &str) -> Option<CertificatePart> {
    match (side, what) {
        (Side::Downstream, "SUBJECT") => Some(CertificatePart::Subject),
        (Side::Upstream, "EMAIL_SAN" | "OTHERNAME_SAN") => None,
        (_, what) => names(what),
    }
}

fn peer(side: Side, what: &str) -> Option<TlsPart> {
    let of_both = match what {
        "CERT" => Some(CertificatePart::Pem),
        "SUBJECT" => Some(CertificatePart::Subject),
        "ISSUER" => Some(CertificatePart::IssuerName),
        "EMAIL_SAN" | "OTHERNAME_SAN" if side == Side::Upstream => None,
        what => names(what),
    };
    if let Some(part) = of_both {
        return Some(TlsPart::Peer(part));
    }
    if side == Side::Upstream {
        return None;
    }
    Some(match what {
        "SERIAL" => TlsPart::Peer(CertificatePart::Serial),
        "FINGERPRINT_1" => TlsPart::Peer(CertificatePart::Fingerprint1),
        "FINGERPRINT_256" => TlsPart::Peer(CertificatePart::Fingerprint256),
        "ISSUER_SERIAL" => TlsPart::Issuer(CertificatePart::Serial),
        "ISSUER_FINGERPRINT_256" => TlsPart::Issuer(CertificatePart::Fingerprint256),
        "CHAIN_SERIALS" => TlsPart::Chain(CertificatePart::Serial),
        "CHAIN_FINGERPRINTS_1" => TlsPart::Chain(CertificatePart::Fingerprint1),
        "CHAIN_FINGERPRINTS_256" => TlsPart::Chain(CertificatePart::Fingerprint256),
        _ => return None,
    })
}
