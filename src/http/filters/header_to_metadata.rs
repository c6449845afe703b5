//! Dynamic metadata from headers and cookies: `envoy.extensions.filters.http.header_to_metadata.v3.Config`.
//!
//! What a route says takes the place of what the chain says, and is counted by itself.

mod rule;

use std::sync::OnceLock;

use envoy_types::pb::envoy::extensions::filters::http::header_to_metadata::v3;

use crate::config::extension::{Extension, PerRoute};
use crate::config::field::{Scope, open};
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::observability::stats::Registry;
use crate::observability::stats::http::HeaderToMetadataStats;

use super::read;
use rule::{Counts, Rule};

/// Full name of the message, which chains and routes share.
const TYPE_NAME: &str = "envoy.extensions.filters.http.header_to_metadata.v3.Config";

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.header_to_metadata",
    type_name: TYPE_NAME,
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: Some(PerRoute { type_name: TYPE_NAME, parse: |bytes, at| read(bytes, at, Config::for_route) }),
};

/// `Config`, equal to what says the same.
#[derive(Clone, Debug)]
pub(super) struct Config {
    request: Vec<Rule>,
    response: Vec<Rule>,
    /// Where statistics are; there are none when empty.
    stat_prefix: String,
    stats: OnceLock<HeaderToMetadataStats>,
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.request == other.request
            && self.response == other.response
            && self.stat_prefix == other.stat_prefix
    }
}

impl Config {
    fn from_proto(message: v3::Config, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Config = message; implemented { request_rules, response_rules, stat_prefix } }
        Some(Config {
            request: at.list("request_rules", request_rules, Rule::from_proto),
            response: at.list("response_rules", response_rules, Rule::from_proto),
            stat_prefix,
            stats: OnceLock::new(),
        })
    }

    /// What a route says.
    fn for_route(message: v3::Config, at: &mut Scope<'_>) -> Option<Self> {
        if message.request_rules.is_empty() && message.response_rules.is_empty() {
            at.error(
                "header_to_metadata_filter: Per filter configs must at least specify either request or \
                 response rules",
            );
        }
        Config::from_proto(message, at)
    }

    /// What it counts, if it does. That of a route is there from its first request on.
    fn stats(&self, registry: &Registry) -> Option<&HeaderToMetadataStats> {
        let stats = || {
            let prefix = format!("http_filter_name.{}.", self.stat_prefix);
            HeaderToMetadataStats::new(registry, &prefix)
        };
        (!self.stat_prefix.is_empty()).then(|| self.stats.get_or_init(stats))
    }
}

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    name: Box<str>,
    config: Config,
    registry: Registry,
}

impl Factory {
    pub(super) fn new(config: &Config, context: &Context<'_>) -> Self {
        let config = config.clone();
        config.stats(context.registry);
        Factory { name: context.name.into(), config, registry: context.registry.clone() }
    }

    fn config<'s>(&'s self, stream: &Stream<'s>) -> &'s Config {
        stream.route_config(&self.name).unwrap_or(&self.config)
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::HeaderToMetadata(Filter(self))
    }
}

/// The filter for one request; it keeps nothing.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c>(&'c Factory);

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        let config = self.0.config(stream);
        let mut counts = Counts::default();
        for rule in &config.request {
            rule.apply(stream.request, stream.info, &mut counts);
        }
        if let Some(stats) = config.stats(&self.0.registry) {
            stats.request_rules_processed().add(counts.rules_processed);
            stats.request_metadata_added().add(counts.metadata_added);
            stats.request_header_not_found().add(counts.header_not_found);
            counts.tell_faults(stats);
        }
        Step::Continue
    }

    fn response_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        let config = self.0.config(stream);
        let mut counts = Counts::default();
        for rule in &config.response {
            rule.apply(stream.response, stream.info, &mut counts);
        }
        if let Some(stats) = config.stats(&self.0.registry) {
            stats.response_rules_processed().add(counts.rules_processed);
            stats.response_metadata_added().add(counts.metadata_added);
            stats.response_header_not_found().add(counts.header_not_found);
            counts.tell_faults(stats);
        }
        Step::Continue
    }
}
