//! The filters of a filter chain.

use std::fmt;
use std::sync::Arc;

use crate::config::extension::{ExtensionConfig, ExtensionValue};
use crate::config::extension_configs::ExtensionConfigs;
use crate::config::extension_source::FilterConfigType;
use crate::config::listener::NetworkFilter;
use crate::http::ConnectionManager;

use super::filter::{Context, Filter, Made, Terminal};
use super::guest::Filters;
use super::make;

/// The network filters of a filter chain, compiled.
#[derive(Clone, Debug)]
pub struct Chain {
    /// What they pass before; `None` where that is nothing.
    pub filters: Option<Filters>,
    /// What has the connections in the end.
    pub end: End,
    /// What it was made of, by the place in the configuration, where that may change.
    links: Box<[Link]>,
}

/// The last of the filters.
#[derive(Clone, Debug)]
pub enum End {
    /// A connection manager. It stands apart, so that its connections cost no box more.
    Http(Arc<ConnectionManager>),
    /// Any other.
    Terminal(Arc<dyn Terminal>),
    /// There is none: connections are closed.
    Nothing,
    /// The configuration of a filter has not come: connections are closed, and counted.
    Missing,
}

/// A filter, compiled.
#[derive(Clone)]
struct Link {
    /// What it was made from.
    value: Arc<dyn ExtensionValue>,
    part: Part,
}

#[derive(Clone, Debug)]
enum Part {
    Filter(Arc<dyn Filter>),
    End(End),
}

/// What a chain is compiled with.
pub struct Setting<'a> {
    /// What its filters are compiled with.
    pub context: Context<'a>,
    /// The configurations that were discovered.
    pub configs: &'a ExtensionConfigs,
    /// Makes connection managers.
    pub http: &'a mut MakeManager<'a>,
}

/// Makes a connection manager; `None` where the configuration is none of one.
pub type MakeManager<'a> = dyn FnMut(&ExtensionConfig) -> Option<Result<Arc<ConnectionManager>, String>> + 'a;

impl Chain {
    /// Compiles the filters of a chain; those whose configuration is that of `before` stay the same.
    ///
    /// # Errors
    /// What keeps a filter from being served.
    pub fn new(
        configured: &[NetworkFilter],
        setting: &mut Setting<'_>,
        before: Option<&Chain>,
    ) -> Result<Self, String> {
        let mut links = Vec::with_capacity(configured.len());
        for (place, filter) in configured.iter().enumerate() {
            let before = before.and_then(|before| before.links.get(place));
            let config = match &filter.config {
                FilterConfigType::Typed(config) => Some(config),
                FilterConfigType::Discovered(source) => {
                    match (setting.configs.of(&filter.name, source), before) {
                        (Some(config), _) => config,
                        // Nobody asks for it any more, since the listener ends: what was in force stays.
                        (None, Some(before)) => {
                            links.push(before.clone());
                            continue;
                        }
                        (None, None) => source.default_config.as_ref(),
                    }
                }
            };
            let Some(config) = config else {
                return Ok(Chain { filters: None, end: End::Missing, links: links.into() });
            };
            links.push(match before.filter(|before| Arc::ptr_eq(&before.value, &config.value)) {
                Some(before) => before.clone(),
                None => Link::new(config, setting)?,
            });
        }
        Ok(Chain::of(links))
    }

    fn of(links: Vec<Link>) -> Self {
        let (mut filters, mut end) = (Vec::<Arc<dyn Filter>>::new(), End::Nothing);
        for link in &links {
            match &link.part {
                Part::Filter(filter) => filters.push(Arc::clone(filter)),
                // The configuration is refused where the last filter is none that ends a chain; there may be none at all.
                Part::End(last) => end = last.clone(),
            }
        }
        Chain { filters: (!filters.is_empty()).then(|| filters.into()), end, links: links.into() }
    }
}

impl Link {
    fn new(config: &ExtensionConfig, setting: &mut Setting<'_>) -> Result<Self, String> {
        let problem = |problem| format!("filter {}: {problem}", config.name);
        let part = match (setting.http)(config) {
            Some(manager) => Part::End(End::Http(manager?)),
            None => match make(config, &setting.context) {
                Some(Ok(Made::Terminal(terminal))) => Part::End(End::Terminal(terminal)),
                Some(Ok(Made::Filter(filter))) => Part::Filter(filter),
                Some(Err(error)) => return Err(problem(error)),
                None => return Err(problem("not served".to_owned())),
            },
        };
        Ok(Link { value: Arc::clone(&config.value), part })
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.part.fmt(f)
    }
}

impl fmt::Debug for Setting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting").field("context", &self.context).finish_non_exhaustive()
    }
}
