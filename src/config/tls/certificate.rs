//! A certificate of our own with its key: `TlsCertificate`.

use std::fmt;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::ocsp::{self, Staple, StaplePolicy};
use super::params::{Overrides, Params};
use super::{key_usage, pkcs12, private_key};
use crate::base::crypto::any_supported_type;
use crate::config::data_source;
use crate::config::field::{Scope, open};

/// Why a directory is watched for secrets over SDS alone, from which it is taken before.
pub(super) const WATCHED_IN_SECRETS: &str = "it counts for secrets that come over SDS, in Envoy too";

/// Why no key is asked of a provider, whatever `fallback` says: Envoy's release knows none either, and refuses them all.
const NO_PROVIDER: &str = "Failed to load private key provider; none is known: give private_key alone";

/// What Envoy calls a certificate that no secret names, before the hash of what stands in the configuration.
const UNNAMED: &str = "unnamed_cert_";

/// A chain of certificates, the own first, and the key of the first.
#[derive(PartialEq)]
pub struct Certificate {
    /// The chain.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key. It is never shown.
    pub key: PrivateKeyDer<'static>,
    /// The file that the chain came from; `<inline>` where it came from none.
    pub path: String,
    /// What statistics call it where no secret names it.
    pub unnamed: String,
    /// What its authority says of it; empty where that is not given. It is read where it is shown to clients.
    pub ocsp_staple: Vec<u8>,
    /// What clients that are shown it speak in place of what the context says; `None` where it says nothing.
    overrides: Option<Overrides>,
}

