//! Filters that stand in the place of one: `envoy.extensions.filters.http.filter_chain.v3.FilterChainConfig`.
//!
//! Each level of the route may have some, too. They come from the least specific to the most specific level, and one is
//! left out where a level more specific has one of its name. What the levels have is made when a request first comes to
//! them; it counts without the prefix of the connection manager, since tables may belong to several.

use std::sync::{Arc, OnceLock};

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::extensions::filters::http::filter_chain::v3;
use smallvec::SmallVec;

use crate::config::extension::{Extension, ExtensionConfig, PerRoute, contained_type, find};
use crate::config::field::{Scope, open};
use crate::config::route::FilterConfig;
use crate::http::filter::{self, Context, HttpFilter, Passing, WHOLE_BUFFER};
use crate::observability::stats::Registry;
use crate::observability::stats::http::FilterChainStats;
use crate::route::mutation::Levels;

use super::{composite, match_delegate, read};

/// Full name of the message.
pub(super) const TYPE_NAME: &str = "envoy.extensions.filters.http.filter_chain.v3.FilterChainConfig";

/// What the statistics of filters of routes begin with.
const ROUTE_PREFIX: &str = "filter_chain.";

/// Levels of a route, and the filter's own configuration.
const LEVELS: usize = 5;

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.filter_chain",
    type_name: TYPE_NAME,
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: Some(PerRoute {
        type_name: "envoy.extensions.filters.http.filter_chain.v3.FilterChainConfigPerRoute",
        parse: |bytes, at| read(bytes, at, RouteConfig::from_proto),
    }),
};

/// `FilterChainConfig`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    default_filter_chain: Vec<ExtensionConfig>,
}

/// `FilterChainConfigPerRoute`
#[derive(Debug)]
struct RouteConfig {
    filter_chain: Vec<ExtensionConfig>,
    made: OnceLock<Box<[Link]>>,
}

impl PartialEq for RouteConfig {
    fn eq(&self, other: &Self) -> bool {
        self.filter_chain == other.filter_chain
    }
}

impl Config {
    fn from_proto(message: v3::FilterChainConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::FilterChainConfig = message; implemented { default_filter_chain } }
        let filters = at.message("default_filter_chain", default_filter_chain, |message, at| {
            chain_from_proto(message, false, at)
        });
        Some(Config { default_filter_chain: filters.unwrap_or_default() })
    }
}

impl RouteConfig {
    fn from_proto(message: v3::FilterChainConfigPerRoute, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::FilterChainConfigPerRoute = message; implemented { filter_chain } }
        let filter_chain = at.required("filter_chain", filter_chain);
        let filter_chain =
            at.message("filter_chain", filter_chain, |message, at| chain_from_proto(message, true, at))?;
        Some(RouteConfig { filter_chain, made: OnceLock::new() })
    }

    fn links(&self, registry: &Registry) -> &[Link] {
        self.made.get_or_init(|| {
            let (stat_prefix, buffer_limit) = (ROUTE_PREFIX, WHOLE_BUFFER);
            Link::all(&self.filter_chain, &Context { name: "", registry, stat_prefix, buffer_limit })
        })
    }
}

fn chain_from_proto(
    message: v3::FilterChain,
    of_route: bool,
    at: &mut Scope<'_>,
) -> Option<Vec<ExtensionConfig>> {
    open! { at, v3::FilterChain = message; implemented { filters } }
    Some(at.list("filters", filters, |message, at| filter_from_proto(message, of_route, at)))
}

/// One of the filters, in Envoy's words where it cannot be.
fn filter_from_proto(
    message: TypedExtensionConfig,
    of_route: bool,
    at: &mut Scope<'_>,
) -> Option<ExtensionConfig> {
    let known = at.extensions().http_filters;
    let type_name = message.typed_config.as_ref().map(contained_type).unwrap_or_default();
    if type_name == TYPE_NAME {
        at.error("FilterChain filter cannot be configured recursively.");
        return None;
    }
    if of_route && [composite::TYPE_NAME, match_delegate::TYPE_NAME].contains(&type_name.as_str()) {
        at.error("Creating filter factory from server factory context is not supported");
        return None;
    }
    if find(&type_name, known).is_some_and(|extension| extension.terminal) {
        at.unsupported("what ends a chain stands at the end of that of the connection manager");
        return None;
    }
    ExtensionConfig::from_typed(message, known, at)
}

/// One of the filters, compiled.
#[derive(Debug)]
struct Link {
    name: Box<str>,
    factory: Arc<dyn filter::Factory>,
}

impl Link {
    /// All of a level. Each is spoken to by its own name.
    fn all(filters: &[ExtensionConfig], context: &Context<'_>) -> Box<[Link]> {
        // All of them were found when the configuration was read.
        let links = filters.iter().filter_map(|config| {
            let name = &*config.name;
            Some(Link { name: name.into(), factory: super::factory(config, &Context { name, ..*context })? })
        });
        links.collect()
    }
}

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    name: Box<str>,
    registry: Registry,
    stats: FilterChainStats,
    default_filter_chain: Box<[Link]>,
}

impl Factory {
    pub(super) fn new(config: &Config, context: &Context<'_>) -> Self {
        Factory {
            name: context.name.into(),
            registry: context.registry.clone(),
            stats: FilterChainStats::new(context.registry, &format!("{}filter_chain.", context.stat_prefix)),
            default_filter_chain: Link::all(&config.default_filter_chain, context),
        }
    }

    /// The filters of a request with this route.
    fn begin<'c>(&'c self, levels: Option<Levels<'c>>) -> Passing<'c> {
        let mut chains: SmallVec<[&[Link]; LEVELS]> = SmallVec::new();
        chains.push(&self.default_filter_chain);
        let configs = levels.map(|levels| levels.filter_configs(&self.name));
        for config in configs.into_iter().flatten().rev() {
            if let FilterConfig::Enabled(config) = config
                && let Some(config) = config.downcast::<RouteConfig>()
            {
                chains.push(config.links(&self.registry));
            }
        }
        let mut passing = Passing::new();
        for (number, chain) in chains.iter().enumerate() {
            let is_taken = |link: &&Link| !has_one_of(&chains[number + 1..], &link.name);
            passing.extend(chain.iter().filter(is_taken).map(|link| link.factory.create()));
        }
        if passing.is_empty() {
            self.stats.pass_through().inc();
        }
        passing
    }
}

/// Whether these levels have a filter of this name.
fn has_one_of(levels: &[&[Link]], name: &str) -> bool {
    levels.iter().any(|links| links.iter().any(|link| *link.name == *name))
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::Chain(Filter(self))
    }
}

/// The filter for one request, until those of its chains take its place.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Filter<'c>(&'c Factory);

impl<'c> Filter<'c> {
    /// What takes its place.
    pub(in crate::http) fn unfold(&self, levels: Option<Levels<'c>>) -> Passing<'c> {
        self.0.begin(levels)
    }
}

impl HttpFilter for Filter<'_> {}
