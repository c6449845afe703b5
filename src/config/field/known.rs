//! The extensions that a conversion knows.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use super::Scope;

/// The parsed configuration of an extension. Implemented for every comparable value by a blanket impl.
pub trait ExtensionValue: Any + Debug + Send + Sync {
    /// Whether `other` is of the same type and equal.
    fn equals(&self, other: &dyn ExtensionValue) -> bool;
    /// For downcasting.
    fn as_any(&self) -> &dyn Any;
}

impl<T: Any + Debug + PartialEq + Send + Sync> ExtensionValue for T {
    fn equals(&self, other: &dyn ExtensionValue) -> bool {
        other.as_any().downcast_ref::<T>().is_some_and(|other| self == other)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Turns a message's bytes into its value; problems go into the scope, `None` then.
pub type Parse = fn(&[u8], &mut Scope<'_>) -> Option<Arc<dyn ExtensionValue>>;

/// One extension that this build knows.
#[derive(Clone, Copy, Debug)]
pub struct Extension {
    /// Envoy's canonical name, for example `envoy.filters.http.router`.
    pub name: &'static str,
    /// Full name of the configuration's message, for example
    /// `envoy.extensions.filters.http.router.v3.Router`.
    pub type_name: &'static str,
    /// Whether a filter ends its chain: it must be the last, and the last must be one.
    pub terminal: bool,
    /// Turns the message's bytes into its value; problems go into the scope, `None` then.
    pub parse: Parse,
    /// What route tables may say to it (`typed_per_filter_config`); `None` where that is nothing.
    pub per_route: Option<PerRoute>,
}

/// What route tables may say to an HTTP filter.
#[derive(Clone, Copy, Debug)]
pub struct PerRoute {
    /// Full name of the message.
    pub type_name: &'static str,
    /// Turns its bytes into its value, as [`Extension::parse`] does.
    pub parse: Parse,
}

/// How large programs of regular expressions may be, as the runtime says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegexLevels {
    /// `re2.max_program_size.error_level`: larger ones are refused; 100 when `None`.
    pub error: Option<u64>,
    /// `re2.max_program_size.warn_level`: larger ones are logged; none is when `None`.
    pub warn: Option<u64>,
}

impl RegexLevels {
    /// What holds where the runtime says nothing.
    pub const DEFAULT: RegexLevels = RegexLevels { error: None, warn: None };
}

/// The extensions known, by category, and how strictly resources are read.
#[derive(Clone, Debug, Default)]
pub struct Extensions {
    /// Whether fields that the API does not have are errors; else they are noted.
    pub reject_unknown_fields: bool,
    /// Whether fields are accepted that the API disallows by default: those that are about to be removed. The value
    /// of `envoy.features.enable_all_deprecated_features` in the runtime.
    pub allow_disallowed_features: bool,
    /// How large programs of regular expressions may be.
    pub regex_levels: RegexLevels,
    /// Whether the bootstrap names a local cluster; `None` where there is no bootstrap to ask.
    pub local_cluster: Option<bool>,
    /// The clusters that may be management servers: those of the bootstrap that do not need one themselves. `None` where
    /// there is no bootstrap to ask.
    pub management_servers: Option<Arc<BTreeSet<String>>>,
    /// Listener filters.
    pub listener_filters: &'static [Extension],
    /// Filters of listeners over UDP.
    pub udp_listener_filters: &'static [Extension],
    /// Filters of sessions of a UDP proxy.
    pub udp_session_filters: &'static [Extension],
    /// Network filters.
    pub network_filters: &'static [Extension],
    /// HTTP filters.
    pub http_filters: &'static [Extension],
    /// HTTP filters that may stand between the router and a host.
    pub upstream_http_filters: &'static [Extension],
    /// Changes to the headers of requests before they are routed.
    pub early_header_mutations: &'static [Extension],
    /// Who makes spans of requests.
    pub tracers: &'static [Extension],
}

impl Extensions {
    /// Envoy's names of the categories, and what is known of each.
    pub fn by_category(&self) -> impl Iterator<Item = (&'static str, &'static [Extension])> {
        [
            ("envoy.filters.listener", self.listener_filters),
            ("envoy.filters.network", self.network_filters),
            ("envoy.filters.udp_listener", self.udp_listener_filters),
            ("envoy.filters.udp.session", self.udp_session_filters),
            ("envoy.filters.http", self.http_filters),
            ("envoy.filters.http.upstream", self.upstream_http_filters),
            ("envoy.http.early_header_mutation", self.early_header_mutations),
            ("envoy.tracers", self.tracers),
        ]
        .into_iter()
    }
}
