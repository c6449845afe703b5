//! The certificates of contexts in force, as the admin interface shows them.

use std::time::SystemTime;

use crate::config::tls::{Certificate, StaplePolicy};
use crate::observability::stream_info::CertificateInfo;

use super::certificate;
use super::materials::Materials;

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
    /// From when and until when holds what its authority says of it; the present where it does not say.
    pub answer: Option<(SystemTime, SystemTime)>,
}

impl Shown {
    pub(super) fn new(materials: &Materials) -> Self {
        let shown = |path: &str, der: &[u8]| {
            certificate::read(der).map(|info| ShownCertificate { path: path.to_owned(), info, answer: None })
        };
        let validation = materials.validation.as_ref().map(|(_, validation)| validation);
        let own = materials.certificates.iter();
        let trusted = validation.and_then(|validation| match &validation.trust_domains {
            Some(known) => {
                let first = known.domains.iter().find(|domain| !domain.trusted.is_empty())?;
                shown(&first.path, first.trusted.first()?)
            }
            None => shown(&validation.path, validation.trusted_ca.first()?),
        });
        let own = own.filter_map(|(_, own)| {
            let shown = shown(&own.path, own.chain.first()?)?;
            Some(ShownCertificate { answer: answer(own), ..shown })
        });
        Shown { trusted, own: own.collect() }
    }

    /// When the first of them expires.
    fn expires(&self) -> Option<SystemTime> {
        let all = self.own.iter().chain(&self.trusted);
        all.map(|certificate| certificate.info.not_after).min()
    }
}

/// When what is said of a certificate begins and ceases to hold.
fn answer(own: &Certificate) -> Option<(SystemTime, SystemTime)> {
    let (staple, _) = own.staple(StaplePolicy::Lenient).ok()?;
    let staple = staple?;
    Some((staple.this_update, staple.next_update.unwrap_or_else(SystemTime::now)))
}

/// When the first of the answers of OCSP that are shown with certificates ceases to hold; `None` where there is none.
pub fn first_answer_to_expire(contexts: &[Shown]) -> Option<SystemTime> {
    let own = contexts.iter().flat_map(|context| &context.own);
    own.filter_map(|own| own.answer.map(|(_, until)| until)).min()
}

/// When the first certificate of contexts expires; `None` where there is none.
pub fn first_expiration(contexts: &[Shown]) -> Option<SystemTime> {
    contexts.iter().filter_map(Shown::expires).min()
}
