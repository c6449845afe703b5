//! A certificate with its key in one sealed file: PKCS #12 (RFC 7292).

use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The chain and the key of a file; `None` where it cannot be opened or has none. How long opening it may take is bounded by
/// the library.
pub(super) fn read(
    der: &[u8],
    password: &[u8],
) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let password = std::str::from_utf8(password).ok()?;
    let store = KeyStore::from_pkcs12(der, password, Pkcs12ImportPolicy::Strict).ok()?;
    let (_, chain) = store.private_key_chain()?;
    let certificates = chain.certs().iter().map(|one| CertificateDer::from(one.as_der().to_vec()));
    let key = PrivatePkcs8KeyDer::from(chain.key().as_der().to_vec());
    let certificates: Vec<_> = certificates.collect();
    (!certificates.is_empty()).then(|| (certificates, key.into()))
}
