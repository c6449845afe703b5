//! What is counted of handshakes.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::{CommonState, HandshakeKind, SignatureScheme};

use crate::config::tls::Validation;
use crate::observability::stats::Registry;
use crate::observability::stats::tls::{CertificateStats, TlsNameStats, TlsSocketFactoryStats, TlsStats};
use crate::observability::stream_info::{CertificateInfo, TlsInfo};

use super::certificate;
use super::names::{self, CIPHERS, GROUPS, SCHEMES, find};

/// When certificates of a context expire, told as long as this is kept.
pub(super) type Expirations = Box<[CertificateStats]>;

/// What is counted of handshakes and told of certificates, under one prefix.
#[derive(Debug)]
pub(super) struct Ledger {
    /// As in Envoy they are there once there is a context.
    stats: OnceLock<TlsStats>,
    registry: Registry,
    /// `<listener or cluster>.ssl.`
    prefix: String,
}

/// The statistics of a context.
#[derive(Debug)]
pub struct Record {
    /// Handshakes and why they failed.
    pub(super) ledger: Ledger,
    versions: [OnceLock<TlsNameStats>; 2],
    ciphers: [OnceLock<TlsNameStats>; CIPHERS.len()],
    groups: [OnceLock<TlsNameStats>; GROUPS.len()],
    schemes: [OnceLock<TlsNameStats>; SCHEMES.len()],
    /// What became of secrets.
    pub factory: TlsSocketFactoryStats,
}

impl Ledger {
    /// Of the listener or cluster whose statistics begin with `owner`.
    pub(super) fn new(registry: &Registry, owner: &str) -> Self {
        Ledger { stats: OnceLock::new(), registry: registry.clone(), prefix: format!("{owner}ssl.") }
    }

    /// Handshakes and why they failed.
    pub(super) fn stats(&self) -> &TlsStats {
        self.stats.get_or_init(|| TlsStats::new(&self.registry, &self.prefix))
    }

    /// Tells when our own certificates expire, and those by whom peers have to be trusted: the first of them does. As in
    /// Envoy that is never where there is none.
    pub(super) fn expirations<'c>(
        &self,
        own: impl Iterator<Item = (&'c str, &'c CertificateInfo)>,
        validation: Option<&(String, Arc<Validation>)>,
    ) -> Expirations {
        let since = |moment: SystemTime| moment.duration_since(UNIX_EPOCH).ok();
        let own = own.map(|(name, info)| (name, since(info.not_after)));
        let trusted = validation.and_then(|(name, validation)| {
            let mut trusted = validation.authorities().peekable();
            if trusted.peek().is_none() {
                let never = Some(Duration::from_secs(i64::MAX as u64));
                return validation.is_needed().then_some((name.as_str(), never));
            }
            let read = trusted.filter_map(|der| certificate::read(der));
            Some((name.as_str(), read.map(|certificate| certificate.not_after).min().and_then(since)))
        });
        own.chain(trusted).map(|(name, since)| self.expiration(name, since)).collect()
    }

    fn expiration(&self, name: &str, since: Option<Duration>) -> CertificateStats {
        let stats = CertificateStats::new(&self.registry, &format!("{}certificate.{name}.", self.prefix));
        stats.expiration_unix_time_seconds().set(since.unwrap_or_default().as_secs());
        stats
    }
}

impl Record {
    /// Of the listener or cluster whose statistics begin with `owner`; `side` is `server` or `client`.
    pub(super) fn new(registry: &Registry, owner: &str, side: &str) -> Self {
        Record {
            ledger: Ledger::new(registry, owner),
            versions: Default::default(),
            ciphers: Default::default(),
            groups: Default::default(),
            schemes: Default::default(),
            factory: TlsSocketFactoryStats::new(registry, &format!("{owner}{side}_ssl_socket_factory.")),
        }
    }

    /// Handshakes and why they failed.
    pub(super) fn stats(&self) -> &TlsStats {
        self.ledger.stats()
    }

    /// Counts what is wrong with TLS once a handshake is done.
    pub(super) fn count_fault(&self) -> impl FnOnce() + Send + use<> {
        let stats = self.stats().clone();
        move || stats.connection_error().inc()
    }

    /// Counts a handshake that is complete.
    pub(super) fn complete(&self, info: &TlsInfo, session: &CommonState, scheme: Option<SignatureScheme>) {
        let stats = self.stats();
        stats.handshake().inc();
        if session.handshake_kind() == Some(HandshakeKind::Resumed) {
            stats.session_reused().inc();
        }
        if info.peer.is_empty() {
            stats.no_certificate().inc();
        }
        let version = usize::from(info.version == "TLSv1.3");
        self.count(self.versions.get(version), "versions", info.version);
        let at = |table: &[&str], name: &str| table.iter().position(|known| *known == name);
        let cipher = at(&CIPHERS.map(|(_, name)| name), info.cipher).and_then(|at| self.ciphers.get(at));
        self.count(cipher, "ciphers", info.cipher);
        let group = at(&GROUPS.map(|(_, name)| name), info.group).and_then(|at| self.groups.get(at));
        self.count(group, "curves", info.group);
        let scheme = scheme.map_or("", |scheme| find(&SCHEMES, &scheme));
        let place = at(&SCHEMES.map(|(_, name)| name), scheme).and_then(|at| self.schemes.get(at));
        self.count(place, "sigalgs", scheme);
    }

    fn count(&self, place: Option<&OnceLock<TlsNameStats>>, kind: &str, name: &str) {
        let Some(place) = place else { return };
        let Ledger { registry, prefix, .. } = &self.ledger;
        let stats = place.get_or_init(|| TlsNameStats::new(registry, &format!("{prefix}{kind}.{name}")));
        stats.times().inc();
    }
}

/// What a session agreed on, but for certificates.
pub(super) fn agreed(session: &CommonState) -> TlsInfo {
    let version = session.protocol_version().map_or("", names::version);
    let cipher = session.negotiated_cipher_suite().map_or("", |suite| find(&CIPHERS, &suite.suite()));
    let group = session.negotiated_key_exchange_group().map_or("", |group| find(&GROUPS, &group.name()));
    TlsInfo {
        version,
        cipher,
        group,
        sni: Box::default(),
        alpn: session.alpn_protocol().unwrap_or_default().into(),
        local: None,
        peer: Box::default(),
        took: None,
        validated: false,
    }
}
