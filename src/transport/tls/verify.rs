//! Whether a peer's certificate is the one that is asked for.
//!
//! In Envoy's order: the chain to a trusted certificate, then the names, then the hashes.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, DistinguishedName, SignatureScheme};
use webpki::KeyUsage;

use crate::config::tls::{NameKind, Validation};
use crate::observability::stats::tls::TlsStats;
use crate::observability::stream_info::CertificateInfo;

use super::certificate;
use super::chain::{Limits, Trust};
use super::san::{all_names, has_any_name, has_name};
use super::spiffe::Domains;

/// What one connection asks of its peer's certificate.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Names of which it has to have one, beside what is configured; empty where that is not asked.
    pub(super) names: Box<[Box<str>]>,
    /// The name of DNS that it has to have in place of those that are configured.
    pub(super) instead: Option<Box<str>>,
    /// The workload on whose behalf it asks; empty for none.
    pub(super) workload: Box<str>,
}

/// What a context asks of its peers' certificates.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) provider: Arc<CryptoProvider>,
    /// How peers may sign, the preferred first; empty where that is not asked.
    pub(super) schemes: Vec<SignatureScheme>,
    /// `None` where nothing is asked.
    validation: Option<Arc<Validation>>,
    trust: Arc<Trusted>,
    /// Who clients are told is trusted.
    pub(super) hints: Vec<DistinguishedName>,
    stats: TlsStats,
}

/// Whom a context trusts.
#[derive(Debug)]
enum Trusted {
    /// Whomever these vouch for; nobody is asked for that where there are none.
    Authorities(Trust),
    /// Members of these domains.
    Domains(Domains),
}

impl Trusted {
    fn new(validation: Option<&Validation>) -> Self {
        let Some(validation) = validation else {
            let limits = Limits { only_leaf_crl: false, allow_expired: false, max_intermediates: None };
            return Trusted::Authorities(Trust::new(&[], &[], limits));
        };
        if let Some(known) = &validation.trust_domains {
            return Trusted::Domains(Domains::new(known, validation.allow_expired));
        }
        let limits = Limits {
            only_leaf_crl: validation.only_leaf_crl,
            allow_expired: validation.allow_expired,
            max_intermediates: validation.max_intermediates,
        };
        Trusted::Authorities(Trust::new(&validation.trusted_ca, &validation.crl, limits))
    }

    /// The names of those who vouch for peers.
    fn subjects(&self) -> Vec<DistinguishedName> {
        let all: Vec<&Trust> = match self {
            Trusted::Authorities(trust) => vec![trust],
            Trusted::Domains(domains) => domains.all().collect(),
        };
        let anchors = all.into_iter().flat_map(|trust| &trust.anchors);
        anchors.map(|anchor| DistinguishedName::in_sequence(&anchor.subject)).collect()
    }
}

impl Verifier {
    pub(super) fn new(
        provider: Arc<CryptoProvider>,
        schemes: Vec<SignatureScheme>,
        validation: Option<Arc<Validation>>,
        stats: TlsStats,
    ) -> Self {
        let validation = validation.filter(|validation| validation.is_needed());
        let trust = Trusted::new(validation.as_deref());
        let told = validation.as_ref().is_some_and(|validation| !validation.suppress_client_ca_list);
        let hints = if told { trust.subjects() } else { Vec::new() };
        Verifier { provider, schemes, hints, trust: Arc::new(trust), validation, stats }
    }

    /// The same with other statistics.
    pub(super) fn counted_by(&self, stats: TlsStats) -> Self {
        Verifier {
            provider: Arc::clone(&self.provider),
            schemes: self.schemes.clone(),
            validation: self.validation.clone(),
            trust: Arc::clone(&self.trust),
            hints: self.hints.clone(),
            stats,
        }
    }

    /// Whether anything is asked of certificates.
    pub(super) fn asks(&self) -> bool {
        self.validation.is_some()
    }

    /// Whether a certificate has to be shown, whether or not the context says so.
    pub(super) fn demands(&self) -> bool {
        matches!(*self.trust, Trusted::Domains(_))
    }

