//! The certificates that a listener shows, and which of them a client gets, with or without what its authority says of it.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, SignatureAlgorithm, SignatureScheme};

use crate::config::tls::{Certificate, DownstreamTls, Params, Staple, StaplePolicy};
use crate::observability::stats::tls::TlsStats;
use crate::observability::stream_info::CertificateInfo;

use super::spoken::Spoken;
use super::{certificate, signing};

/// How keys of elliptic curves sign.
const OF_CURVES: [SignatureScheme; 3] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
];

/// All certificates of a context.
#[derive(Debug)]
pub(super) struct Certificates {
    all: Box<[Arc<Own>]>,
    /// What is done where a client asks for a name that none has: all are looked at, or the first is shown.
    full_scan: bool,
}

/// A certificate of our own.
#[derive(Debug)]
pub(super) struct Own {
    key: Arc<CertifiedKey>,
    /// The same with the answer of OCSP.
    stapled: Option<(Arc<CertifiedKey>, Staple)>,
    policy: StaplePolicy,
    /// How the protocol is spoken with clients that are shown it; `None` where it is as the context says.
    pub(super) spoken: Option<Box<Spoken>>,
    pub(super) info: Arc<CertificateInfo>,
}

/// What a client is shown.
pub(super) struct Choice {
    pub(super) own: Arc<Own>,
    /// `None` where the handshake has to fail.
    pub(super) key: Option<Arc<CertifiedKey>>,
}

/// The certificate that was chosen already.
#[derive(Debug)]
pub(super) struct Chosen(pub(super) Option<Arc<CertifiedKey>>);

impl ResolvesServerCert for Chosen {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}

/// What becomes of an answer of OCSP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stapling {
    /// The client does not ask.
    Unasked,
    Sent,
    Omitted,
    /// There has to be one.
    Failed,
}

impl Certificates {
    /// # Errors
    /// A certificate, its key or its answer of OCSP cannot be used.
    pub(super) fn new<'c>(
        all: impl Iterator<Item = &'c Certificate>,
        config: &DownstreamTls,
        speak: impl Fn(&Params) -> Result<Spoken, Error>,
    ) -> Result<Self, String> {
        let all = all.map(|certificate| Own::new(certificate, config, &speak).map(Arc::new));
        Ok(Certificates { all: all.collect::<Result<_, _>>()?, full_scan: config.full_scan })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Own> {
        self.all.iter().map(|own| &**own)
    }

    /// The certificate for a client: one of the name that it asks for, its key of a kind that it takes. Counts what
    /// became of the answer of OCSP.
    pub(super) fn choose(&self, hello: &ClientHello<'_>, asks: bool, stats: &TlsStats) -> Option<Choice> {
        let now = SystemTime::now();
        let own = self.find(hello, asks, now)?;
        if asks {
            stats.ocsp_staple_requests().inc();
        }
        let stapling = own.stapling(asks, now);
        match stapling {
            Stapling::Unasked => {}
            Stapling::Sent => stats.ocsp_staple_responses().inc(),
            Stapling::Omitted => stats.ocsp_staple_omitted().inc(),
            Stapling::Failed => stats.ocsp_staple_failed().inc(),
        }
        let key = match (stapling, &own.stapled) {
            (Stapling::Failed, _) => None,
            (Stapling::Sent, Some((stapled, _))) => Some(Arc::clone(stapled)),
            _ => Some(Arc::clone(&own.key)),
        };
        Some(Choice { own: Arc::clone(own), key })
    }

    /// As in Envoy who asks for a name that there is no certificate for is shown the first, if not the best of all.
    fn find(&self, hello: &ClientHello<'_>, asks: bool, now: SystemTime) -> Option<&Arc<Own>> {
        let takes = Takes { schemes: hello.signature_schemes(), asks, now };
        let Some(name) = hello.server_name() else {
            return takes.best(self.all.iter()).or_else(|| self.all.first());
        };
        let exact = |own: &&Arc<Own>| own.names().any(|known| known.eq_ignore_ascii_case(name));
        let wild = |own: &&Arc<Own>| own.names().any(|known| certificate::is_name_of(known, name));
        let named = takes.best(self.all.iter().filter(exact));
        let named = named.or_else(|| takes.best(self.all.iter().filter(wild)));
        let others = || takes.best(self.all.iter()).filter(|_| self.full_scan);
        named.or_else(others).or_else(|| self.all.first())
    }
}

