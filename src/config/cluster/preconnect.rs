//! Connections that are made before they are needed: `envoy.config.cluster.v3.Cluster.PreconnectPolicy`.

use envoy_types::pb::envoy::config::cluster::v3::cluster as v3;

use crate::config::field::{Scope, open};
use crate::config::metadata::Metadata;
use crate::config::value_matcher::MetadataMatcher;

/// How many there are to be, and to which hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct Preconnect {
    /// Connections to a host for each that is in use or waited for; 1 to 3, 1 by default, which makes none before it is
    /// needed (`per_upstream_preconnect_ratio`).
    pub per_upstream: f64,
    /// The same over all hosts, by whose turn comes next; 1 to 3, 1 by default (`predictive_preconnect_ratio`).
    pub predictive: f64,
    /// What hosts have to say of themselves; boxed, since hardly any cluster asks (`preconnect_enabled_metadata`).
    pub allowed: Option<Box<MetadataMatcher>>,
}

impl Default for Preconnect {
    fn default() -> Self {
        Preconnect { per_upstream: 1.0, predictive: 1.0, allowed: None }
    }
}

impl Preconnect {
    /// From its proto.
    pub(super) fn from_proto(message: v3::PreconnectPolicy, at: &mut Scope<'_>) -> Option<Self> {
        use v3::PreconnectPolicy;
        open! { at, PreconnectPolicy = message;
            implemented { per_upstream_preconnect_ratio, predictive_preconnect_ratio, preconnect_enabled_metadata }
        }
        let none = Preconnect::default();
        Some(Preconnect {
            per_upstream: per_upstream_preconnect_ratio.map_or(none.per_upstream, |ratio| ratio.value),
            predictive: predictive_preconnect_ratio.map_or(none.predictive, |ratio| ratio.value),
            allowed: at
                .message(
                    "preconnect_enabled_metadata",
                    preconnect_enabled_metadata,
                    MetadataMatcher::from_proto,
                )
                .map(Box::new),
        })
    }

    /// Whether any are made.
    #[inline]
    pub fn is_used(&self) -> bool {
        self.per_upstream > 1.0 || self.foresees()
    }

    /// Whether hosts are connected to because their turn comes.
    #[inline]
    pub fn foresees(&self) -> bool {
        self.predictive > 1.0
    }

    /// Whether a host that says this may be connected to before it has to be.
    pub fn allows(&self, host: Option<&Metadata>) -> bool {
        let Some(matcher) = &self.allowed else { return true };
        matcher.matches(host.and_then(|host| host.find(&matcher.path)))
    }
}
