//! Zone aware routing: `CommonLbConfig.ZoneAwareLbConfig`, and `LocalityLbConfig.ZoneAwareLbConfig` of the extensions.

use envoy_types::pb::envoy::config::cluster::v3::cluster::common_lb_config as older;
use envoy_types::pb::envoy::extensions::load_balancing_policies::common::v3::locality_lb_config as typed;
use envoy_types::pb::envoy::r#type::v3 as type_v3;

use crate::config::field::{Scope, open};

/// Healthy hosts that a cluster has at least when nothing else is configured.
const DEFAULT_MIN_CLUSTER_SIZE: u64 = 6;

/// Percent of requests when nothing else is configured.
const DEFAULT_ROUTING_ENABLED: u32 = 100;

/// How the proxy's own locality counts, where the bootstrap says what the local cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneAware {
    /// Percent of requests for which localities count, where the runtime says nothing; 100 by default.
    pub routing_enabled: u32,
    /// Healthy hosts that a cluster has at least for localities to count; 6 by default.
    pub min_cluster_size: u64,
    /// All requests stay in the own locality where it has so many healthy hosts; `None` where that does not count.
    pub force_local_zone_min_size: Option<u32>,
    /// What the share of a locality is measured by.
    pub basis: LocalityBasis,
}

/// `ZoneAwareLbConfig.LocalityBasis`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LocalityBasis {
    /// `HEALTHY_HOSTS_NUM`
    #[default]
    HealthyHosts,
    /// `HEALTHY_HOSTS_WEIGHT`
    Weight,
}

impl Default for ZoneAware {
    fn default() -> Self {
        ZoneAware {
            routing_enabled: DEFAULT_ROUTING_ENABLED,
            min_cluster_size: DEFAULT_MIN_CLUSTER_SIZE,
            force_local_zone_min_size: None,
            basis: LocalityBasis::default(),
        }
    }
}

impl ZoneAware {
    /// From `common_lb_config`, and whether requests fail in a panic.
    pub(super) fn from_proto(message: older::ZoneAwareLbConfig, at: &mut Scope<'_>) -> (Self, bool) {
        use older::ZoneAwareLbConfig;
        open! { at, ZoneAwareLbConfig = message;
            implemented { routing_enabled, min_cluster_size, fail_traffic_on_panic }
        }
        let default = ZoneAware::default();
        let zone_aware = ZoneAware {
            routing_enabled: enabled(routing_enabled, at),
            min_cluster_size: min_cluster_size.map_or(default.min_cluster_size, |size| size.value),
            ..default
        };
        (zone_aware, fail_traffic_on_panic)
    }

    /// From the extensions' message, and whether requests fail in a panic.
    pub(super) fn from_typed(message: typed::ZoneAwareLbConfig, at: &mut Scope<'_>) -> (Self, bool) {
        use typed::ZoneAwareLbConfig;
        use typed::zone_aware_lb_config::{ForceLocalZone, LocalityBasis as Basis};
        open! { at, ZoneAwareLbConfig = message;
            implemented {
                routing_enabled, min_cluster_size, fail_traffic_on_panic, force_locality_direct_routing,
                force_local_zone, locality_basis,
            }
        }
        let force = at.message("force_local_zone", force_local_zone, |message, at| {
            open! { at, ForceLocalZone = message; implemented { min_size } }
            Some(min_size.map_or(1, |size| size.value))
        });
        let zone_aware = ZoneAware {
            routing_enabled: enabled(routing_enabled, at),
            min_cluster_size: min_cluster_size.map_or(DEFAULT_MIN_CLUSTER_SIZE, |size| size.value),
            force_local_zone_min_size: force.or(force_locality_direct_routing.then_some(1)),
            basis: match at.enumeration("locality_basis", locality_basis) {
                Basis::HealthyHostsNum => LocalityBasis::HealthyHosts,
                Basis::HealthyHostsWeight => LocalityBasis::Weight,
            },
        };
        (zone_aware, fail_traffic_on_panic)
    }
}

/// A share in whole percent.
fn enabled(value: Option<type_v3::Percent>, at: &mut Scope<'_>) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
    let whole = |percent: f64| percent.round() as u32;
    at.percent("routing_enabled", value).map_or(DEFAULT_ROUTING_ENABLED, whole)
}
