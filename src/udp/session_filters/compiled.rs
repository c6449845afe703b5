//! The session filters of a proxy, compiled, and what becomes of them when a configuration is discovered.
//!
//! Where a configuration comes over ECDS the control thread compiles them anew and puts them in force as a whole; a
//! session keeps those that it began with.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::extension::{ExtensionConfig, ExtensionValue};
use crate::config::extension_configs::ExtensionConfigs;
use crate::config::extension_source::FilterConfigType;
use crate::observability::stats::Registry;

use super::{Configured, Factory, Filter, make};

/// The session filters of a proxy.
#[derive(Debug)]
pub(in crate::udp) enum Filters {
    /// They never change.
    Fixed(Compiled),
    /// Configurations of some come over ECDS.
    Discovered(Box<Discovered>),
}

#[derive(Debug)]
pub(in crate::udp) struct Discovered {
    configured: Vec<Configured>,
    registry: Registry,
    current: ArcSwap<Compiled>,
}

/// Filters in their order; `None` while the configuration of one has not come.
#[derive(Debug)]
pub(in crate::udp) struct Compiled(Option<Box<[Entry]>>);

/// One filter.
#[derive(Clone)]
struct Entry {
    /// What it was made from.
    value: Arc<dyn ExtensionValue>,
    factory: Arc<dyn Factory>,
}

impl Filters {
    /// Compiles those of a proxy.
    ///
    /// # Errors
    /// Names a filter that is not served.
    pub(in crate::udp) fn new(
        configured: &[Configured],
        registry: &Registry,
        configs: &ExtensionConfigs,
    ) -> Result<Self, String> {
        let compiled = Compiled::new(configured, registry, configs, None)?;
        Ok(match configured.iter().any(|filter| filter.config.discovered().is_some()) {
            false => Filters::Fixed(compiled),
            true => Filters::Discovered(Box::new(Discovered {
                configured: configured.to_vec(),
                registry: registry.clone(),
                current: ArcSwap::from_pointee(compiled),
            })),
        })
    }

    /// Whether there is none.
    pub(in crate::udp) fn are_none(&self) -> bool {
        matches!(self, Filters::Fixed(Compiled(Some(entries))) if entries.is_empty())
    }

    /// Whether some configuration comes over ECDS.
    pub(in crate::udp) fn are_discovered(&self) -> bool {
        matches!(self, Filters::Discovered(_))
    }

    /// Puts configurations in force that were discovered: sessions that begin from now on pass them.
    ///
    /// # Errors
    /// Names a filter that is not served; then all stays as it is.
    pub(in crate::udp) fn configure(&self, configs: &ExtensionConfigs) -> Result<(), String> {
        if let Filters::Discovered(discovered) = self {
            let Discovered { configured, registry, current } = &**discovered;
            let compiled = Compiled::new(configured, registry, configs, Some(&current.load()))?;
            current.store(Arc::new(compiled));
        }
        Ok(())
    }

    /// Those of a session that begins now; `None` while the configuration of one has not come.
    pub(in crate::udp) fn begin(&self) -> Option<Box<[Box<dyn Filter>]>> {
        match self {
            Filters::Fixed(compiled) => compiled.begin(),
            Filters::Discovered(discovered) => discovered.current.load().begin(),
        }
    }
}

impl Compiled {
    fn new(
        configured: &[Configured],
        registry: &Registry,
        configs: &ExtensionConfigs,
        before: Option<&Compiled>,
    ) -> Result<Self, String> {
        let before = before.and_then(|before| before.0.as_deref()).unwrap_or_default();
        let mut entries = Vec::with_capacity(configured.len());
        for (place, filter) in configured.iter().enumerate() {
            let before = before.get(place);
            let config = match &filter.config {
                FilterConfigType::Typed(config) => Some(config),
                FilterConfigType::Discovered(source) => match (configs.of(&filter.name, source), before) {
                    (Some(config), _) => config,
                    // Nobody asks for it any more, since the listener ends: what was in force stays.
                    (None, Some(before)) => {
                        entries.push(before.clone());
                        continue;
                    }
                    (None, None) => source.default_config.as_ref(),
                },
            };
            let Some(config) = config else { return Ok(Compiled(None)) };
            entries.push(Entry::new(config, before, registry)?);
        }
        Ok(Compiled(Some(entries.into())))
    }

    fn begin(&self) -> Option<Box<[Box<dyn Filter>]>> {
        let entries = self.0.as_deref()?;
        Some(entries.iter().map(|entry| entry.factory.filter()).collect())
    }
}

impl Entry {
    /// The filter of this configuration; that of before where nothing has changed.
    fn new(config: &ExtensionConfig, before: Option<&Entry>, registry: &Registry) -> Result<Self, String> {
        if let Some(same) = before.filter(|before| Arc::ptr_eq(&before.value, &config.value)) {
            return Ok(same.clone());
        }
        Ok(Entry { value: Arc::clone(&config.value), factory: make(config, registry)? })
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.factory.fmt(f)
    }
}
