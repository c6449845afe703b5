//! Filter chains that come one by one: `envoy.config.listener.v3.Listener.FcdsConfig`.
//!
//! As in Envoy a listener asks for those that its tree names and that it does not have itself.

use std::sync::Arc;

use envoy_types::pb::envoy::config::listener::v3;
use v3::listener::FcdsConfig;

use super::{FilterChain, Listener};
use crate::config::extension::Extensions;
use crate::config::field::{Error, Notes, Scope, open, parse};
use crate::config::format::FormatSecret;
use crate::config::route::KnownClusters;
use crate::config::source::ConfigSource;

/// What Envoy says before anything that is wrong with the source.
const NO_MATCHER: &str = "cannot create a filter chain matcher: ";

/// Where filter chains come from that a listener does not have itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Fcds {
    /// `config_source`
    pub source: ConfigSource,
}

impl Fcds {
    pub(super) fn from_proto(message: FcdsConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, FcdsConfig = message;
            implemented { config_source }
            ignored { name: "no version of Envoy asks for it: filter chains are asked for by their own names" }
        }
        if config_source.is_none() {
            at.error(format!(
                "{NO_MATCHER}Missing config source specifier in envoy::config::core::v3::ConfigSource"
            ));
        }
        let source = at.message("config_source", config_source, ConfigSource::from_proto);
        source.map(|source| Fcds { source })
    }
}

/// A filter chain that came over FCDS.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscoveredChain {
    /// The chain itself.
    pub chain: FilterChain,
    /// The secrets that its formats write.
    format_secrets: Vec<Arc<FormatSecret>>,
}

impl DiscoveredChain {
    /// Full name of its message.
    pub const MESSAGE: &'static str = "envoy.config.listener.v3.FilterChain";

    /// From the bytes of its proto.
    ///
    /// # Errors
    /// Every error of the resource.
    pub fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<Error>> {
        parse(bytes, extensions, Self::from_proto)
    }

    /// From its proto.
    pub fn from_proto(message: v3::FilterChain, at: &mut Scope<'_>) -> Option<Self> {
        let chain = FilterChain::from_proto(message, at)?;
        let chain = FilterChain { is_discovered: true, ..chain };
        Some(DiscoveredChain { chain, format_secrets: at.take_secrets() })
    }

    /// Clusters that route tables inside it name and that are not known, where these are to be checked.
    pub fn unknown_clusters(&self, known: &KnownClusters<'_>) -> Vec<Error> {
        let relative = |error: Error| Error { path: error.path.trim_start_matches('.').to_owned(), ..error };
        self.chain.unknown_clusters("", known).into_iter().map(relative).collect()
    }
}

impl Listener {
    /// The filter chains that it takes from elsewhere: their names, and from where.
    pub fn awaited_chains(&self) -> impl Iterator<Item = (&str, &ConfigSource)> {
        let named = self.fcds.iter().zip(&self.chain_matcher);
        named.flat_map(|(fcds, matcher)| matcher.missing().map(|name| (name, &fcds.source)))
    }

    /// Notes a management server that cannot be one, where filter chains are to come from it.
    pub(super) fn check_fcds(&self, at: &mut Scope<'_>) {
        if let Some((_, source)) = self.awaited_chains().next() {
            let mut at = at.field("fcds_config");
            source.check_server(NO_MATCHER, &mut at.field("config_source"));
        }
    }

    /// The same with those of these filter chains that it waits for.
    pub fn with_chains<'c>(
        &self,
        find: impl Fn(&ConfigSource, &str) -> Option<&'c Arc<DiscoveredChain>>,
    ) -> Self {
        let mut listener = self.clone();
        for found in self.awaited_chains().filter_map(|(name, source)| find(source, name)) {
            listener.filter_chains.push(found.chain.clone());
            listener.format_secrets.extend(found.format_secrets.iter().cloned());
        }
        if let Some(matcher) = &mut listener.chain_matcher {
            matcher.place(&listener.filter_chains);
        }
        listener
    }

    /// All of its filter chains.
    pub fn chains(&self) -> impl Iterator<Item = &FilterChain> + Clone {
        self.filter_chains.iter().chain(&self.default_filter_chain)
    }
}
