//! The cryptography of a context: what of the library's is used, in which order.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use crate::base::crypto::{ALL_CIPHER_SUITES, ALL_KX_GROUPS, default_provider};
use crate::config::tls::{Params, Version, Versions};

use super::names::{CIPHERS, GROUPS, find};

/// The cipher suites of TLS 1.3 in BoringSSL's order.
const TLS13_SUITES: [&str; 3] =
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// What is used of it.
pub(super) fn provider(config: &Params) -> Arc<CryptoProvider> {
    let is_spoken = |name: &&str| !config.only_aes || name.contains("_AES_");
    let tls13 = TLS13_SUITES.into_iter().filter(is_spoken).filter_map(by_name);
    let tls12 = config.cipher_suites.iter().filter_map(|wanted| by_name(wanted.0));
    let groups = config
        .curves
        .iter()
        .filter_map(|wanted| ALL_KX_GROUPS.iter().find(|group| find(&GROUPS, &group.name()) == wanted.0));
    Arc::new(CryptoProvider {
        cipher_suites: tls13.chain(tls12).copied().collect(),
        kx_groups: groups.copied().collect::<Vec<&'static dyn SupportedKxGroup>>(),
        ..default_provider()
    })
}

fn by_name(name: &str) -> Option<&'static SupportedCipherSuite> {
    ALL_CIPHER_SUITES.iter().find(|suite| find(&CIPHERS, &suite.suite()) == name)
}

/// The versions that a context speaks, the newest first.
pub(super) fn versions(versions: Versions) -> Vec<&'static SupportedProtocolVersion> {
    let known = [(Version::V1_3, &TLS13), (Version::V1_2, &TLS12)];
    let spoken = known.into_iter().filter(|(version, _)| (versions.least..=versions.most).contains(version));
    spoken.map(|(_, version)| version).collect()
}
