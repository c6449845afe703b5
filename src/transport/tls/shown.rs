//! The certificates of contexts in force, as the admin interface shows them.

use std::time::SystemTime;

use crate::observability::stream_info::CertificateInfo;

use super::certificate;
use super::materials::Materials;
use super::secrets::Secrets;

/// The certificates of a context.
#[derive(Debug)]
pub struct Shown {
    /// The first of those by whom peers have to be trusted, if there is one.
    pub trusted: Option<ShownCertificate>,
    /// Its own, each the first of its chain.
    pub own: Vec<ShownCertificate>,
}

/// A certificate and where it came from.
#[derive(Debug)]
pub struct ShownCertificate {
    /// Its file, or `<inline>`.
    pub path: String,
    /// What it says.
    pub info: CertificateInfo,
}

impl Shown {
    pub(super) fn new(materials: &Materials) -> Self {
        let shown = |path: &str, der: &[u8]| {
            certificate::read(der).map(|info| ShownCertificate { path: path.to_owned(), info })
        };
        let validation = materials.validation.as_ref().map(|(_, validation)| validation);
        let own = materials.certificates.iter();
        let trusted = validation.and_then(|validation| match &validation.trust_domains {
            Some(domains) => {
                let first = domains.iter().find(|domain| !domain.trusted.is_empty())?;
                shown(&first.path, first.trusted.first()?)
            }
            None => shown(&validation.path, validation.trusted_ca.first()?),
        });
        Shown { trusted, own: own.filter_map(|(_, own)| shown(&own.path, own.chain.first()?)).collect() }
    }

    /// When the first of them expires.
    fn expires(&self) -> Option<SystemTime> {
        let all = self.own.iter().chain(&self.trusted);
        all.map(|certificate| certificate.info.not_after).min()
    }
}

/// When the first certificate of all contexts in force expires; `None` where there is none.
pub fn first_expiration(secrets: &Secrets) -> Option<SystemTime> {
    secrets.shown().iter().filter_map(Shown::expires).min()
}
