//! The chains of a connection manager, and what becomes of them when a configuration is discovered.
//!
//! Most connection managers know all their filters from the beginning, and their requests borrow them. Where a
//! configuration comes over ECDS the control thread compiles the chains anew and puts them in force as a whole; a request
//! keeps those that it began with.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::chain::{Chain, Setting};
use crate::config::HttpConnectionManager;
use crate::config::extension_configs::ExtensionConfigs;
use crate::observability::access_log::Sinks;
use crate::observability::stats::Registry;

/// All chains of a connection manager.
#[derive(Debug)]
pub(in crate::http) struct Chains {
    usual: Chain,
    /// Those of upgrades that have their own: by the type in lower case.
    upgrades: Box<[(Box<str>, Chain)]>,
}

impl Chains {
    fn new(
        options: &HttpConnectionManager,
        setting: Setting<'_>,
        before: Option<&Chains>,
    ) -> Result<Self, String> {
        let usual = Chain::new(&options.http_filters, setting, before.map(Chains::usual))?;
        let upgrades = options.upgrade_configs.iter().filter_map(|config| {
            let before = before.and_then(|before| before.own(config.upgrade_type.as_bytes()));
            let chain = Chain::new(config.filters.as_ref()?, setting, before);
            Some(chain.map(|chain| (Box::from(config.upgrade_type.as_str()), chain)))
        });
        let upgrades = upgrades.collect::<Result<_, String>>()?;
        Ok(Chains { usual, upgrades })
    }

    /// The chain of all requests but upgrades that have their own.
    pub(in crate::http) fn usual(&self) -> &Chain {
        &self.usual
    }

    /// The chain of a request: for an upgrade that has its own, that.
    pub(in crate::http) fn of(&self, upgrade: Option<&[u8]>) -> &Chain {
        upgrade.and_then(|wanted| self.own(wanted)).unwrap_or(&self.usual)
    }

    fn own(&self, wanted: &[u8]) -> Option<&Chain> {
        let found = self.upgrades.iter().find(|(kind, _)| kind.as_bytes().eq_ignore_ascii_case(wanted));
        found.map(|(_, chain)| chain)
    }
}

/// Where a connection manager has its chains.
#[derive(Debug)]
pub(in crate::http) enum Filters {
    /// They never change.
    Fixed(Chains),
    /// Configurations of some come over ECDS.
    Discovered(Box<Discovered>),
}

/// Chains that change.
#[derive(Debug)]
pub(in crate::http) struct Discovered {
    registry: Registry,
    stat_prefix: String,
    buffer_limit: u64,
    sinks: Arc<Sinks>,
    current: ArcSwap<Chains>,
}

impl Filters {
    /// Compiles the filters of a connection manager; their statistics begin with `stat_prefix`, and they may hold so
    /// many bytes of a body.
    ///
    /// # Errors
    /// Names a filter that is none of this build's, or a log that cannot be opened.
    pub(in crate::http) fn new(
        options: &HttpConnectionManager,
        registry: &Registry,
        stat_prefix: &str,
        buffer_limit: u64,
        sinks: &Arc<Sinks>,
    ) -> Result<Self, String> {
        let configs = &ExtensionConfigs::default();
        let setting = Setting { registry, stat_prefix, buffer_limit, configs, sinks: Some(sinks) };
        let chains = Chains::new(options, setting, None)?;
        if options.discovered_filters().next().is_none() {
            return Ok(Filters::Fixed(chains));
        }
        Ok(Filters::Discovered(Box::new(Discovered {
            registry: registry.clone(),
            stat_prefix: stat_prefix.to_owned(),
            buffer_limit,
            sinks: Arc::clone(sinks),
            current: ArcSwap::from_pointee(chains),
        })))
    }

    /// Whether some configuration comes over ECDS.
    pub(in crate::http) fn are_discovered(&self) -> bool {
        matches!(self, Filters::Discovered(_))
    }

    /// Puts configurations in force that were discovered: requests that begin from now on pass them.
    ///
    /// # Errors
    /// Names a filter that is none of this build's; then all stays as it is.
    pub(in crate::http) fn configure(
        &self,
        options: &HttpConnectionManager,
        configs: &ExtensionConfigs,
    ) -> Result<(), String> {
        if let Filters::Discovered(discovered) = self {
            let Discovered { registry, stat_prefix, buffer_limit, sinks, current } = &**discovered;
            let buffer_limit = *buffer_limit;
            let setting = Setting { registry, stat_prefix, buffer_limit, configs, sinks: Some(sinks) };
            let chains = Chains::new(options, setting, Some(&current.load()))?;
            current.store(Arc::new(chains));
        }
        Ok(())
    }

    /// The chains of a request that begins now. `known` are those that its connection has seen last.
    pub(in crate::http) fn current<'f>(&'f self, known: &Known) -> Current<'f> {
        match self {
            Filters::Fixed(chains) => Current::Fixed(chains),
            Filters::Discovered(discovered) => {
                let current = discovered.current.load();
                let mut known = known.0.borrow_mut();
                match &*known {
                    Some(known) if Arc::ptr_eq(known, &current) => Current::Discovered(Rc::clone(known)),
                    _ => Current::Discovered(Rc::clone(known.insert(Rc::new(Arc::clone(&current))))),
                }
            }
        }
    }
}

/// The chains that a connection has seen last: counting those who use them writes nothing that other threads read.
#[derive(Debug, Default)]
#[expect(clippy::redundant_allocation, reason = "the outer pointer is counted without other threads")]
pub(in crate::http) struct Known(RefCell<Option<Rc<Arc<Chains>>>>);

/// The chains of one request.
#[derive(Clone, Debug)]
#[expect(clippy::redundant_allocation, reason = "the outer pointer is counted without other threads")]
pub(in crate::http) enum Current<'f> {
    /// Those that the connection manager was made with.
    Fixed(&'f Chains),
    /// Those that were in force when it began.
    Discovered(Rc<Arc<Chains>>),
}

impl Deref for Current<'_> {
    type Target = Chains;

    fn deref(&self) -> &Chains {
        match self {
            Current::Fixed(chains) => chains,
            Current::Discovered(chains) => chains,
        }
    }
}
