//! How own keys sign, where the configuration says so: `TlsParameters.signature_algorithms`.

use std::sync::Arc;

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

use crate::config::tls::SignatureScheme as Name;

use super::names::SCHEMES;

/// The library's names of these, in their order.
pub(super) fn schemes(names: &[Name]) -> Vec<SignatureScheme> {
    let scheme = |name: &Name| SCHEMES.iter().find(|(_, known)| *known == name.0).map(|(scheme, _)| *scheme);
    names.iter().filter_map(scheme).collect()
}

/// The key that signs in these ways alone, the preferred first; as it likes where there are none.
pub(super) fn limited(key: CertifiedKey, schemes: &[SignatureScheme]) -> CertifiedKey {
    if schemes.is_empty() {
        return key;
    }
    let limited = Limited { key: Arc::clone(&key.key), schemes: schemes.into() };
    CertifiedKey { key: Arc::new(limited), ..key }
}

#[derive(Debug)]
struct Limited {
    key: Arc<dyn SigningKey>,
    schemes: Box<[SignatureScheme]>,
}

impl SigningKey for Limited {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let mut shared = self.schemes.iter().filter(|scheme| offered.contains(scheme));
        shared.find_map(|scheme| self.key.choose_scheme(&[*scheme]))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.key.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}
