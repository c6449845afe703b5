//! What is known of a connection's TLS.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Letters in a line of PEM (RFC 7468 §2).
const LINE: usize = 64;

/// What both ends agreed on, and the certificates that they showed; what there is of that where the handshake with a client
/// failed.
#[derive(Clone, Debug)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`
    pub version: &'static str,
    /// The cipher suite, by BoringSSL's name; empty if the handshake failed before there was one.
    pub cipher: &'static str,
    /// The group in which keys were exchanged, by BoringSSL's name; empty if there was no exchange.
    pub group: &'static str,
    /// Name that was asked for; empty if none was.
    pub sni: Box<str>,
    /// The protocol agreed on; empty if there was no agreement.
    pub alpn: Box<[u8]>,
    /// The certificate that was shown.
    pub local: Option<Arc<CertificateInfo>>,
    /// The chain that the peer showed, its own first; empty if it showed none.
    pub peer: Box<[CertificateInfo]>,
    /// How long the handshake took; `None` if it failed.
    pub took: Option<Duration>,
    /// Whether the peer's certificate was looked at and found good.
    pub validated: bool,
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct CertificateInfo {
    /// The certificate itself.
    pub der: Box<[u8]>,
    /// Whom it is of (RFC 2253).
    pub subject: String,
    /// Who issued it (RFC 2253).
    pub issuer: String,
    /// Its number, in hexadecimal digits.
    pub serial: String,
    /// Its first moment.
    pub not_before: SystemTime,
    /// Its last moment.
    pub not_after: SystemTime,
    /// Names of hosts.
    pub dns_names: Vec<String>,
    /// URIs.
    pub uris: Vec<String>,
    /// Addresses of mail.
    pub emails: Vec<String>,
    /// Names of other kinds (`otherName`), what they are as texts.
    pub other_names: Vec<String>,
    /// IP addresses.
    pub ip_addresses: Vec<IpAddr>,
    /// What many requests of a connection ask for.
    pub texts: Texts,
}

/// Texts made of a certificate when they are first asked for.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    pem: OnceLock<String>,
    sha256: OnceLock<String>,
}

impl TlsInfo {
    /// The peer's own certificate.
    pub fn peer_certificate(&self) -> Option<&CertificateInfo> {
        self.peer.first()
    }
}

impl CertificateInfo {
    /// The certificate as a header or a line of a log can hold it: PEM, with what URIs do not allow encoded.
    pub fn uri_encoded_pem(&self) -> &str {
        self.texts.pem.get_or_init(|| self.encode_pem())
    }

    /// The certificate in PEM.
    pub fn pem(&self) -> String {
        let encoded = BASE64_STANDARD.encode(&self.der);
        let mut text = String::with_capacity(encoded.len() + encoded.len() / LINE + 64);
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let mut rest = &*encoded;
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(LINE));
            text.push_str(line);
            text.push('\n');
            rest = after;
        }
        text.push_str("-----END CERTIFICATE-----\n");
        text
    }

    fn encode_pem(&self) -> String {
        let encoded = BASE64_STANDARD.encode(&self.der);
        let mut text = String::with_capacity(encoded.len() * 2);
        text.push_str("-----BEGIN%20CERTIFICATE-----%0A");
        let (lines, rest) = encoded.as_bytes().as_chunks::<LINE>();
        for line in lines.iter().map(|line| &line[..]).chain((!rest.is_empty()).then_some(rest)) {
            for letter in line {
                match letter {
                    b'+' => text.push_str("%2B"),
                    b'/' => text.push_str("%2F"),
                    b'=' => text.push_str("%3D"),
                    letter => text.push(char::from(*letter)),
                }
            }
            text.push_str("%0A");
        }
        text.push_str("-----END%20CERTIFICATE-----%0A");
        text
    }

    /// The SHA-1 of the certificate in hexadecimal digits; by it some look certificates up, nothing is trusted for it.
    pub fn sha1(&self) -> String {
        hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.der).as_ref())
    }

    /// The SHA-256 of the certificate in hexadecimal digits.
    pub fn sha256(&self) -> &str {
        self.texts.sha256.get_or_init(|| hex(digest::digest(&digest::SHA256, &self.der).as_ref()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
