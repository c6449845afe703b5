//! Tracing: whether requests are traced, what their spans tell, and who makes them.
//!
//! - `decision`: which requests are traced, and what their ids say of that;
//! - `exchange`: the span of a request from its route to its end, and those of its attempts; `tags`: what they tell;
//! - `span`: the seam of those who make spans, one directory each (`EXTENSION`, `Config`, `make`);
//! - `reporter`: spans of a worker on their way to a collector; `batch`: when they are told; `service`: what is said beside them.
//!
//! A connection manager without `tracing` pays a look at an `Option`.

mod batch;
mod decision;
mod exchange;
mod reporter;
mod service;
mod span;
mod tags;

use std::sync::{Arc, Weak};

use crate::config::bootstrap::Node;
use crate::config::extension::{Extension, ExtensionConfig};
use crate::config::listener::TrafficDirection;
use crate::config::tracing::Tracing;
use crate::observability::stats::Registry;

pub(super) use exchange::{Trace, decorate_response};
pub use reporter::Reporters;
pub(super) use span::{Driver, Span};

use span::Kind;

/// Lists those who make spans.
macro_rules! tracers {
    ($($module:ident,)*) => {
        $(mod $module;)*

        /// Who makes spans in this build.
        pub const EXTENSIONS: &[Extension] = &[$($module::EXTENSION,)*];

        /// Compiles one; `None` if it is none of these.
        fn make(config: &ExtensionConfig, registry: &Registry, node: &Arc<Node>) -> Option<Arc<dyn Driver>> {
            $(if let Some(config) = config.downcast::<$module::Config>() {
                return Some($module::make(config, registry, node));
            })*
            None
        }
    };
}

tracers! {
    opentelemetry,
    zipkin,
}

/// Who makes spans for the connection managers of a process. Those that are told the same share one, as in Envoy.
#[derive(Debug)]
pub struct Tracers {
    registry: Registry,
    node: Arc<Node>,
    fallback: Option<ExtensionConfig>,
    made: Vec<(ExtensionConfig, Weak<dyn Driver>)>,
}

impl Tracers {
    /// None so far; what they count goes here.
    pub fn new(registry: Registry) -> Self {
        Tracers { registry, node: Arc::default(), fallback: None, made: Vec::new() }
    }

    /// Spans tell of this node from here on.
    pub fn tell_of(&mut self, node: Arc<Node>) {
        self.node = node;
    }

    /// Who makes spans where a connection manager names nobody (`Bootstrap.tracing`).
    pub fn fall_back_to(&mut self, provider: Option<ExtensionConfig>) {
        self.fallback = provider;
    }

    /// The node that spans tell of.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Who makes spans for a connection manager; `None` where it traces for the headers alone.
    fn of(&mut self, provider: Option<&ExtensionConfig>) -> Option<Arc<dyn Driver>> {
        let config = provider.or(self.fallback.as_ref())?.clone();
        self.made.retain(|(_, driver)| driver.strong_count() > 0);
        let known = self.made.iter().find(|(other, _)| *other == config);
        if let Some(driver) = known.and_then(|(_, driver)| driver.upgrade()) {
            return Some(driver);
        }
        let driver = make(&config, &self.registry, &self.node)?;
        self.made.push((config, Arc::downgrade(&driver)));
        Some(driver)
    }
}

/// What the requests of a connection manager are traced with.
#[derive(Debug)]
pub(super) struct Setting {
    driver: Option<Arc<dyn Driver>>,
    kind: Kind,
    node: Arc<Node>,
}

impl Setting {
    /// That of a connection manager on a listener for this direction.
    pub(super) fn new(config: &Tracing, tracers: &mut Tracers, direction: TrafficDirection) -> Self {
        let kind = match direction {
            TrafficDirection::Outbound => Kind::Egress,
            TrafficDirection::Inbound | TrafficDirection::Unspecified => Kind::Ingress,
        };
        Setting { driver: tracers.of(config.provider.as_ref()), kind, node: Arc::clone(&tracers.node) }
    }
}
