//! The filters of a connection manager, and those that one request passes.

use std::fmt;

use smallvec::SmallVec;

use crate::config::http_connection_manager::HttpFilter as Configured;
use crate::config::route::FilterConfig;
use crate::config::router::Router;
use crate::http::filters::{self, Filter};
use crate::observability::stats::Registry;
use crate::route::mutation::Levels;

/// Filters of a request that need no memory of their own beside the request's.
const INLINE: usize = 4;

/// The filters of a connection manager, in their order. The router stands at the end, and not in here.
#[derive(Debug, Default)]
pub(in crate::http) struct Chain {
    links: Box<[Link]>,
}

/// One filter of a chain.
struct Link {
    name: Box<str>,
    /// Whether it is left out where the route does not say otherwise.
    disabled: bool,
    factory: Box<dyn Factory>,
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
}

impl Chain {
    /// Compiles the filters of a connection manager; their statistics begin with `stat_prefix`.
    ///
    /// # Errors
    /// Names a filter that is none of this build's.
    pub(in crate::http) fn new(
        configured: &[Configured],
        registry: &Registry,
        stat_prefix: &str,
    ) -> Result<Self, String> {
        let filters = configured.iter().filter(|filter| filter.extension.downcast::<Router>().is_none());
        let links = filters.map(|Configured { extension, disabled }| {
            let name = extension.name.as_str();
            let factory = filters::factory(extension, &Context { name, registry, stat_prefix })
                .ok_or_else(|| format!("filter {name}: {} is not served", extension.type_name))?;
            Ok(Link { name: name.into(), disabled: *disabled, factory })
        });
        Ok(Chain { links: links.collect::<Result<_, String>>()? })
    }

    /// The filters that a request with this route passes.
    pub(in crate::http) fn begin(&self, levels: Option<Levels<'_>>) -> Passing<'_> {
        let passed = self.links.iter().filter(|link| link.is_passed(levels));
        passed.map(|link| link.factory.create()).collect()
    }
}

impl Link {
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

/// The filters that one request passes, in the order of their chain. They live in the task of the request: no filter
/// and only a long chain costs an allocation.
pub(in crate::http) type Passing<'c> = SmallVec<[Filter<'c>; INLINE]>;
