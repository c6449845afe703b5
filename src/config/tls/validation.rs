//! What is asked of a peer's certificate: `CertificateValidationContext`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use v3::certificate_validation_context::TrustChainVerification;
use webpki::OwnedCertRevocationList;

use super::certificate::{WATCHED_IN_SECRETS, certificates, inline_hash, source_name};
use super::names::{NameKind, NameMatcher};
use super::spiffe::{self, TrustDomain, TrustDomains};
use crate::config::data_source;
use crate::config::field::{Scope, open};
use crate::config::matcher::StringMatcher;

/// Why nobody is trusted because the system trusts them.
const SYSTEM_ROOTS: &str = "Envoy passes it over, and takes any certificate: give trusted_ca the file that the system \
                            has, such as /etc/ssl/certs/ca-certificates.crt";

/// What Envoy calls trusted certificates that no secret names.
const UNNAMED: &str = "unnamed_ca_cert";

/// What a peer's certificate has to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    /// The domains of which peers have to be, and whom to trust for each; `None` where they are not asked for their
    /// domain. Where they are, only `names` of URIs and `allow_expired` count of the rest.
    pub trust_domains: Option<TrustDomains>,
    /// Who it may be issued by; empty where that is not looked at.
    pub trusted_ca: Vec<CertificateDer<'static>>,
    /// The file that those came from; `<inline>` where they came from none.
    pub path: String,
    /// What statistics call it where no secret names it.
    pub unnamed: String,
    /// Names of which it must have one; empty where that is not looked at.
    pub names: Vec<NameMatcher>,
    /// Hashes of certificates (SHA-256) of which it must have one, or one of `spki`.
    pub hashes: Vec<[u8; 32]>,
    /// Hashes of public keys (SHA-256 of the SubjectPublicKeyInfo).
    pub spki: Vec<[u8; 32]>,
    /// Lists of certificates that are not trusted any more; empty where that is not looked at.
    pub crl: Vec<CertificateRevocationListDer<'static>>,
    /// Whether only the peer's own certificate is looked for in the lists, and not its issuers.
    pub only_leaf_crl: bool,
    /// Certificates that may stand between a trusted one and the peer's; any number by default.
    pub max_intermediates: Option<u32>,
    /// Whether certificates are trusted beyond their time.
    pub allow_expired: bool,
    /// Whether a certificate that is not trusted is taken all the same, and only counted.
    pub accept_untrusted: bool,
    /// Whether clients are not told whose certificates are trusted.
    pub suppress_client_ca_list: bool,
}

impl Validation {
    /// Whether anything is asked at all.
    pub fn is_needed(&self) -> bool {
        let nothing = self.trusted_ca.is_empty() && self.hashes.is_empty() && self.spki.is_empty();
        self.trust_domains.is_some() || !nothing
    }

    /// The domains of which peers may be.
    fn known_domains(&self) -> impl Iterator<Item = &TrustDomain> {
        self.trust_domains.iter().flat_map(|known| &known.domains)
    }

    /// All certificates by which peers are trusted.
    pub fn authorities(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let alone = if self.trust_domains.is_some() { &[] } else { &self.trusted_ca[..] };
        self.known_domains().flat_map(|domain| &domain.trusted).chain(alone)
    }

    /// Hands over all that says who is trusted, part for part: where that is the same, a peer is trusted the same.
    pub fn identity(&self, add: &mut impl FnMut(&[u8])) {
        let Validation { trust_domains, trusted_ca, path: _, unnamed: _, names, hashes, spki, crl, .. } =
            self;
        for domain in trust_domains.iter().flat_map(|known| &known.domains) {
            add(domain.name.as_bytes());
            add(domain.workload.as_bytes());
            domain.trusted.iter().for_each(|der| add(der));
            domain.crl.iter().for_each(|der| add(der));
        }
        add(b"trusted");
        trusted_ca.iter().for_each(|der| add(der));
        crl.iter().for_each(|der| add(der));
        add(format!("{names:?}").as_bytes());
        hashes.iter().chain(spki).for_each(|hash| add(hash));
        let switches =
            (self.only_leaf_crl, self.max_intermediates, self.allow_expired, self.accept_untrusted);
        add(format!("{switches:?}").as_bytes());
    }

    /// From its proto.
    pub(super) fn from_proto(message: v3::CertificateValidationContext, at: &mut Scope<'_>) -> Option<Self> {
        let validation = Self::from_part(message, at)?;
        if validation.trust_domains.is_some() {
            return Some(validation);
        }
        if validation.allow_expired && validation.trusted_ca.is_empty() {
            at.error("Certificate validity period is always ignored without trusted CA");
        }
        if !validation.crl.is_empty() && validation.trusted_ca.is_empty() {
            at.error("Failed to load CRL without trusted CA");
        }
        if !validation.names.is_empty() && validation.trusted_ca.is_empty() {
            at.error(
                "SAN-based verification of peer certificates without trusted CA is insecure and not allowed",
            );
        }
        Some(validation)
    }

