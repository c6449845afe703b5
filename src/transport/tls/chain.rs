//! Whether a chain of certificates leads to one that is trusted.

use rustls::CertificateError;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, Error, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
};

use crate::config::tls::KeyUses;
use crate::observability::stream_info::CertificateInfo;

use super::certificate;

/// Moments that are tried in place of the present where certificates that have expired are taken: as many as there may be
/// certificates in a chain.
const MAX_MOMENTS: usize = 8;

/// Before what is wrong with lists of revoked certificates.
const BY_LIST: &str = "certificate revocation check against provided CRLs failed: ";

/// That a key is for something else.
const UNSUITABLE: &str = "unsuitable certificate purpose";

/// Whom a context trusts, and whom no longer.
#[derive(Debug)]
pub(super) struct Trust {
    trusted: Vec<CertificateDer<'static>>,
    pub(super) anchors: Vec<TrustAnchor<'static>>,
    revoked: Vec<CertRevocationList<'static>>,
    limits: Limits,
}

/// How far the trust goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Whether only the peer's own certificate is looked for in the lists, and not its issuers.
    pub(super) only_leaf_crl: bool,
    /// Whether certificates are trusted beyond their time.
    pub(super) allow_expired: bool,
    /// Certificates that may stand between a trusted one and the peer's.
    pub(super) max_intermediates: Option<u32>,
}

/// What is wrong with a chain: what the library calls it, and how many certificates above the peer's own it is found.
type Wrong = (CertificateError, usize, String);

