//! What makes and serves listeners, so that when each serves can be tested without sockets.

use std::sync::Arc;

use crate::config;
use crate::config::extension::ExtensionConfig;
use crate::config::extension_configs::ExtensionConfigs;
use crate::listener;

/// What makes and serves listeners.
pub trait Serve {
    /// A listener with its sockets bound, not yet serving.
    type Prepared: std::fmt::Debug;

    /// Makes a listener and binds its sockets, or shares those of the one of its name that is still `warming`.
    ///
    /// # Errors
    /// Why it cannot be served.
    fn prepare(
        &mut self,
        config: Arc<config::Listener>,
        warming: Option<&Self::Prepared>,
    ) -> Result<Self::Prepared, String>;

    /// The same of a listener to which filter chains came, or of which some went: it is none that is counted.
    ///
    /// # Errors
    /// Why it cannot be served.
    fn compose(
        &mut self,
        config: Arc<config::Listener>,
        warming: Option<&Self::Prepared>,
    ) -> Result<Self::Prepared, String>;

    /// Serves a prepared listener; one of the same name drains.
    ///
    /// # Errors
    /// Why it cannot be served; the one of the same name serves on.
    fn serve(&mut self, listener: Self::Prepared) -> Result<(), String>;

    /// Drains the listener of this name.
    fn remove(&mut self, name: &str);

    /// Whether the configuration of a filter that came over ECDS can be in force.
    ///
    /// # Errors
    /// Why not.
    fn check(&self, config: &ExtensionConfig) -> Result<(), String>;

    /// Puts configurations of filters in force that came over ECDS, and keeps them for the listeners to come.
    fn configure(&mut self, configs: &Arc<ExtensionConfigs>);

    /// How many threads serve each listener.
    fn workers(&self) -> u64;
}

impl Serve for listener::Manager {
    type Prepared = Arc<listener::Listener>;

    fn prepare(
        &mut self,
        config: Arc<config::Listener>,
        warming: Option<&Self::Prepared>,
    ) -> Result<Self::Prepared, String> {
        listener::Manager::prepare(self, config, warming.map(|warming| &**warming))
    }

    fn compose(
        &mut self,
        config: Arc<config::Listener>,
        warming: Option<&Self::Prepared>,
    ) -> Result<Self::Prepared, String> {
        listener::Manager::compose(self, config, warming.map(|warming| &**warming))
    }

    fn serve(&mut self, listener: Self::Prepared) -> Result<(), String> {
        listener::Manager::serve(self, listener)
    }

    fn remove(&mut self, name: &str) {
        listener::Manager::remove(self, name);
    }

    fn check(&self, config: &ExtensionConfig) -> Result<(), String> {
        listener::Manager::check(self, config)
    }

    fn configure(&mut self, configs: &Arc<ExtensionConfigs>) {
        listener::Manager::configure(self, configs);
    }

    fn workers(&self) -> u64 {
        listener::Manager::workers(self)
    }
}
