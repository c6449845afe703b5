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
use super::wrong::{UNSUITABLE, Wrong, is_of_lists, wrong};

/// Moments that are tried in place of the present where certificates that have expired are taken: as many as there may be
/// certificates in a chain.
const MAX_MOMENTS: usize = 8;

/// Whom a context trusts, and whom no longer.
#[derive(Debug)]
pub(super) struct Trust {
    trusted: Vec<CertificateDer<'static>>,
    /// Those of all that are trusted.
    pub(super) anchors: Vec<TrustAnchor<'static>>,
    /// Those of who vouches for itself: beyond it there is nobody by whose list it could be revoked.
    roots: Vec<TrustAnchor<'static>>,
    /// The others.
    below: Vec<CertificateDer<'static>>,
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

/// Whose certificates are looked for in the lists of those that are revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Nobody's: no list counts.
    Nobody,
    /// The peer's own.
    Peer,
    /// Those of all on the way.
    All,
}

impl Trust {
    /// Of these certificates, less those that the lists name.
    pub(super) fn new(
        trusted: &[CertificateDer<'static>],
        crl: &[CertificateRevocationListDer<'static>],
        limits: Limits,
    ) -> Self {
        let anchor = |der| Some(webpki::anchor_from_trusted_cert(der).ok()?.to_owned());
        let is_root = |der: &&CertificateDer<'static>| {
            certificate::read(der).is_some_and(|info| info.subject == info.issuer)
        };
        let (roots, below): (Vec<_>, Vec<_>) = trusted.iter().partition(is_root);
        // What cannot be read has been refused with the configuration.
        let list = |der: &CertificateRevocationListDer<'static>| {
            OwnedCertRevocationList::from_der(der).ok().map(CertRevocationList::Owned)
        };
        Trust {
            trusted: trusted.to_vec(),
            anchors: trusted.iter().filter_map(anchor).collect(),
            roots: roots.into_iter().filter_map(anchor).collect(),
            below: below.into_iter().cloned().collect(),
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
        if self.revoked.is_empty() && self.is_trusted(end_entity) {
            return self.check_alone(provider, end_entity, now, usage);
        }
        let parsed = EndEntityCert::try_from(end_entity)
            .map_err(|error| (CertificateError::BadEncoding, 0, error.to_string()))?;
        let find = |reach| self.find(provider, (&parsed, intermediates), now, usage, reach);
        let reach = match (self.revoked.is_empty(), self.limits.only_leaf_crl) {
            (true, _) => Reach::Nobody,
            (false, true) => Reach::Peer,
            (false, false) => Reach::All,
        };
        let between = find(reach).map_err(|error| {
            let (error, depth) = match error {
                // As in BoringSSL a trusted certificate whose own issuer is not known is one without a list.
                Error::UnknownIssuer if reach != Reach::Nobody && self.is_trusted(end_entity) => {
                    (Error::UnknownRevocationStatus, 0)
                }
                Error::UnknownIssuer if reach == Reach::All => match find(Reach::Nobody) {
                    Ok(between) => (Error::UnknownRevocationStatus, between + 1),
                    Err(error) => (error, 0),
                },
                // Where the peer's own is not what is wrong, its issuer's is.
                error if reach == Reach::All && is_of_lists(&error) => {
                    (error, usize::from(find(Reach::Peer).is_ok()))
                }
                error => (error, 0),
            };
            wrong(&error, depth, end_entity, intermediates)
        })?;
        check_purpose(end_entity, usage)?;
        self.check_length(between)
    }

    fn is_trusted(&self, certificate: &CertificateDer<'_>) -> bool {
        self.trusted.iter().any(|trusted| trusted == certificate)
    }

    /// How many certificates stand between the peer's and a trusted one.
    fn find(
        &self,
        provider: &CryptoProvider,
        (end_entity, intermediates): (&EndEntityCert<'_>, &[CertificateDer<'_>]),
        now: UnixTime,
        usage: KeyUsage,
        reach: Reach,
    ) -> Result<usize, Error> {
        let lists: Vec<_> = self.revoked.iter().collect();
        let depth = match reach {
            Reach::Nobody | Reach::Peer => RevocationCheckDepth::EndEntity,
            Reach::All => RevocationCheckDepth::Chain,
        };
        // As in BoringSSL lists revoke trusted certificates, too, but for those that vouch for themselves.
        let all: Vec<CertificateDer<'_>>;
        let (anchors, intermediates) = match reach {
            Reach::Nobody | Reach::Peer => (&self.anchors, intermediates),
            Reach::All => {
                let (given, below) = (intermediates.iter(), self.below.iter());
                all = given.chain(below).map(|der| CertificateDer::from(der.as_ref())).collect();
                (&self.roots, &all[..])
            }
        };
        let may_issue = |path: &VerifiedPath<'_>| self.may_issue(path);
        let verified = |moment| {
            let options = RevocationOptionsBuilder::new(&lists).ok().filter(|_| reach != Reach::Nobody);
            let revocation = options.map(|options| {
                let options = options.with_depth(depth).with_status_policy(UnknownStatusPolicy::Deny);
                options.with_expiration_policy(ExpirationPolicy::Enforce).build()
            });
            let algorithms = provider.signature_verification_algorithms.all;
            let verified = end_entity.verify_for_usage(
                algorithms,
                anchors,
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
        outcome
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
            return Err(wrong(&error, 0, end_entity, &[]));
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

fn is_over(info: &CertificateInfo, now: UnixTime) -> bool {
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(now.as_secs());
    now < info.not_before || now > info.not_after
}
