//! What all load balancing policies have in common: `Cluster.CommonLbConfig`.

use envoy_types::pb::envoy::config::cluster::v3;

use super::{
    Beside, ClientSideWeights, LoadAwareLocality, OutOfBand, OverrideHost, SlowStart, Subsets, ZoneAware,
};
use crate::config::cluster::hashing;
use crate::config::endpoint::DEFAULT_OVERPROVISIONING_FACTOR;
use crate::config::field::{Scope, open};

/// Percent of healthy hosts below which health is disregarded when nothing else is configured.
const DEFAULT_HEALTHY_PANIC_THRESHOLD: f64 = 50.0;

/// `Cluster.CommonLbConfig`, and what load balancing policies have in common with it.
#[derive(Clone, Debug, PartialEq)]
pub struct CommonLb {
    /// Percent of healthy hosts below which health is disregarded; 50 by default.
    pub healthy_panic_threshold: f64,
    /// In a panic, fail requests instead of using unhealthy hosts.
    pub fail_traffic_on_panic: bool,
    /// Where requests name their hosts; `None` where they name none.
    pub override_host: Option<Box<OverrideHost>>,
    /// New hosts get their share little by little; `None` where they get it at once.
    pub slow_start: Option<SlowStart>,
    /// Weights come of what hosts report of themselves; `None` where they are configured.
    pub client_side: Option<Box<ClientSideWeights>>,
    /// Localities take requests by the load of their hosts; `None` where they do not.
    pub load_aware: Option<Box<LoadAwareLocality>>,
    /// How hosts are asked for reports beside their responses; `None` where they are not.
    pub out_of_band: Option<Box<OutOfBand>>,
    /// How the proxy's own locality counts, where there is a local cluster.
    pub zone_aware: ZoneAware,
    /// Choose a locality by its weight first (`locality_weighted_lb_config`).
    pub locality_weighted: bool,
    /// Whether a new host counts for nothing until its first check has ended.
    pub ignore_new_hosts_until_first_hc: bool,
    /// Whether no connection serves a further request once hosts have come or gone, or have another health; false by
    /// default.
    pub close_connections_on_host_set_change: bool,
    /// Percent of healthiness that counts as whole, by priority and locality; 140 by default.
    pub overprovisioning_factor: u32,
    /// Requests go to subsets of the hosts, within which all else applies; `None` where hosts are not divided.
    pub subsets: Option<Box<Subsets>>,
}

impl CommonLb {
    /// Whether it counts what hosts report of themselves.
    pub fn asks_for_reports(&self) -> bool {
        self.client_side.is_some() || self.load_aware.is_some()
    }

    /// Whether weights of localities count, in subsets too where hosts are divided.
    pub fn weighs_localities(&self) -> bool {
        self.locality_weighted && self.subsets.as_ref().is_none_or(|subsets| subsets.locality_weight_aware)
    }
}

impl Default for CommonLb {
    fn default() -> Self {
        CommonLb {
            healthy_panic_threshold: DEFAULT_HEALTHY_PANIC_THRESHOLD,
            fail_traffic_on_panic: false,
            zone_aware: ZoneAware::default(),
            slow_start: None,
            client_side: None,
            load_aware: None,
            out_of_band: None,
            override_host: None,
            locality_weighted: false,
            ignore_new_hosts_until_first_hc: false,
            close_connections_on_host_set_change: false,
            overprovisioning_factor: DEFAULT_OVERPROVISIONING_FACTOR,
            subsets: None,
        }
    }
}

/// What the message says, and what of it concerns policies of the older fields.
pub(super) fn common_lb(
    message: v3::cluster::CommonLbConfig,
    at: &mut Scope<'_>,
) -> Option<(CommonLb, Beside)> {
    use v3::cluster::CommonLbConfig;
    use v3::cluster::common_lb_config::{LocalityConfigSpecifier as Specifier, LocalityWeightedLbConfig};
    open! { at, CommonLbConfig = message;
        implemented {
            healthy_panic_threshold, update_merge_window, locality_config_specifier,
            consistent_hashing_lb_config, ignore_new_hosts_until_first_hc,
            close_connections_on_host_set_change,
        }
        ignored {
            override_host_status: "it concerns stateful sessions, and those are rejected",
        }
    }
    if at.duration("update_merge_window", update_merge_window).is_some_and(|window| !window.is_zero()) {
        at.ignore("update_merge_window", "what is known of hosts is in force at once, a listed difference");
    }
    let default = CommonLb::default();
    let common = CommonLb {
        healthy_panic_threshold: at
            .percent("healthy_panic_threshold", healthy_panic_threshold)
            .unwrap_or(default.healthy_panic_threshold),
        ignore_new_hosts_until_first_hc,
        close_connections_on_host_set_change,
        ..default
    };
    let mut beside = match locality_config_specifier {
        None => Beside::default(),
        Some(Specifier::LocalityWeightedLbConfig(message)) => {
            open! { at, LocalityWeightedLbConfig = message; implemented {} }
            Beside { weighted: true, set: true, ..Beside::default() }
        }
        Some(Specifier::ZoneAwareLbConfig(message)) => {
            let (zone_aware, fail_traffic_on_panic) =
                ZoneAware::from_proto(message, &mut at.field("zone_aware_lb_config"));
            Beside { zone_aware, fail_traffic_on_panic, set: true, ..Beside::default() }
        }
    };
    beside.set |= consistent_hashing_lb_config.is_some();
    let hashing = at.message("consistent_hashing_lb_config", consistent_hashing_lb_config, hashing::common);
    beside.hashing = hashing.unwrap_or_default();
    Some((common, beside))
}
