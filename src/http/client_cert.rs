//! `x-forwarded-client-cert`: who the proxies before this one say that the client is, and who it has shown to be.

use std::fmt::Write as _;

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
            let before = request.get(Known::XForwardedClientCert).map(<[u8]>::to_vec);
            let told = tell(details, tls, certificate);
            let joined = match before {
                Some(before) if !before.is_empty() => [&before, &b","[..], told.as_bytes()].concat(),
                _ => told.into_bytes(),
            };
            request.set(Known::XForwardedClientCert, &joined);
        }
        (ForwardClientCert::SanitizeSet(details), Some((tls, certificate))) => {
            request.set(Known::XForwardedClientCert, tell(details, tls, certificate).as_bytes());
        }
    }
}

/// One element of the header.
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
