//! What certificates say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{ASN1Time, FromDer as _, GeneralName, ParsedExtension, X509Certificate, X509Name};

use crate::observability::stream_info::{CertificateInfo, Texts};

use super::other_names;

/// What this certificate says; `None` where it cannot be read.
pub fn read(der: &[u8]) -> Option<CertificateInfo> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut info = CertificateInfo {
        der: der.into(),
        subject: name(certificate.subject()),
        issuer: name(certificate.issuer()),
        serial: hex(certificate.raw_serial()),
        not_before: time(certificate.validity().not_before),
        not_after: time(certificate.validity().not_after),
        dns_names: Vec::new(),
        uris: Vec::new(),
        emails: Vec::new(),
        other_names: Vec::new(),
        ip_addresses: Vec::new(),
        texts: Texts::default(),
    };
    for extension in certificate.extensions() {
        let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() else { continue };
        for general in &names.general_names {
            match general {
                GeneralName::DNSName(name) => info.dns_names.push((*name).to_owned()),
                GeneralName::URI(uri) => info.uris.push((*uri).to_owned()),
                GeneralName::RFC822Name(name) => info.emails.push((*name).to_owned()),
                GeneralName::OtherName(_, value) => {
                    let text = other_names::text(value).unwrap_or_default();
                    info.other_names.push(String::from_utf8_lossy(&text).into_owned());
                }
                GeneralName::IPAddress(bytes) => info.ip_addresses.extend(ip_address(bytes)),
                _ => {}
            }
        }
    }
    Some(info)
}

/// What the certificates of a chain say, as far as they can be read: none takes the place of one before it.
pub(super) fn read_chain(chain: &[CertificateDer<'_>]) -> Box<[CertificateInfo]> {
    chain.iter().map_while(|der| read(der)).collect()
}

/// The address that a certificate holds in these bytes.
pub(super) fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)))).ok()
}

fn time(time: ASN1Time) -> SystemTime {
    let seconds = time.timestamp();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let moment =
        if seconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    moment.unwrap_or(UNIX_EPOCH)
}

/// Hexadecimal digits without the byte that only says that a number is not negative.
fn hex(bytes: &[u8]) -> String {
    let bytes = match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        bytes => bytes,
    };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Short names of what names are made of (RFC 2253 §2.3, and those that OpenSSL has beside them).
const ATTRIBUTES: [(&str, &str); 14] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "GN"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// A name as RFC 2253 writes it: the last part first.
fn name(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter_rdn().collect();
    let mut text = String::new();
    for (index, part) in parts.iter().rev().enumerate() {
        if index > 0 {
            text.push(',');
        }
        for (index, attribute) in part.iter().enumerate() {
            if index > 0 {
                text.push('+');
            }
            let id = attribute.attr_type().to_id_string();
            let short = ATTRIBUTES.iter().find(|(known, _)| *known == id).map(|(_, short)| *short);
            text.push_str(short.unwrap_or(&id));
            text.push('=');
            text.push_str(&escaped(attribute.as_str().unwrap_or_default()));
        }
    }
    text
}

/// RFC 2253 §2.4
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (index, letter) in value.chars().enumerate() {
        let special = matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';');
        let at_an_end = (index == 0 && matches!(letter, ' ' | '#')) || (index == last && letter == ' ');
        if special || at_an_end {
            text.push('\\');
        }
        if letter.is_control() {
            letter.to_string().bytes().for_each(|byte| text.push_str(&format!("\\{byte:02X}")));
        } else {
            text.push(letter);
        }
    }
    text
}

/// Whether the name in a certificate, which may begin with a wildcard for the first label, is of this host.
pub(super) fn is_name_of(name: &str, host: &str) -> bool {
    if host.eq_ignore_ascii_case(name) {
        return true;
    }
    let (Some(suffix), Some(dot)) = (name.strip_prefix('*'), host.find('.')) else { return false };
    suffix.starts_with('.') && suffix.len() > 1 && dot > 0 && host[dot..].eq_ignore_ascii_case(suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_whole_label() {
        for (host, pattern, expected) in [
            ("a.example", "a.example", true),
            ("A.example", "a.EXAMPLE", true),
            ("a.b.example", "*.b.example", true),
            ("x.a.b.example", "*.b.example", false),
            ("b.example", "*.b.example", false),
            (".b.example", "*.b.example", false),
            ("example", "*", false),
            ("a.example", "*.", false),
            ("ab.example", "a*.example", false),
        ] {
            assert_eq!(is_name_of(pattern, host), expected, "{host} {pattern}");
        }
    }
}
