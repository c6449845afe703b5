//! What is wrong with a chain of certificates, in the words of BoringSSL.

use rustls::CertificateError;
use rustls::pki_types::CertificateDer;
use webpki::Error;

use crate::config::tls::KeyUses;

use super::certificate;

/// Before what is wrong with lists of revoked certificates.
const BY_LIST: &str = "certificate revocation check against provided CRLs failed: ";

/// That a key is for something else.
pub(super) const UNSUITABLE: &str = "unsuitable certificate purpose";

/// What is wrong with a chain: what the library calls it, and how many certificates above the peer's own it is found.
pub(super) type Wrong = (CertificateError, usize, String);

/// Whether it is about lists of revoked certificates.
pub(super) fn is_of_lists(error: &Error) -> bool {
    matches!(error, Error::CertRevoked | Error::UnknownRevocationStatus | Error::CrlExpired { .. })
}

/// What BoringSSL calls it; what is about lists is of the certificate so far above the peer's own.
pub(super) fn wrong(
    error: &Error,
    depth: usize,
    end_entity: &[u8],
    intermediates: &[CertificateDer<'_>],
) -> Wrong {
    let by_list = |error, why| (error, depth, format!("{BY_LIST}{why}"));
    match error {
        Error::UnknownIssuer => {
            let (depth, why) = last_issuer(end_entity, intermediates);
            (CertificateError::UnknownIssuer, depth, why.to_owned())
        }
        Error::CertExpired { .. } => (CertificateError::Expired, 0, "certificate has expired".to_owned()),
        Error::CertNotValidYet { .. } => {
            (CertificateError::NotValidYet, 0, "certificate is not yet valid".to_owned())
        }
        Error::InvalidSignatureForPublicKey => {
            (CertificateError::BadSignature, 0, "certificate signature failure".to_owned())
        }
        Error::RequiredEkuNotFoundContext(_) => (CertificateError::InvalidPurpose, 0, UNSUITABLE.to_owned()),
        Error::CertRevoked => by_list(CertificateError::Revoked, "certificate revoked"),
        Error::UnknownRevocationStatus => {
            by_list(CertificateError::UnknownRevocationStatus, "unable to get certificate CRL")
        }
        Error::CrlExpired { .. } => by_list(CertificateError::UnknownRevocationStatus, "CRL has expired"),
        error => (CertificateError::ApplicationVerificationFailure, 0, error.to_string()),
    }
}

/// How far the chain goes that the peer showed, and what is wrong with its end.
fn last_issuer(end_entity: &[u8], intermediates: &[CertificateDer<'_>]) -> (usize, &'static str) {
    let issuers = intermediates.iter().filter(|der| KeyUses::of(der).issues);
    let mut rest: Vec<_> = issuers.filter_map(|der| certificate::read(der)).collect();
    let Some(mut last) = certificate::read(end_entity) else {
        return (0, "unable to get local issuer certificate");
    };
    let mut depth = 0;
    while last.subject != last.issuer {
        let Some(at) = rest.iter().position(|next| next.subject == last.issuer) else {
            return (depth, "unable to get local issuer certificate");
        };
        last = rest.swap_remove(at);
        depth += 1;
    }
    (
        depth,
        if depth == 0 { "self-signed certificate" } else { "self-signed certificate in certificate chain" },
    )
}