    /// Whether the certificate was found good, and not only taken; or why it is refused, and what its peer is told.
    pub(super) fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        usage: KeyUsage,
        asked: &Asked,
    ) -> Result<bool, (CertificateError, String)> {
        let refused = |why| Err((CertificateError::ApplicationVerificationFailure, why));
        let Some(validation) = &self.validation else {
            // As in Envoy a name is worth nothing that nobody vouches for.
            return if asked.names.is_empty() { Ok(false) } else { refused(String::new()) };
        };
        let chain = (end_entity, intermediates);
        let trusted = match &*self.trust {
            Trusted::Domains(domains) => {
                self.check_member(domains, validation, chain, (now, usage), &asked.workload)?;
                return self.check_asked(asked, end_entity).map(|()| true).or_else(refused);
            }
            Trusted::Authorities(_) if validation.trusted_ca.is_empty() => Ok(()),
            Trusted::Authorities(trust) => trust.check(&self.provider, chain, now, usage),
        };
        if let Err((error, why)) = trusted {
            self.stats.fail_verify_error().inc();
            return if validation.accept_untrusted { Ok(false) } else { Err((error, why)) };
        }
        let named = self.check_names(&asked.names, end_entity);
        match named.and_then(|()| self.check_identity(validation, asked.instead.as_deref(), end_entity)) {
            Ok(()) => Ok(true),
            Err(_) if validation.accept_untrusted => Ok(false),
            Err(why) => refused(why),
        }
    }

    /// Whether the certificate of a member of a domain has the names that its connection asks for, of which Envoy's
    /// validator takes no notice.
    fn check_asked(&self, asked: &Asked, end_entity: &[u8]) -> Result<(), String> {
        self.check_names(&asked.names, end_entity)?;
        let Some(name) = asked.instead.as_deref() else { return Ok(()) };
        let is_named = |info: CertificateInfo| {
            info.dns_names.iter().any(|pattern| certificate::is_name_of(pattern, name))
        };
        if certificate::read(end_entity).is_some_and(is_named) {
            return Ok(());
        }
        self.stats.fail_verify_san().inc();
        Err("verify cert failed: SAN match".to_owned())
    }

    /// Whether the certificate is that of a member of a domain that is trusted, and has one of the URIs.
    fn check_member(
        &self,
        domains: &Domains,
        validation: &Validation,
        chain: (&CertificateDer<'_>, &[CertificateDer<'_>]),
        (now, usage): (UnixTime, KeyUsage),
        workload: &str,
    ) -> Result<bool, (CertificateError, String)> {
        if let Err(refused) = domains.check(&self.provider, chain, now, usage, workload) {
            self.stats.fail_verify_error().inc();
            return Err(refused);
        }
        let mut uris = validation.names.iter().filter(|name| name.kind == NameKind::Uri).peekable();
        let info = certificate::read(chain.0);
        if uris.peek().is_none() || info.is_some_and(|info| uris.any(|name| has_name(&info, name))) {
            return Ok(true);
        }
        self.stats.fail_verify_san().inc();
        Err((CertificateError::ApplicationVerificationFailure, "verify cert failed: SAN match".to_owned()))
    }

    /// Whether the certificate has one of the names that its connection asks for, if it asks for any.
    fn check_names(&self, names: &[Box<str>], end_entity: &[u8]) -> Result<(), String> {
        if names.is_empty() {
            return Ok(());
        }
        let info = certificate::read(end_entity);
        let is_named = |info: &CertificateInfo| names.iter().any(|name| has_any_name(info, name));
        if info.as_ref().is_some_and(is_named) {
            return Ok(());
        }
        self.stats.fail_verify_san().inc();
        let (expected, found) = (names.join(", "), info.map(|info| all_names(&info)).unwrap_or_default());
        Err(format!(
            "verify cert failed: verify SAN list, expected SANs: [{expected}], certificate SANs: [{}]",
            found.join(", ")
        ))
    }

    /// Whether the certificate has one of the names, or the one `instead` of them, and one of the hashes that are asked
    /// for.
    fn check_identity(
        &self,
        validation: &Validation,
        instead: Option<&str>,
        end_entity: &[u8],
    ) -> Result<(), String> {
        if !validation.names.is_empty() || instead.is_some() {
            let info = certificate::read(end_entity);
            let is_named = |info: &CertificateInfo| match instead {
                Some(name) => info.dns_names.iter().any(|pattern| certificate::is_name_of(pattern, name)),
                None => validation.names.iter().any(|name| has_name(info, name)),
            };
            if !info.as_ref().is_some_and(is_named) {
                self.stats.fail_verify_san().inc();
                let names = info.map(|info| all_names(&info)).unwrap_or_default();
                return Err(format!(
                    "verify cert failed: SAN matcher, certificate SANs are [{}]",
                    names.join(", ")
                ));
            }
        }
        let hashed = !(validation.hashes.is_empty() && validation.spki.is_empty());
        if hashed && !has_hash(validation, end_entity) {
            self.stats.fail_verify_cert_hash().inc();
            return Err("verify cert failed: cert hash and spki".to_owned());
        }
        Ok(())
    }
}

fn has_hash(validation: &Validation, end_entity: &[u8]) -> bool {
    use x509_parser::prelude::{FromDer as _, X509Certificate};
    let sha256 = |bytes: &[u8]| -> [u8; 32] {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        digest.as_ref().try_into().unwrap_or_default()
    };
    if validation.hashes.contains(&sha256(end_entity)) {
        return true;
    }
    let key =
        X509Certificate::from_der(end_entity).map(|(_, certificate)| sha256(certificate.public_key().raw));
    key.is_ok_and(|key| validation.spki.contains(&key))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;

    use super::*;
    use crate::observability::stats::Registry;

    fn trusting(authority: CertificateDer<'static>) -> Validation {
        Validation {
            trust_domains: None,
            trusted_ca: vec![authority],
            path: String::new(),
            unnamed: String::new(),
            names: Vec::new(),
            hashes: Vec::new(),
            spki: Vec::new(),
            crl: Vec::new(),
            max_intermediates: None,
            only_leaf_crl: false,
            allow_expired: false,
            accept_untrusted: false,
            suppress_client_ca_list: false,
        }
    }

    fn hints(suppress_client_ca_list: bool) -> usize {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls/ca.pem");
        let trusted = CertificateDer::from_pem_file(path).expect("a certificate");
        let validation = Validation { suppress_client_ca_list, ..trusting(trusted) };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let stats = TlsStats::new(&Registry::new(1), "ssl.");
        Verifier::new(provider, Vec::new(), Some(Arc::new(validation)), stats).hints.len()
    }

    #[test]
    fn clients_are_told_who_is_trusted_unless_that_is_suppressed() {
        assert_eq!((hints(false), hints(true)), (1, 0));
    }

    #[test]
    fn nobody_is_trusted_by_an_authority_that_cannot_be_read() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls");
        let client = CertificateDer::from_pem_file(folder.join("client.pem")).expect("a certificate");
        let validation = trusting(CertificateDer::from(vec![0x30, 0]));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let stats = TlsStats::new(&Registry::new(1), "ssl.");
        let verifier = Verifier::new(provider, Vec::new(), Some(Arc::new(validation)), stats);
        let checked =
            verifier.check(&client, &[], UnixTime::now(), KeyUsage::client_auth(), &Asked::default());
        assert!(checked.is_err(), "{checked:?}");
    }
}