    /// From a proto that is merged with another before it counts as a whole.
    pub(super) fn from_part(message: v3::CertificateValidationContext, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::CertificateValidationContext = message;
            implemented {
                trusted_ca, verify_certificate_spki, verify_certificate_hash, match_typed_subject_alt_names,
                match_subject_alt_names, trust_chain_verification, suppress_client_ca_list, crl,
                only_verify_leaf_cert_crl, allow_expired_certificate, custom_validator_config, max_verify_depth,
            }
            rejected {
                ca_certificate_provider_instance: "Envoy passes it over, and takes any certificate: give trusted_ca",
                system_root_certs: SYSTEM_ROOTS,
                require_signed_certificate_timestamp: "Envoy passes it over, and takes certificates without one",
            }
            ignored { watched_directory: WATCHED_IN_SECRETS }
        }
        let is_custom = custom_validator_config.is_some();
        let domains = at.message("custom_validator_config", custom_validator_config, spiffe::domains);
        if is_custom && domains.is_none() {
            return None;
        }
        let depth = max_verify_depth.map(|depth| depth.value);
        let path = trusted_ca.as_ref().map(source_name).unwrap_or_default();
        let unnamed = match &trusted_ca {
            Some(source) => format!("{UNNAMED}_{}", inline_hash(source)),
            None => UNNAMED.to_owned(),
        };
        let trusted_ca = match trusted_ca {
            None => Vec::new(),
            Some(source) => {
                let mut at = at.field("trusted_ca");
                let pem = data_source::read(source, None, &mut at)?;
                if pem.is_empty() {
                    at.error("DataSource cannot be empty");
                    return None;
                }
                certificates(&pem).filter(|trusted| trusted.iter().all(is_authority)).or_else(|| {
                    at.error(format!("Failed to load trusted CA certificates from {path}"));
                    None
                })?
            }
        };
        let crl = lists(crl, &mut at.field("crl"))?;
        let mut names =
            at.list("match_typed_subject_alt_names", match_typed_subject_alt_names, NameMatcher::from_proto);
        let older = at.list("match_subject_alt_names", match_subject_alt_names, StringMatcher::from_proto);
        // As in Envoy they count for nothing beside the newer ones.
        let older = if names.is_empty() { older } else { Vec::new() };
        for matcher in older {
            names.extend(NameKind::ALL.map(|kind| NameMatcher {
                kind,
                oid: String::new(),
                matcher: matcher.clone(),
            }));
        }
        let spki = verify_certificate_spki.into_iter().enumerate();
        let spki = spki.filter_map(|(index, text)| {
            digest(&text, ("base64", from_base64), &mut at.index("verify_certificate_spki", index))
        });
        let spki = spki.collect();
        let hashes = verify_certificate_hash.into_iter().enumerate();
        let hashes = hashes.filter_map(|(index, text)| {
            digest(&text, ("hex", from_hex), &mut at.index("verify_certificate_hash", index))
        });
        let hashes = hashes.collect();
        let chain: TrustChainVerification =
            at.enumeration("trust_chain_verification", trust_chain_verification);
        Some(Validation {
            trust_domains: domains,
            trusted_ca,
            path,
            unnamed,
            names,
            hashes,
            spki,
            crl,
            // The depth counts the trusted one too, which is there always.
            max_intermediates: depth.map(|depth| depth.saturating_sub(1)),
            only_leaf_crl: only_verify_leaf_cert_crl,
            allow_expired: allow_expired_certificate,
            accept_untrusted: chain == TrustChainVerification::AcceptUntrusted,
            suppress_client_ca_list,
        })
    }
}

/// Lists of revoked certificates.
fn lists(
    source: Option<core::DataSource>,
    at: &mut Scope<'_>,
) -> Option<Vec<CertificateRevocationListDer<'static>>> {
    let Some(source) = source else { return Some(Vec::new()) };
    let path = source_name(&source);
    let pem = data_source::read(source, None, at)?;
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&pem).collect();
    let is_good = |list: &CertificateRevocationListDer<'_>| OwnedCertRevocationList::from_der(list).is_ok();
    let lists = lists.ok().filter(|lists| !lists.is_empty() && lists.iter().all(is_good));
    if lists.is_none() {
        at.error(format!("Failed to load CRL from {path}"));
    }
    lists
}

/// Whether certificates can be checked by this one.
pub(super) fn is_authority(certificate: &CertificateDer<'static>) -> bool {
    webpki::anchor_from_trusted_cert(certificate).is_ok()
}

/// How the bytes of a digest are written: what messages call it, and how it is read.
type Encoding = (&'static str, fn(&str) -> Option<Vec<u8>>);

fn digest(text: &str, (encoding, decode): Encoding, at: &mut Scope<'_>) -> Option<[u8; 32]> {
    let digest = decode(text).and_then(|bytes| bytes.try_into().ok());
    if digest.is_none() {
        at.error(format!("Invalid {encoding}-encoded SHA-256 {text}"));
    }
    digest
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

/// Bytes in hexadecimal digits, with colons between them or without.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> =
        text.chars().filter(|c| *c != ':').map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| (high * 16 + low) as u8).collect())
}
