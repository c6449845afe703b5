//! `x-forwarded-client-cert`: who the proxies before this one say that the client is, and who it has shown to be.

use std::fmt::Write as _;

use serde_json::Value;

use crate::base::headers::{Headers, Known};
use crate::config::http_connection_manager::{ClientCertDetails, ForwardClientCert};
use crate::observability::stream_info::{CertificateInfo, TlsInfo};

/// Changes the header of a request that came over a connection with this TLS.
pub(super) fn forward(mode: ForwardClientCert, tls: Option<&TlsInfo>, request: &mut Headers) {
    let shown = tls.and_then(|tls| Some((tls, tls.peer_certificate()?)));
    match (mode, shown) {
        (ForwardClientCert::AlwaysForwardOnly, _) | (ForwardClientCert::ForwardOnly, Some(_)) => {}
        (ForwardClientCert::Sanitize, _) | (_, None) => {
            request.remove(Known::XForwardedClientCert);
        }
        (ForwardClientCert::AppendForward(details), Some((tls, certificate))) => {
            let before = request.get(Known::XForwardedClientCert).unwrap_or_default();
            let told = append(before, details, tls, certificate);
            request.set(Known::XForwardedClientCert, &told);
        }
        (ForwardClientCert::SanitizeSet(details), Some((tls, certificate))) => {
            request.set(Known::XForwardedClientCert, &append(b"", details, tls, certificate));
        }
    }
}

/// The header with what the client has shown behind what it was, in the format that it has.
fn append(
    before: &[u8],
    details: ClientCertDetails,
    tls: &TlsInfo,
    certificate: &CertificateInfo,
) -> Vec<u8> {
    let list = before.strip_prefix(b"[").and_then(|list| list.strip_suffix(b"]"));
    match (before, list) {
        (b"", _) if details.json => json(details, tls, certificate, b""),
        (b"", _) => tell(details, tls, certificate).into_bytes(),
        (_, Some(list)) => json(details, tls, certificate, list),
        (before, None) => [before, b",", tell(details, tls, certificate).as_bytes()].concat(),
    }
}

/// The header as JSON: a list of what was in it and of this element.
fn json(details: ClientCertDetails, tls: &TlsInfo, certificate: &CertificateInfo, before: &[u8]) -> Vec<u8> {
    let text = |text: &str| Some(Value::String(text.to_owned()));
    let texts = |texts: &[String]| (!texts.is_empty()).then(|| Value::from(texts.to_vec()));
    let own = tls.local.as_ref().map_or(&[][..], |local| &local.uris);
    let chain = || tls.peer.iter().map(CertificateInfo::pem).collect::<Vec<_>>();
    let fields = [
        ("by", texts(own)),
        ("hash", text(certificate.sha256())),
        ("cert", details.cert.then(|| Value::String(certificate.pem()))),
        ("chain", details.chain.then(|| Value::from(chain()))),
        ("subject", details.subject.then(|| text(&certificate.subject)).flatten()),
        ("uri", details.uri.then(|| texts(&certificate.uris)).flatten()),
        ("dns", details.dns.then(|| texts(&certificate.dns_names)).flatten()),
        ("issuer", details.issuer.then(|| text(&certificate.issuer)).flatten()),
    ];
    let fields = fields.into_iter().filter_map(|(key, value)| Some(format!("\"{key}\":{}", value?)));
    let fields: Vec<String> = fields.collect();
    // Nothing stands before the element in an empty list.
    let comma: &[u8] = if before.trim_ascii().is_empty() { b"" } else { b"," };
    [b"[", before, comma, b"{", fields.join(",").as_bytes(), b"}]"].concat()
}

/// One element of the header as text.
fn tell(details: ClientCertDetails, tls: &TlsInfo, certificate: &CertificateInfo) -> String {
    let mut told = Told::default();
    for uri in tls.local.iter().flat_map(|local| &local.uris) {
        told.pair("By", uri);
    }
    told.pair("Hash", certificate.sha256());
    if details.cert {
        told.quoted("Cert", certificate.uri_encoded_pem());
    }
    if details.chain {
        let chain: String = tls.peer.iter().map(CertificateInfo::uri_encoded_pem).collect();
        told.quoted("Chain", &chain);
    }
    if details.subject {
        told.quoted("Subject", &certificate.subject);
    }
    if details.uri {
        certificate.uris.iter().for_each(|uri| told.pair("URI", uri));
        if certificate.uris.is_empty() {
            told.pair("URI", "");
        }
    }
    if details.dns {
        certificate.dns_names.iter().for_each(|name| told.pair("DNS", name));
    }
    if details.issuer {
        told.quoted("Issuer", &certificate.issuer);
    }
    told.0
}

/// Keys with values and `;` between them.
#[derive(Default)]
struct Told(String);

impl Told {
    fn key(&mut self, key: &str) {
        if !self.0.is_empty() {
            self.0.push(';');
        }
        self.0.push_str(key);
        self.0.push('=');
    }

    fn pair(&mut self, key: &str, value: &str) {
        self.key(key);
        self.0.push_str(value);
    }

    fn quoted(&mut self, key: &str, value: &str) {
        self.key(key);
        // Writing to a text does not fail.
        write!(self.0, "\"{value}\"").unwrap_or_default();
    }
}