impl Trust {
    /// Of these certificates, less those that the lists name.
    pub(super) fn new(
        trusted: &[CertificateDer<'static>],
        crl: &[CertificateRevocationListDer<'static>],
        limits: Limits,
    ) -> Self {
        let anchor = |der| Some(webpki::anchor_from_trusted_cert(der).ok()?.to_owned());
        // What cannot be read has been refused with the configuration.
        let list = |der: &CertificateRevocationListDer<'static>| {
            OwnedCertRevocationList::from_der(der).ok().map(CertRevocationList::Owned)
        };
        Trust {
            trusted: trusted.to_vec(),
            anchors: trusted.iter().filter_map(anchor).collect(),
            revoked: crl.iter().filter_map(list).collect(),
            limits,
        }
    }

    /// Whether the chain leads to one that is trusted; else what is wrong, and what the peer's log is told.
    pub(super) fn check(
        &self,
        provider: &CryptoProvider,
        (end_entity, intermediates): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        now: UnixTime,
        usage: KeyUsage,
    ) -> Result<(), (CertificateError, String)> {
        let checked = self.verify(provider, (end_entity, intermediates), now, usage);
        checked.map_err(|(error, depth, why)| {
            let lead = "verify cert failed: X509_verify_cert: certificate verification error at depth";
            (error, format!("{lead} {depth}: {why}"))
        })
    }

    fn verify(
        &self,
        provider: &CryptoProvider,
        (end_entity, intermediates): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        now: UnixTime,
        usage: KeyUsage,
    ) -> Result<(), Wrong> {
        // A certificate that is trusted itself needs no chain, unless lists of its issuer are to be looked at.
        if self.revoked.is_empty() && self.trusted.iter().any(|trusted| trusted == end_entity) {
            return self.check_alone(provider, end_entity, now, usage);
        }
        let parsed = EndEntityCert::try_from(end_entity)
            .map_err(|error| (CertificateError::BadEncoding, 0, error.to_string()))?;
        let lists: Vec<_> = self.revoked.iter().collect();
        let depth = match self.limits.only_leaf_crl {
            true => RevocationCheckDepth::EndEntity,
            false => RevocationCheckDepth::Chain,
        };
        let may_issue = |path: &VerifiedPath<'_>| self.may_issue(path);
        let verified = |moment| {
            let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
                let options = options.with_depth(depth).with_status_policy(UnknownStatusPolicy::Deny);
                options.with_expiration_policy(ExpirationPolicy::Enforce).build()
            });
            let algorithms = provider.signature_verification_algorithms.all;
            let verified = parsed.verify_for_usage(
                algorithms,
                &self.anchors,
                intermediates,
                moment,
                usage,
                revocation,
                Some(&may_issue),
            );
            verified.map(|path| path.intermediate_certificates().count())
        };
        let mut outcome = verified(now);
        for _ in 0..MAX_MOMENTS {
            // The library always looks at the time, so one is tried at which the certificate was good.
            let moment = match &outcome {
                Err(Error::CertExpired { not_after, .. }) if self.limits.allow_expired => *not_after,
                Err(Error::CertNotValidYet { not_before, .. }) if self.limits.allow_expired => *not_before,
                _ => break,
            };
            outcome = verified(moment);
        }
        let between = outcome.map_err(|error| wrong(&error, end_entity, intermediates))?;
        check_purpose(end_entity, usage)?;
        self.check_length(between)
    }

    /// Whether a certificate that is trusted itself is one for this use, and as good as its time.
    fn check_alone(
        &self,
        provider: &CryptoProvider,
        end_entity: &CertificateDer<'_>,
        now: UnixTime,
        usage: KeyUsage,
    ) -> Result<(), Wrong> {
        check_purpose(end_entity, usage)?;
        let algorithms = provider.signature_verification_algorithms.all;
        // Of what the library says only the use counts: where it is from does not matter.
        let verified = EndEntityCert::try_from(end_entity).and_then(|parsed| {
            parsed.verify_for_usage(algorithms, &self.anchors, &[], now, usage, None, None).map(drop)
        });
        if let Err(error @ Error::RequiredEkuNotFoundContext(_)) = verified {
            return Err(wrong(&error, end_entity, &[]));
        }
        let info = certificate::read(end_entity);
        match info.is_some_and(|info| self.limits.allow_expired || !is_over(&info, now)) {
            true => Ok(()),
            false => Err((CertificateError::Expired, 0, "certificate has expired".to_owned())),
        }
    }

    /// Whether the keys of all authorities on the way are such that may sign certificates.
    fn may_issue(&self, path: &VerifiedPath<'_>) -> Result<(), Error> {
        // Those that are trusted can all be read, so each has its anchor.
        let mut trusted = self.anchors.iter().zip(&self.trusted);
        let is_trusted = trusted.any(|(anchor, der)| anchor == path.anchor() && KeyUses::of(der).issues);
        match is_trusted && path.intermediate_certificates().all(|one| KeyUses::of(&one.der()).issues) {
            true => Ok(()),
            false => Err(Error::UnknownIssuer),
        }
    }

    /// Whether a chain with so many certificates between the peer's and a trusted one is short enough.
    fn check_length(&self, between: usize) -> Result<(), Wrong> {
        match self.limits.max_intermediates.and_then(|most| usize::try_from(most).ok()) {
            Some(most) if between > most => {
                let why = "unable to get local issuer certificate".to_owned();
                Err((CertificateError::UnknownIssuer, most + 1, why))
            }
            _ => Ok(()),
        }
    }
}

/// Whether the key of a host's certificate, or of a client's, may be used for anything that such keys do in TLS.
fn check_purpose(end_entity: &[u8], usage: KeyUsage) -> Result<(), Wrong> {
    let uses = KeyUses::of(end_entity);
    let is_of_host = usage == KeyUsage::server_auth();
    if uses.signs || uses.agrees || (uses.seals && is_of_host) {
        return Ok(());
    }
    Err((CertificateError::InvalidPurpose, 0, UNSUITABLE.to_owned()))
}

/// What BoringSSL calls it.
fn wrong(error: &Error, end_entity: &[u8], intermediates: &[CertificateDer<'_>]) -> Wrong {
    let by_list = |error, why| (error, 0, format!("{BY_LIST}{why}"));
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

fn is_over(info: &CertificateInfo, now: UnixTime) -> bool {
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(now.as_secs());
    now < info.not_before || now > info.not_after
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
