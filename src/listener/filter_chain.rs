//! A filter chain in force: how its connections are greeted, and what they go through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::config;
use crate::config::metadata::Metadata;
use crate::network;
use crate::observability::stats::Registry;
use crate::transport::tls::{Secrets, ServerContext};

/// A filter chain of a listener.
#[derive(Debug)]
pub struct FilterChain {
    /// Tells it from all others, those of other listeners too.
    pub id: u64,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// What is configured of it beside what it does; `None` where that is nothing.
    pub metadata: Option<Arc<Metadata>>,
    /// How its connections are greeted where that is with TLS.
    pub tls: Option<Arc<ServerContext>>,
    /// How long that may take; `None` means no limit.
    pub handshake_timeout: Option<Duration>,
    /// What the names of its statistics begin with.
    pub stat_prefix: Box<str>,
    /// What its connections go through.
    pub filters: network::Chains,
}

impl FilterChain {
    /// A chain with these filters, whose statistics have this prefix.
    ///
    /// # Errors
    /// TLS cannot be spoken as configured.
    pub fn new(
        config: &config::listener::FilterChain,
        filters: network::Chains,
        registry: &Registry,
        prefix: &str,
        secrets: &Secrets,
    ) -> Result<Self, String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // As in Envoy handshakes of chains that were discovered are counted without a prefix.
        let tls_prefix = if config.is_discovered { "" } else { prefix };
        let tls = config.tls.as_ref().map(|tls| ServerContext::new(tls, registry, tls_prefix, secrets));
        Ok(FilterChain {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            name: Some(config.name.as_str()).filter(|name| !name.is_empty()).map(Arc::from),
            metadata: config.metadata.clone(),
            tls: tls.transpose()?,
            handshake_timeout: config.handshake_timeout,
            stat_prefix: prefix.into(),
            filters,
        })
    }
}
