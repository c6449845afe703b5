//! The filters of a filter chain.

use std::sync::Arc;

use crate::config::extension::ExtensionConfig;
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
}

impl Chain {
    /// Compiles the filters of a chain. `http` makes connection managers.
    ///
    /// # Errors
    /// What keeps a filter from being served.
    pub fn new(
        configs: &[ExtensionConfig],
        context: &Context<'_>,
        mut http: impl FnMut(&ExtensionConfig) -> Option<Result<Arc<ConnectionManager>, String>>,
    ) -> Result<Self, String> {
        let (mut filters, mut end) = (Vec::<Arc<dyn Filter>>::new(), None);
        for config in configs {
            if let Some(manager) = http(config) {
                end = Some(End::Http(manager?));
                continue;
            }
            match make(config, context) {
                Some(Ok(Made::Terminal(terminal))) => end = Some(End::Terminal(terminal)),
                Some(Ok(Made::Filter(filter))) => filters.push(filter),
                Some(Err(problem)) => return Err(format!("filter {}: {problem}", config.name)),
                None => return Err(format!("filter {}: not served", config.name)),
            }
        }
        // The configuration is refused where the last filter is none that ends a chain; there may be none at all.
        let filters = (!filters.is_empty()).then(|| filters.into());
        Ok(Chain { filters, end: end.unwrap_or(End::Nothing) })
    }
}
