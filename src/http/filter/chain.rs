//! A chain of filters, and those of it that one request passes.
//!
//! One kind ends in the router, the other, between a router and a host, in the codec.

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::config;
use crate::config::extension::{ExtensionConfig, ExtensionValue};
use crate::config::extension_configs::ExtensionConfigs;
use crate::config::extension_source::FilterConfigType;
use crate::config::http_connection_manager::HttpFilter as Configured;
use crate::config::route::FilterConfig;
use crate::config::router::Router;
use crate::config::upstream_codec::UpstreamCodec;
use crate::http::filters::{self, Filter, MissingConfig};
use crate::http::manager::DEFAULT_BUFFER_LIMIT;
use crate::observability::access_log::{AccessLog, Sinks};
use crate::observability::stats::Registry;
use crate::route::mutation::Levels;
use crate::upstream::cluster::stat_prefix;

use super::Stream;

/// Filters of a request that need no memory of their own beside the request's.
const INLINE: usize = 4;

/// Filters in their order. What stands at the end is not among them.
#[derive(Debug, Default)]
pub(in crate::http) struct Chain {
    links: Box<[Link]>,
    /// What the router was told.
    router: Router,
    /// Where requests to hosts are logged.
    upstream_logs: Arc<[AccessLog]>,
    /// What it has for clusters without filters of their own.
    upstream: Option<Arc<Chain>>,
}

/// One filter of a chain.
#[derive(Clone)]
struct Link {
    name: Box<str>,
    /// Whether it is left out where the route does not say otherwise.
    disabled: bool,
    /// Where it stands in what was configured.
    position: usize,
    /// What it was made from; `None` where its configuration is missing.
    value: Option<Arc<dyn ExtensionValue>>,
    factory: Arc<dyn Factory>,
}

/// What all requests that pass one filter of a chain have in common: its configuration, its statistics.
pub(in crate::http) trait Factory: fmt::Debug + Send + Sync {
    /// The filter for one request.
    fn create(&self) -> Filter<'_>;
}

/// What filters are compiled with.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Context<'a> {
    /// The filter's name in its chain, by which routes speak to it.
    pub(in crate::http) name: &'a str,
    /// All statistics.
    pub(in crate::http) registry: &'a Registry,
    /// `http.<stat_prefix>.`
    pub(in crate::http) stat_prefix: &'a str,
    /// Bytes of a body that a filter may hold where it has no limit of its own; [`super::WHOLE_BUFFER`] in route tables.
    pub(in crate::http) buffer_limit: u64,
}

/// What a chain is compiled with.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Setting<'a> {
    /// All statistics.
    pub(in crate::http) registry: &'a Registry,
    /// `http.<stat_prefix>.`
    pub(in crate::http) stat_prefix: &'a str,
    /// Bytes of a body that a filter may hold where it has no limit of its own.
    pub(in crate::http) buffer_limit: u64,
    /// The configurations that were discovered.
    pub(in crate::http) configs: &'a ExtensionConfigs,
    /// Where logs of requests to hosts are opened; `None` where no router may stand.
    pub(in crate::http) sinks: Option<&'a Sinks>,
}

impl Chain {
    /// Compiles filters; those whose configuration is that of `before` stay the same.
    ///
    /// # Errors
    /// Names a filter that is none of this build's.
    pub(in crate::http) fn new(
        configured: &[Configured],
        setting: Setting<'_>,
        before: Option<&Chain>,
    ) -> Result<Self, String> {
        let mut links = Vec::with_capacity(configured.len());
        let (mut router, mut logs) = (None, None);
        for (position, filter) in configured.iter().enumerate() {
            let config = match &filter.config {
                FilterConfigType::Typed(config) => Some(config),
                FilterConfigType::Discovered(source) => match setting.configs.of(&filter.name, source) {
                    Some(config) => config,
                    // Nobody asks for it any more, since the listener ends: what was in force stays.
                    None => match before {
                        Some(before) => {
                            let kept = before.link(position).cloned();
                            let is_router = kept.is_none();
                            links.extend(kept);
                            router = is_router.then(|| before.router.clone());
                            logs = is_router.then(|| Arc::clone(&before.upstream_logs));
                            continue;
                        }
                        None => source.default_config.as_ref(),
                    },
                },
            };
            match config.and_then(|config| config.downcast::<Router>()) {
                Some(options) => router = Some(options.clone()),
                None if config.is_some_and(|config| config.downcast::<UpstreamCodec>().is_some()) => {}
                None => links.push(Link::new(position, filter, config, setting, before)?),
            }
        }
        let router: Router = router.unwrap_or_default();
        let upstream_logs = match (logs, setting.sinks) {
            (Some(kept), _) => kept,
            (None, Some(sinks)) => open_logs(&router, sinks)?.into(),
            (None, None) => Arc::default(),
        };
        let upstream = match router.upstream_http_filters.is_empty() {
            true => None,
            false => {
                let before = before.and_then(|before| before.upstream.as_deref());
                // As in Envoy, whose prefix has no dot here.
                let stat_prefix = setting.stat_prefix.trim_end_matches('.');
                let setting = Setting { stat_prefix, ..setting };
                Some(Arc::new(Chain::new(&router.upstream_http_filters, setting, before)?))
            }
        };
        Ok(Chain { links: links.into(), router, upstream_logs, upstream })
    }

