//! How the protocol is spoken with clients: as the context says, or as the certificate does that they are shown.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::sign::CertifiedKey;
use rustls::{Error, ServerConfig, SupportedProtocolVersion};

use crate::config::tls::{Params, Validation, Version};
use crate::observability::stats::tls::TlsStats;

use super::own::Chosen;
use super::verify::Verifier;
use super::witness::Witness;
use super::{provider, signing};

/// How the protocol is spoken.
#[derive(Debug)]
pub(super) struct Spoken {
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    /// The newest version.
    pub(super) most: Version,
    /// What the library is told where clients are not asked for certificates.
    library: ServerConfig,
    /// What is asked of clients' certificates.
    pub(super) verifier: Arc<Verifier>,
}

impl Spoken {
    /// # Errors
    /// There is no cipher suite for the versions, or no version.
    pub(super) fn new(
        params: &Params,
        asked: Option<Arc<Validation>>,
        stats: &TlsStats,
    ) -> Result<Self, Error> {
        let provider = provider::provider(params);
        let versions = provider::versions(params.versions);
        let mut library = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Chosen(None)));
        // Its own has room for 256 sessions, which would be taken for each context: `resumption` keeps them elsewhere.
        library.session_storage = Arc::new(NoServerSessionStorage {});
        let schemes = signing::schemes(&params.signature_schemes);
        let verifier = Arc::new(Verifier::new(Arc::clone(&provider), schemes, asked, stats.clone()));
        Ok(Spoken { provider, versions, most: params.versions.most, library, verifier })
    }

    /// The same where what is found of clients' certificates is counted elsewhere.
    pub(super) fn counted_by(&self, stats: &TlsStats) -> Self {
        Spoken {
            provider: Arc::clone(&self.provider),
            versions: self.versions.clone(),
            most: self.most,
            library: self.library.clone(),
            verifier: Arc::new(self.verifier.counted_by(stats.clone())),
        }
    }

    /// What the library is told for one client, which is asked for a certificate where there is a witness.
    ///
    /// # Errors
    /// None that [`new`](Self::new) has not had.
    pub(super) fn config(
        &self,
        key: Option<Arc<CertifiedKey>>,
        witness: Option<&Arc<Witness>>,
    ) -> Result<ServerConfig, Error> {
        let chosen = Arc::new(Chosen(key));
        let Some(witness) = witness else {
            // Nobody is looked at, so there is nothing of this client's alone: a copy shares nearly all.
            let mut config = self.library.clone();
            config.cert_resolver = chosen;
            return Ok(config);
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&self.versions)?;
        Ok(builder.with_client_cert_verifier(Arc::clone(witness) as _).with_cert_resolver(chosen))
    }
}
