//! The filters of a listener, compiled, and what becomes of them when a configuration is discovered.
//!
//! Where a configuration comes over ECDS the control thread compiles them anew and puts them in force as a whole; a
//! connection keeps those that it began with.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::config;
use crate::config::extension::ExtensionValue;
use crate::config::extension_configs::ExtensionConfigs;
use crate::config::extension_source::FilterConfigType;
use crate::config::listener::Predicate;
use crate::observability::stats::Registry;

use super::seam::ListenerFilter;
use super::{Context, make};

/// The filters of a listener.
#[derive(Debug)]
pub struct Filters {
    all: All,
    /// How long all of them may take; `None` means no limit.
    pub(super) timeout: Option<Duration>,
    /// Whether connections on which it is over are served all the same.
    pub(super) continue_on_timeout: bool,
}

#[derive(Debug)]
enum All {
    /// They never change.
    Fixed(Compiled),
    /// Configurations of some come over ECDS.
    Discovered(Box<Discovered>),
}

#[derive(Debug)]
struct Discovered {
    configured: Vec<config::listener::ListenerFilter>,
    registry: Registry,
    current: ArcSwap<Compiled>,
}

/// Filters in their order.
#[derive(Debug)]
pub(super) struct Compiled {
    entries: Box<[Entry]>,
    /// Whether the configuration of the one after them has not come.
    is_incomplete: bool,
}

/// One filter.
#[derive(Clone)]
pub(super) struct Entry {
    /// What it was made from.
    value: Arc<dyn ExtensionValue>,
    pub(super) filter: Arc<dyn ListenerFilter>,
    /// The connections that pass it unseen.
    pub(super) disabled: Option<Predicate>,
}

impl Filters {
    /// Compiles those of a listener.
    ///
    /// # Errors
    /// Names a filter that is not served.
    pub fn new(
        listener: &config::Listener,
        registry: &Registry,
        configs: &ExtensionConfigs,
    ) -> Result<Self, String> {
        let configured = &listener.listener_filters;
        let compiled = Compiled::new(configured, registry, configs, None)?;
        let is_discovered = configured.iter().any(|filter| filter.config.discovered().is_some());
        Ok(Filters {
            all: match is_discovered {
                false => All::Fixed(compiled),
                true => All::Discovered(Box::new(Discovered {
                    configured: configured.clone(),
                    registry: registry.clone(),
                    current: ArcSwap::from_pointee(compiled),
                })),
            },
            timeout: listener.listener_filters_timeout,
            continue_on_timeout: listener.continue_on_listener_filters_timeout,
        })
    }

    /// Whether there is none.
    pub fn are_none(&self) -> bool {
        matches!(&self.all, All::Fixed(compiled) if compiled.entries.is_empty())
    }

    /// Whether some configuration comes over ECDS.
    pub fn are_discovered(&self) -> bool {
        matches!(self.all, All::Discovered(_))
    }

    /// Puts configurations in force that were discovered: connections that come from now on pass them.
    ///
    /// # Errors
    /// Names a filter that is not served; then all stays as it is.
    pub fn configure(&self, configs: &ExtensionConfigs) -> Result<(), String> {
        if let All::Discovered(discovered) = &self.all {
            let Discovered { configured, registry, current } = &**discovered;
            let compiled = Compiled::new(configured, registry, configs, Some(&current.load()))?;
            current.store(Arc::new(compiled));
        }
        Ok(())
    }

    /// Those of a connection that comes now.
    pub(super) fn current(&self) -> Current<'_> {
        match &self.all {
            All::Fixed(compiled) => Current::Fixed(compiled),
            All::Discovered(discovered) => Current::Discovered(discovered.current.load_full()),
        }
    }
}

impl Compiled {
    fn new(
        configured: &[config::listener::ListenerFilter],
        registry: &Registry,
        configs: &ExtensionConfigs,
        before: Option<&Compiled>,
    ) -> Result<Self, String> {
        let context = Context { registry };
        let mut entries = Vec::with_capacity(configured.len());
        for (place, filter) in configured.iter().enumerate() {
            let before = before.and_then(|before| before.entries.get(place));
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
            let Some(config) = config else {
                return Ok(Compiled { entries: entries.into(), is_incomplete: true });
            };
            if let Some(same) = before.filter(|before| Arc::ptr_eq(&before.value, &config.value)) {
                entries.push(same.clone());
                continue;
            }
            let made = make(config, &context);
            let made = made.ok_or_else(|| format!("listener filter {}: not served", filter.name))?;
            let (value, disabled) = (Arc::clone(&config.value), filter.disabled.clone());
            entries.push(Entry { value, filter: made, disabled });
        }
        Ok(Compiled { entries: entries.into(), is_incomplete: false })
    }

    /// All of them; `None` while the configuration of one has not come.
    pub(super) fn all(&self) -> Option<&[Entry]> {
        (!self.is_incomplete).then_some(&*self.entries)
    }
}

/// The filters of one connection.
#[derive(Debug)]
pub(super) enum Current<'f> {
    /// Those that the listener was made with.
    Fixed(&'f Compiled),
    /// Those that were in force when it came.
    Discovered(Arc<Compiled>),
}

impl Deref for Current<'_> {
    type Target = Compiled;

    fn deref(&self) -> &Compiled {
        match self {
            Current::Fixed(compiled) => compiled,
            Current::Discovered(compiled) => compiled,
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.filter.fmt(f)
    }
}
