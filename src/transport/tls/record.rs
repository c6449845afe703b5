//! What is counted of handshakes.

use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use rustls::{CommonState, HandshakeKind, SignatureScheme};

use crate::config::tls::Validation;
use crate::observability::stats::Registry;
use crate::observability::stats::tls::{CertificateStats, TlsNameStats, TlsSocketFactoryStats, TlsStats};
use crate::observability::stream_info::{CertificateInfo, TlsInfo};

use super::certificate;
use super::names::{self, CIPHERS, GROUPS, SCHEMES, find};

/// What Envoy calls a certificate that no secret names: `unnamed_cert_` and the hash of an empty name.
const UNNAMED_CERTIFICATE: &str = "unnamed_cert_e3b0c442";
const UNNAMED_TRUSTED: &str = "unnamed_ca_cert_e3b0c442";

/// The statistics of a context.
#[derive(Debug)]
pub struct Record {
    /// Handshakes and why they failed.
    pub stats: TlsStats,
    registry: Registry,
    /// `<listener or cluster>.ssl.`
    prefix: String,
    versions: [OnceLock<TlsNameStats>; 2],
    ciphers: [OnceLock<TlsNameStats>; CIPHERS.len()],
    groups: [OnceLock<TlsNameStats>; GROUPS.len()],
    schemes: [OnceLock<TlsNameStats>; SCHEMES.len()],
    certificates: Vec<CertificateStats>,
    _factory: TlsSocketFactoryStats,
}

impl Record {
    /// Of the listener or cluster whose statistics begin with `owner`; `side` is `server` or `client`.
    pub(super) fn new(registry: &Registry, owner: &str, side: &str) -> Self {
        let prefix = format!("{owner}ssl.");
        Record {
            stats: TlsStats::new(registry, &prefix),
            registry: registry.clone(),
            versions: Default::default(),
            ciphers: Default::default(),
            groups: Default::default(),
            schemes: Default::default(),
            certificates: Vec::new(),
            _factory: TlsSocketFactoryStats::new(registry, &format!("{owner}{side}_ssl_socket_factory.")),
            prefix,
        }
    }

    /// Tells when our own certificates expire.
    pub(super) fn tell_own(&mut self, certificates: &[&CertificateInfo]) {
        for certificate in certificates {
            self.tell_expiration(UNNAMED_CERTIFICATE, certificate.not_after.duration_since(UNIX_EPOCH).ok());
        }
    }

    /// Tells when those expire by whom peers have to be trusted: the first of them does. As in Envoy that is never where
    /// there is none.
    pub(super) fn tell_trusted(&mut self, validation: Option<&Validation>) {
        let Some(validation) = validation else { return };
        if !validation.trusted_ca.is_empty() {
            let read = validation.trusted_ca.iter().filter_map(|der| certificate::read(der));
            let first = read.map(|certificate| certificate.not_after).min();
            let since = first.and_then(|first| first.duration_since(UNIX_EPOCH).ok());
            self.tell_expiration(UNNAMED_TRUSTED, since);
        } else if validation.is_needed() {
            self.tell_expiration("unnamed_ca_cert", Some(Duration::from_secs(i64::MAX as u64)));
        }
    }

    fn tell_expiration(&mut self, name: &str, since: Option<Duration>) {
        let stats = CertificateStats::new(&self.registry, &format!("{}certificate.{name}.", self.prefix));
        stats.expiration_unix_time_seconds().set(since.unwrap_or_default().as_secs());
        self.certificates.push(stats);
    }

    /// Counts a handshake that is complete.
    pub(super) fn complete(&self, info: &TlsInfo, session: &CommonState, scheme: Option<SignatureScheme>) {
        self.stats.handshake().inc();
        if session.handshake_kind() == Some(HandshakeKind::Resumed) {
            self.stats.session_reused().inc();
        }
        if info.peer.is_empty() {
            self.stats.no_certificate().inc();
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
        let stats =
            place.get_or_init(|| TlsNameStats::new(&self.registry, &format!("{}{kind}.{name}", self.prefix)));
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
        took: Duration::ZERO,
        validated: false,
    }
}
