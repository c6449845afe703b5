//! A certificate of our own with its key: `TlsCertificate`.

use std::fmt;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::config::data_source;
use crate::config::field::{Scope, open};

/// Why a directory is watched for secrets over SDS alone, from which it is taken before.
pub(super) const WATCHED_IN_SECRETS: &str = "it counts for secrets that come over SDS, in Envoy too";

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
}

impl Clone for Certificate {
    fn clone(&self) -> Self {
        Certificate {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            path: self.path.clone(),
            unnamed: self.unnamed.clone(),
        }
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Certificate {
    /// From its proto.
    pub(super) fn from_proto(message: v3::TlsCertificate, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::TlsCertificate = message;
            implemented { certificate_chain, private_key }
            rejected {
                pkcs12: "PKCS #12 is not read; certificate_chain and private_key are",
                private_key_provider: "keys are read, and not asked of a provider",
                password: "keys that are encrypted are not read",
                ocsp_staple: "answers of OCSP are not sent",
                signed_certificate_timestamp: "timestamps are not sent",
                tls_params: "parameters are those of the context",
            }
            ignored { watched_directory: WATCHED_IN_SECRETS }
        }
        let Some(chain) = certificate_chain else {
            at.error("Failed to load incomplete certificate from : certificate chain not set");
            return None;
        };
        let Some(key) = private_key else {
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
        let key = match PrivateKeyDer::from_pem_slice(&key) {
            Ok(key) => key,
            Err(_) => {
                at.field("private_key").error(format!(
                    "Failed to load private key from {key_path}, Cause: error:0900006e:PEM \
                     routines:OPENSSL_internal:NO_START_LINE"
                ));
                return None;
            }
        };
        let certificate = Certificate { chain, key, path, unnamed };
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
        let Some((_, own)) = own else {
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

    /// The certificate as the library takes it.
    ///
    /// # Errors
    /// A key of a kind that it does not know.
    pub fn certified(&self) -> Result<CertifiedKey, rustls::Error> {
        Ok(CertifiedKey::new(self.chain.clone(), any_supported_type(&self.key)?))
    }
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
