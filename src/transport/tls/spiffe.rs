//! Peers that are trusted by the domain of their SPIFFE id, as the X.509-SVID specification (section 5) asks for.

use rustls::CertificateError;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::KeyUsage;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::config::tls::TrustDomain;
use crate::observability::stream_info::CertificateInfo;

use super::certificate;
use super::chain::{Limits, Trust};

/// Whom a context trusts by domain.
#[derive(Debug)]
pub(super) struct Domains(Box<[Domain]>);

/// A domain, and whom its members are trusted by where a workload asks.
#[derive(Debug)]
struct Domain {
    name: String,
    /// Empty for who is none.
    workload: String,
    trust: Trust,
}

impl Domains {
    pub(super) fn new(domains: &[TrustDomain], allow_expired: bool) -> Self {
        // As in Envoy neither the length of chains nor how deep lists are looked at is configured here.
        let limits = Limits { only_leaf_crl: false, allow_expired, max_intermediates: None };
        let domain = |domain: &TrustDomain| Domain {
            name: domain.name.clone(),
            workload: domain.workload.clone(),
            trust: Trust::new(&domain.trusted, &domain.crl, limits),
        };
        Domains(domains.iter().map(domain).collect())
    }

    /// Whom members of all domains are trusted by.
    pub(super) fn all(&self) -> impl Iterator<Item = &Trust> {
        self.0.iter().map(|domain| &domain.trust)
    }

    /// Whether the chain is that of a member of a domain that this workload trusts; else what is wrong, and what the peer's log is
    /// told.
    pub(super) fn check(
        &self,
        provider: &CryptoProvider,
        (end_entity, intermediates): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        now: UnixTime,
        usage: KeyUsage,
        workload: &str,
    ) -> Result<(), (CertificateError, String)> {
        let refused = |why: &str| {
            (CertificateError::ApplicationVerificationFailure, format!("verify cert failed: {why}"))
        };
        if !is_leaf(end_entity) {
            return Err(refused("cert precheck"));
        }
        let info = certificate::read(end_entity);
        let domain = info.as_ref().and_then(domain);
        let is_its = |known: &&Domain| Some(known.name.as_str()) == domain && known.workload == workload;
        let found = self.0.iter().find(is_its).ok_or_else(|| refused("no trust bundle store"))?;
        found.trust.check(provider, (end_entity, intermediates), now, usage)
    }
}

/// Whether it is no authority's, and says so: one that says nothing of its use may be used for all.
fn is_leaf(end_entity: &[u8]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(end_entity) else { return false };
    let usage = certificate.key_usage().ok().flatten();
    let signs = usage.is_none_or(|usage| usage.value.key_cert_sign() || usage.value.crl_sign());
    !certificate.is_ca() && !signs
}

/// The domain of the first name that is a URI.
fn domain(info: &CertificateInfo) -> Option<&str> {
    let (domain, _) = info.uris.first()?.strip_prefix("spiffe://")?.split_once('/')?;
    (!domain.is_empty()).then_some(domain)
}