impl Clone for Certificate {
    fn clone(&self) -> Self {
        Certificate {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            path: self.path.clone(),
            unnamed: self.unnamed.clone(),
            ocsp_staple: self.ocsp_staple.clone(),
            overrides: self.overrides.clone(),
        }
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What was read of a certificate and its key, and where it stood.
struct Read {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    path: String,
    key_path: String,
    unnamed: String,
}

impl Read {
    /// From a chain and a key that stand apart.
    fn pem(
        chain: Option<core::DataSource>,
        key: Option<core::DataSource>,
        password: &[u8],
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        let Some(chain) = chain else {
            at.error("Failed to load incomplete certificate from : certificate chain not set");
            return None;
        };
        let Some(key) = key else {
            at.error("Failed to load incomplete private key from path: ");
            return None;
        };
        let (path, unnamed) = (source_name(&chain), format!("{UNNAMED}{}", inline_hash(&chain)));
        let key_path = source_name(&key);
        let chain = data_source::read(chain, None, &mut at.field("certificate_chain"))?;
        let key = data_source::read(key, None, &mut at.field("private_key"))?;
        let Some(chain) = certificates(&chain) else {
            at.field("certificate_chain").error(format!("Failed to load certificate chain from {path}"));
            return None;
        };
        let refused = |why| format!("Failed to load private key from {key_path}, Cause: {why}");
        let key =
            private_key::read(&key, password).map_err(|why| at.field("private_key").error(refused(why)));
        Some(Read { chain, key: key.ok()?, path, key_path, unnamed })
    }

    /// From both in one file.
    fn pkcs12(source: core::DataSource, password: &[u8], at: &mut Scope<'_>) -> Option<Self> {
        let path = source_name(&source);
        // As in Envoy statistics are named by the hash of the chain, which is not given.
        let unnamed = UNNAMED.to_owned();
        let der = data_source::read(source, None, at)?;
        let Some((chain, key)) = pkcs12::read(&der, password) else {
            at.error(format!("Failed to load pkcs12 from {path}"));
            return None;
        };
        Some(Read { chain, key, key_path: path.clone(), path, unnamed })
    }
}

impl Certificate {
    /// From its proto.
    pub(super) fn from_proto(message: v3::TlsCertificate, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::TlsCertificate = message;
            implemented { certificate_chain, private_key, ocsp_staple, password, pkcs12, tls_params }
            rejected {
                private_key_provider: NO_PROVIDER,
            }
            ignored {
                watched_directory: WATCHED_IN_SECRETS,
                signed_certificate_timestamp: "Envoy does not send it either",
            }
        }
        let password = match password {
            Some(source) => data_source::read(source, None, &mut at.field("password"))?,
            None => Vec::new(),
        };
        let read = match pkcs12 {
            Some(_) if certificate_chain.is_some() || private_key.is_some() => {
                let other = if certificate_chain.is_some() { "certificate_chain" } else { "private_key" };
                at.error(format!("Certificate configuration can't have both pkcs12 and {other}"));
                return None;
            }
            Some(source) => Read::pkcs12(source, &password, &mut at.field("pkcs12"))?,
            None => Read::pem(certificate_chain, private_key, &password, at)?,
        };
        let ocsp_staple = match ocsp_staple {
            Some(source) => staple_bytes(source, &mut at.field("ocsp_staple"))?,
            None => Vec::new(),
        };
        let Read { chain, key, path, key_path, unnamed } = read;
        let overrides =
            at.message("tls_params", tls_params, |message, at| Some(Overrides::from_proto(message, at)));
        let certificate = Certificate { chain, key, path, unnamed, ocsp_staple, overrides };
        certificate.check(&key_path, at)?;
        Some(certificate)
    }

    /// Whether the key is one that can be used, and the certificate's.
    ///
    /// The library's own comparison does not read certificates of version 1, which are old but in use.
    fn check(&self, key_path: &str, at: &mut Scope<'_>) -> Option<()> {
        let Ok(signer) = any_supported_type(&self.key) else {
            at.field("private_key").error(format!(
                "Failed to load private key from {key_path}, only RSA, ECDSA and Ed25519 keys are supported"
            ));
            return None;
        };
        let own = self.chain.first().and_then(|der| X509Certificate::from_der(der).ok());
        let Some((_, own)) = own.filter(|(_, own)| key_usage::is_of_use(own)) else {
            at.field("certificate_chain")
                .error(format!("Failed to load certificate chain from {}", self.path));
            return None;
        };
        if signer.public_key().is_some_and(|key| key.as_ref() != own.public_key().raw) {
            at.field("private_key").error(format!(
                "Failed to load private key from {key_path}, Cause: error:0b000074:X.509 certificate \
                 routines:OPENSSL_internal:KEY_VALUES_MISMATCH"
            ));
            return None;
        }
        Some(())
    }

    /// What its authority says of it, for clients, and when that has to be there: it may promise so itself.
    ///
    /// # Errors
    /// There is none and there has to be, or it cannot be used.
    pub fn staple(&self, policy: StaplePolicy) -> Result<(Option<Staple>, StaplePolicy), String> {
        let own = self.chain.first().and_then(|der| X509Certificate::from_der(der).ok());
        let Some((_, own)) = own else { return Ok((None, policy)) };
        let is_promised = ocsp::is_promised(&own);
        if !self.ocsp_staple.is_empty() {
            let policy = if is_promised { StaplePolicy::Must } else { policy };
            return Ok((Some(Staple::read(&self.ocsp_staple, &own)?), policy));
        }
        if is_promised {
            return Err("OCSP response is required for must-staple certificate".to_owned());
        }
        match policy {
            StaplePolicy::Must => Err("Required OCSP response is missing from TLS context".to_owned()),
            StaplePolicy::Lenient | StaplePolicy::Strict => Ok((None, policy)),
        }
    }

    /// How the protocol is spoken with clients that are shown it; `None` where it is as these say.
    ///
    /// # Errors
    /// No version is left.
    pub fn params(&self, context: &Params) -> Result<Option<Params>, &'static str> {
        self.overrides.as_ref().map(|overrides| overrides.of_certificate(context)).transpose()
    }

    /// The certificate as the library takes it.
    ///
    /// # Errors
    /// A key of a kind that it does not know.
    pub fn certified(&self) -> Result<CertifiedKey, rustls::Error> {
        Ok(CertifiedKey::new(self.chain.clone(), any_supported_type(&self.key)?))
    }
}

fn staple_bytes(source: core::DataSource, at: &mut Scope<'_>) -> Option<Vec<u8>> {
    if matches!(source.specifier, Some(core::data_source::Specifier::InlineString(_))) {
        at.error("OCSP staple cannot be provided via inline_string");
        return None;
    }
    data_source::read(source, None, at)
}

/// The first digits of the hash of the bytes that stand in the configuration, which may be none.
pub(super) fn inline_hash(source: &core::DataSource) -> String {
    let bytes = match &source.specifier {
        Some(core::data_source::Specifier::InlineBytes(bytes)) => &bytes[..],
        _ => &[],
    };
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Where bytes come from, as messages tell it.
pub(super) fn source_name(source: &core::DataSource) -> String {
    match &source.specifier {
        Some(core::data_source::Specifier::Filename(path)) => path.clone(),
        _ => "<inline>".to_owned(),
    }
}

/// The certificates in a text; `None` where there is none or one that cannot be read.
pub(super) fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    certificates.ok().filter(|certificates| !certificates.is_empty())
}