/// What a client can do with certificates.
struct Takes<'h> {
    schemes: &'h [SignatureScheme],
    /// Whether it asks for answers of OCSP.
    asks: bool,
    now: SystemTime,
}

impl Takes<'_> {
    /// The first that suits, keys of elliptic curves before others where the client knows them.
    fn best<'o>(&self, candidates: impl Iterator<Item = &'o Arc<Own>>) -> Option<&'o Arc<Own>> {
        let knows_curves = self.schemes.iter().any(|scheme| OF_CURVES.contains(scheme));
        let mut other = None;
        for own in candidates.filter(|own| own.stapling(self.asks, self.now) != Stapling::Failed) {
            if own.key.key.algorithm() != SignatureAlgorithm::ECDSA {
                if !knows_curves {
                    return Some(own);
                }
                other = other.or(Some(own));
            } else if own.key.key.choose_scheme(self.schemes).is_some() {
                return Some(own);
            }
        }
        other
    }
}

impl Own {
    /// # Errors
    /// The certificate, its key or its answer of OCSP cannot be used.
    pub(super) fn new(
        certificate: &Certificate,
        config: &DownstreamTls,
        speak: &impl Fn(&Params) -> Result<Spoken, Error>,
    ) -> Result<Self, String> {
        let told = |error: Error| error.to_string();
        let params = certificate.params(&config.common.params)?;
        let spoken = params.as_ref().map(speak).transpose().map_err(told)?.map(Box::new);
        let schemes = signing::schemes(&params.as_ref().unwrap_or(&config.common.params).signature_schemes);
        let key = signing::limited(certificate.certified().map_err(told)?, &schemes);
        let info = key.cert.first().and_then(|der| certificate::read(der));
        let info = info.ok_or_else(|| told(Error::InvalidCertificate(CertificateError::BadEncoding)))?;
        let (staple, policy) = certificate.staple(config.staple_policy)?;
        let stapled = staple.map(|staple| {
            let key = CertifiedKey { ocsp: Some(staple.der.clone()), ..key.clone() };
            (Arc::new(key), staple)
        });
        Ok(Own { key: Arc::new(key), stapled, policy, spoken, info: Arc::new(info) })
    }

    /// What a client is shown that was given this one, whatever it can do with it. As in Envoy an answer of OCSP goes with
    /// it where there is one that holds, and nothing is counted of that.
    pub(super) fn shown(self: Arc<Self>, asks: bool) -> Choice {
        let key = match (self.stapling(asks, SystemTime::now()), &self.stapled) {
            (Stapling::Sent, Some((stapled, _))) => stapled,
            _ => &self.key,
        };
        Choice { key: Some(Arc::clone(key)), own: self }
    }

    /// The names of hosts that it is for: its alternative names, or where it has none, its common name.
    fn names(&self) -> impl Iterator<Item = &str> {
        let common = || {
            let parts = self.info.subject.split(',');
            parts.filter_map(|part| part.strip_prefix("CN=")).next()
        };
        let common = if self.info.dns_names.is_empty() { common() } else { None };
        self.info.dns_names.iter().map(String::as_str).chain(common)
    }

    fn stapling(&self, asks: bool, now: SystemTime) -> Stapling {
        if !asks {
            return Stapling::Unasked;
        }
        let holds = self.stapled.as_ref().map(|(_, staple)| staple.holds(now));
        match (self.policy, holds) {
            (_, Some(true)) => Stapling::Sent,
            (StaplePolicy::Lenient, _) | (StaplePolicy::Strict, None) => Stapling::Omitted,
            (StaplePolicy::Strict | StaplePolicy::Must, _) => Stapling::Failed,
        }
    }
}