    /// The filters of a cluster that has some.
    pub(in crate::http) fn of_cluster(
        cluster: &config::Cluster,
        registry: &Registry,
        configs: &ExtensionConfigs,
        before: Option<&Chain>,
    ) -> Self {
        let buffer_limit = cluster.buffer.limit_bytes.unwrap_or(DEFAULT_BUFFER_LIMIT).into();
        let stat_prefix = &stat_prefix(cluster);
        let setting = Setting { registry, stat_prefix, buffer_limit, configs, sinks: None };
        Chain::new(&cluster.http.http_filters, setting, before).unwrap_or_else(|problem| {
            // What was configured was read by one of this build's filters.
            tracing::error!(target: "config", problem, "no request goes to the cluster");
            Chain::refusing(&cluster.name)
        })
    }

    /// A chain that answers 500.
    fn refusing(name: &str) -> Self {
        let name = Box::from(name);
        let factory = Arc::new(MissingConfig::new(&name));
        let link = Link { name, disabled: false, position: 0, value: None, factory };
        Chain { links: [link].into(), ..Chain::default() }
    }

    /// The filters between the router and the hosts of clusters that have none of their own; `None` where there are
    /// none.
    pub(in crate::http) fn upstream(&self) -> Option<&Arc<Chain>> {
        self.upstream.as_ref()
    }

    /// What the router at its end was told.
    pub(in crate::http) fn router(&self) -> &Router {
        &self.router
    }

    /// Where its requests to hosts are logged.
    pub(in crate::http) fn upstream_logs(&self) -> &Arc<[AccessLog]> {
        &self.upstream_logs
    }

    /// The filters that a request with this route passes.
    pub(in crate::http) fn begin(&self, levels: Option<Levels<'_>>) -> Passing<'_> {
        self.passed(levels).map(|link| link.factory.create()).collect()
    }

    /// The same where what the route says lives as long as the filters: those that it has itself are among them.
    pub(in crate::http) fn begin_routed<'c>(&'c self, levels: Option<Levels<'c>>) -> Passing<'c> {
        let mut passing = Passing::new();
        for link in self.passed(levels) {
            match link.factory.create() {
                Filter::Chain(chain) => passing.extend(chain.unfold(levels)),
                filter => passing.push(filter),
            }
        }
        passing
    }

    fn passed(&self, levels: Option<Levels<'_>>) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(move |link| link.is_passed(levels))
    }

    /// The filter that was configured in this place.
    fn link(&self, position: usize) -> Option<&Link> {
        self.links.iter().find(|link| link.position == position)
    }
}

/// Opens the logs of requests to hosts.
fn open_logs(router: &Router, sinks: &Sinks) -> Result<Box<[AccessLog]>, String> {
    AccessLog::build(&router.upstream_log, sinks).map_err(|error| error.to_string())
}

/// Whether a configuration that was discovered can be in force.
///
/// # Errors
/// Why not.
pub fn check_discovered(config: &ExtensionConfig, sinks: &Sinks) -> Result<(), String> {
    let Some(router) = config.downcast::<Router>() else { return Ok(()) };
    open_logs(router, sinks).map(drop)
}

impl Link {
    fn new(
        position: usize,
        filter: &Configured,
        config: Option<&ExtensionConfig>,
        setting: Setting<'_>,
        before: Option<&Chain>,
    ) -> Result<Self, String> {
        let Configured { name, disabled, .. } = filter;
        let made = |value, factory| Link {
            name: name.as_str().into(),
            disabled: *disabled,
            position,
            value,
            factory,
        };
        let Some(config) = config else {
            return Ok(made(None, Arc::new(MissingConfig::new(name))));
        };
        let same = |link: &&Link| link.value.as_ref().is_some_and(|value| Arc::ptr_eq(value, &config.value));
        if let Some(link) = before.and_then(|before| before.link(position)).filter(same) {
            return Ok(link.clone());
        }
        let Setting { registry, stat_prefix, buffer_limit, .. } = setting;
        let factory = filters::factory(config, &Context { name, registry, stat_prefix, buffer_limit })
            .ok_or_else(|| format!("filter {name}: {} is not served", config.type_name))?;
        Ok(made(Some(Arc::clone(&config.value)), factory))
    }

    /// Whether requests with this route pass the filter: the most specific level that says something has its way.
    fn is_passed(&self, levels: Option<Levels<'_>>) -> bool {
        match levels.and_then(|levels| levels.filter_configs(&self.name).next()) {
            Some(FilterConfig::Disabled) => false,
            Some(FilterConfig::Enabled(_) | FilterConfig::Default) => true,
            None => !self.disabled,
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.name).field(&self.factory).finish()
    }
}

/// Puts in the place of a filter those that it leads to for this request, be they none, once the request comes to it.
/// `levels` are those of its route where they live as long as the filters.
pub(in crate::http) fn unfold<'c>(
    filters: &mut Passing<'c>,
    number: usize,
    stream: &mut Stream<'_>,
    levels: Option<Levels<'c>>,
) {
    while let Some(found) = filters.get_mut(number).and_then(|filter| filter.unfold(stream, levels)) {
        filters.remove(number);
        filters.insert_many(number, found);
    }
}

/// The filters that one request passes, in the order of their chain. They live in the task of the request: no filter
/// and only a long chain costs an allocation.
pub(in crate::http) type Passing<'c> = SmallVec<[Filter<'c>; INLINE]>;
