//! Peers that are trusted by the domain of their SPIFFE id, as the X.509-SVID specification (section 5) asks for.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustls::CertificateError;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::KeyUsage;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::config::tls::{TrustDomain, TrustDomains};
use crate::config::watched::WatchedFile;
use crate::observability::stream_info::CertificateInfo;
use crate::observability::watched_file;

use super::certificate;
use super::chain::{Limits, Trust};

/// Whom a context trusts by domain.
#[derive(Debug)]
pub(super) struct Domains {
    /// As they were when the configuration was read.
    first: Arc<[Domain]>,
    followed: Option<Followed>,
    allow_expired: bool,
}

/// A bundle map in a file, which counts as it is at the time. Only handshakes look at it.
#[derive(Debug)]
struct Followed {
    file: WatchedFile,
    current: Mutex<Current>,
}

/// What a file told when it could last be read.
#[derive(Debug)]
struct Current {
    text: Bytes,
    domains: Arc<[Domain]>,
}

/// A domain, and whom its members are trusted by where a workload asks.
#[derive(Debug)]
struct Domain {
    name: String,
    /// Empty for who is none.
    workload: String,
    trust: Trust,
}

impl Domain {
    fn all(domains: &[TrustDomain], allow_expired: bool) -> Arc<[Self]> {
        // As in Envoy neither the length of chains nor how deep lists are looked at is configured here.
        let limits = Limits { only_leaf_crl: false, allow_expired, max_intermediates: None };
        let domain = |domain: &TrustDomain| Domain {
            name: domain.name.clone(),
            workload: domain.workload.clone(),
            trust: Trust::new(&domain.trusted, &domain.crl, limits),
        };
        domains.iter().map(domain).collect()
    }
}

impl Domains {
    pub(super) fn new(known: &TrustDomains, allow_expired: bool) -> Self {
        let first = Domain::all(&known.domains, allow_expired);
        let current = || Mutex::new(Current { text: Bytes::new(), domains: Arc::clone(&first) });
        let followed = known.file.clone().map(|file| Followed { file, current: current() });
        Domains { first, followed, allow_expired }
    }

    /// Whom members of all domains are trusted by, as the configuration was read.
    pub(super) fn all(&self) -> impl Iterator<Item = &Trust> {
        self.first.iter().map(|domain| &domain.trust)
    }

    /// The domains now. A file that makes no sense changes nothing.
    fn current(&self) -> Arc<[Domain]> {
        let Some(Followed { file, current }) = &self.followed else { return Arc::clone(&self.first) };
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = watched_file::content(file)
            && text != current.text
        {
            match TrustDomain::from_map(&text) {
                Ok(domains) => current.domains = Domain::all(&domains, self.allow_expired),
                Err(why) => {
                    tracing::error!("Failed to load SPIFFE bundle map {}: {why}", file.path.display())
                }
            }
            current.text = text;
        }
        Arc::clone(&current.domains)
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
        let known = self.current();
        let found = known.iter().find(is_its).ok_or_else(|| refused("no trust bundle store"))?;
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;
    use crate::config::watched::WatchedDirectory;

    fn certificate(name: &str) -> CertificateDer<'static> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls");
        CertificateDer::from_pem_file(folder.join(name)).expect("a certificate")
    }

    /// A bundle map in which this authority vouches for the domain `test`.
    fn bundle(authority: &str) -> String {
        let key = BASE64_STANDARD.encode(certificate(authority));
        format!(r#"{{"trust_domains": {{"test": {{"keys": [{{"use": "x509-svid", "x5c": ["{key}"]}}]}}}}}}"#)
    }

    fn trusts(domains: &Domains) -> bool {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let chain = (&certificate("workload.pem"), &[][..]);
        domains.check(&provider, chain, UnixTime::now(), KeyUsage::client_auth(), "").is_ok()
    }

    #[test]
    fn a_bundle_in_a_file_counts_as_it_is_at_the_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("bundle.json");
        let put = |text: &str| {
            let next = directory.path().join("next.json");
            std::fs::write(&next, text).expect("a file");
            std::fs::rename(&next, &path).expect("a file");
        };
        put(&bundle("ca.pem"));
        let known = TrustDomain::from_map(bundle("ca.pem").as_bytes()).expect("a bundle");
        let file = WatchedFile::new(&path, Some(WatchedDirectory::around(&path)));
        let domains = Domains::new(&TrustDomains { domains: known, file: Some(file) }, false);
        assert!(trusts(&domains));
        put(&bundle("other-ca.pem"));
        assert!(!trusts(&domains));
        put("{}");
        assert!(!trusts(&domains), "what makes no sense changes nothing");
        put(&bundle("ca.pem"));
        assert!(trusts(&domains));
    }
}
