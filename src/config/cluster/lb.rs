//! How a host is chosen: `lb_policy` with its settings, or `load_balancing_policy`.

mod client_side;
mod holding;
mod load_aware;
mod out_of_band;
mod override_host;
mod slow_start;
mod subset;
mod typed;
mod zone;

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::google::protobuf as pb;

pub use client_side::ClientSideWeights;
pub use load_aware::LoadAwareLocality;
pub use out_of_band::OutOfBand;
pub(super) use override_host::metadata_key;
pub use override_host::{HostSource, OverrideHost};
pub use slow_start::SlowStart;
pub use subset::{SelectorFallback, SubsetFallback, SubsetSelector, Subsets};
pub use zone::{LocalityBasis, ZoneAware};

use super::hashing::{self, ConsistentHashing};
use super::{Cluster, CommonLb, LbPolicy};
use crate::config::endpoint::DEFAULT_OVERPROVISIONING_FACTOR;
use crate::config::field::{Scope, open};
use crate::config::runtime::RuntimeDouble;

/// Percent of healthy hosts below which health is disregarded when nothing else is configured.
const DEFAULT_HEALTHY_PANIC_THRESHOLD: f64 = 50.0;

/// Why settings of another policy than the one chosen change nothing, as in Envoy.
const OF_ANOTHER_POLICY: &str = "it concerns another lb_policy than the one chosen";

/// `envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest`, or `Cluster.LeastRequestLbConfig`
#[derive(Clone, Debug, PartialEq)]
pub struct LeastRequest {
    /// Hosts compared at each choice; 2 by default.
    pub choice_count: u32,
    /// Exponent of active requests where weights differ; 1.0 by default, and where it is negative.
    pub active_request_bias: RuntimeDouble,
    /// All hosts are compared instead of some (`FULL_SCAN`).
    pub full_scan: bool,
}

impl Default for LeastRequest {
    fn default() -> Self {
        LeastRequest {
            choice_count: 2,
            active_request_bias: RuntimeDouble { default_value: 1.0, runtime_key: String::new() },
            full_scan: false,
        }
    }
}

impl Cluster {
    /// Whether hosts are chosen without a look at requests but for their hashes, at the runtime and at the time.
    pub fn chooses_plainly(&self) -> bool {
        let lb = &self.lb;
        let by_runtime = matches!(
            &self.lb_policy,
            LbPolicy::LeastRequest(config) if !config.active_request_bias.runtime_key.is_empty()
        );
        let provided = matches!(self.lb_policy, LbPolicy::ClusterProvided);
        !by_runtime
            && !provided
            && lb.subsets.is_none()
            && lb.override_host.is_none()
            && lb.slow_start.is_none()
    }
}

/// What a policy says beside how a host is picked.
#[derive(Default)]
struct Beside {
    /// Localities are chosen by their weights.
    weighted: bool,
    fail_traffic_on_panic: bool,
    zone_aware: ZoneAware,
    /// Whether anything is said that `load_balancing_policy` says itself.
    set: bool,
    hashing: ConsistentHashing,
    slow_start: Option<SlowStart>,
    client_side: Option<Box<ClientSideWeights>>,
    load_aware: Option<Box<LoadAwareLocality>>,
    out_of_band: Option<Box<OutOfBand>>,
    override_host: Option<Box<OverrideHost>>,
    subsets: Option<Box<Subsets>>,
}

/// What concerns `ORIGINAL_DST` clusters of it.
pub(super) fn original_dst(
    config: Option<&v3::cluster::LbConfig>,
) -> Option<v3::cluster::OriginalDstLbConfig> {
    match config {
        Some(v3::cluster::LbConfig::OriginalDstLbConfig(message)) => Some(message.clone()),
        _ => None,
    }
}

/// What a cluster says of load balancing.
pub(super) struct Given {
    pub(super) lb_policy: i32,
    pub(super) lb_config: Option<v3::cluster::LbConfig>,
    pub(super) load_balancing_policy: Option<v3::LoadBalancingPolicy>,
    pub(super) common_lb_config: Option<v3::cluster::CommonLbConfig>,
    pub(super) lb_subset_config: Option<v3::cluster::LbSubsetConfig>,
}

/// The policy and the settings common to all.
pub(super) fn from_proto(cluster: &str, given: Given, at: &mut Scope<'_>) -> Option<(LbPolicy, CommonLb)> {
    let Given { lb_policy, lb_config, load_balancing_policy, common_lb_config, lb_subset_config } = given;
    let (common, mut beside) = at
        .message("common_lb_config", common_lb_config, common_lb)
        .unwrap_or_else(|| (default_common(), Beside::default()));
    let (policy, beside) = match load_balancing_policy {
        // As in Envoy it takes the place of all the older fields.
        Some(message) => {
            if lb_subset_config.is_some() {
                at.field("load_balancing_policy")
                    .error("cluster: load_balancing_policy cannot be combined with lb_subset_config");
            }
            if beside.set {
                at.field("load_balancing_policy").error(
                    "cluster: load_balancing_policy cannot be combined with partial fields \
                     (zone_aware_lb_config, locality_weighted_lb_config, consistent_hashing_lb_config) of common_lb_config",
                );
            }
            at.message("load_balancing_policy", Some(message), |message, at| {
                typed::policy(cluster, message, at)
            })?
        }
        None => {
            let subsets = at.message("lb_subset_config", lb_subset_config, Subsets::from_proto);
            if subsets.is_some() && lb_policy == i32::from(v3::cluster::LbPolicy::ClusterProvided) {
                at.field("lb_subset_config")
                    .error("cluster: LB policy CLUSTER_PROVIDED cannot be combined with lb_subset_config");
            }
            if subsets.as_ref().is_some_and(|subsets| subsets.locality_weight_aware) && !beside.weighted {
                at.field("lb_subset_config").error(format!(
                    "Locality weight aware subset LB requires that a locality_weighted_lb_config be set in {cluster}"
                ));
            }
            beside.subsets = subsets.filter(|subsets| !subsets.selectors.is_empty());
            let (policy, slow_start) = older_policy(lb_policy, lb_config, &beside.hashing, at)?;
            (policy, Beside { slow_start, ..beside })
        }
    };
    let common = CommonLb {
        locality_weighted: beside.weighted,
        fail_traffic_on_panic: beside.fail_traffic_on_panic,
        zone_aware: beside.zone_aware,
        slow_start: beside.slow_start,
        client_side: beside.client_side,
        load_aware: beside.load_aware,
        out_of_band: beside.out_of_band,
        override_host: beside.override_host,
        subsets: beside.subsets,
        ..common
    };
    Some((policy, common))
}

fn default_common() -> CommonLb {
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

fn common_lb(message: v3::cluster::CommonLbConfig, at: &mut Scope<'_>) -> Option<(CommonLb, Beside)> {
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
    let default = default_common();
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

fn older_policy(
    lb_policy: i32,
    lb_config: Option<v3::cluster::LbConfig>,
    hashing: &ConsistentHashing,
    at: &mut Scope<'_>,
) -> Option<(LbPolicy, Option<SlowStart>)> {
    use v3::cluster::{LbConfig, LbPolicy as Policy};
    let policy = at.enumeration("lb_policy", lb_policy);
    match &lb_config {
        Some(LbConfig::RingHashLbConfig(_)) if policy != Policy::RingHash => {
            at.ignore("ring_hash_lb_config", OF_ANOTHER_POLICY);
        }
        Some(LbConfig::MaglevLbConfig(_)) if policy != Policy::Maglev => {
            at.ignore("maglev_lb_config", OF_ANOTHER_POLICY);
        }
        _ => {}
    }
    match policy {
        Policy::RoundRobin => Some((LbPolicy::RoundRobin, round_robin(lb_config, at))),
        Policy::LeastRequest => Some(least_request(lb_config, at)),
        Policy::Random => Some((LbPolicy::Random, None)),
        Policy::LoadBalancingPolicyConfig => {
            at.field("lb_policy").error("cluster: field load_balancing_policy need to be set");
            None
        }
        Policy::RingHash => hashing::ring_hash(lb_config, hashing.clone(), at).map(|policy| (policy, None)),
        Policy::Maglev => hashing::maglev(lb_config, hashing.clone(), at).map(|policy| (policy, None)),
        Policy::ClusterProvided => Some((LbPolicy::ClusterProvided, None)),
    }
}

fn round_robin(config: Option<v3::cluster::LbConfig>, at: &mut Scope<'_>) -> Option<SlowStart> {
    use v3::cluster::{LbConfig, RoundRobinLbConfig};
    let Some(LbConfig::RoundRobinLbConfig(message)) = config else { return None };
    let mut at = at.field("round_robin_lb_config");
    open! { at, RoundRobinLbConfig = message; implemented { slow_start_config } }
    at.message("slow_start_config", slow_start_config, SlowStart::from_proto).flatten()
}

fn least_request(config: Option<v3::cluster::LbConfig>, at: &mut Scope<'_>) -> (LbPolicy, Option<SlowStart>) {
    use v3::cluster::{LbConfig, LeastRequestLbConfig};
    let Some(LbConfig::LeastRequestLbConfig(message)) = config else {
        return (LbPolicy::LeastRequest(LeastRequest::default()), None);
    };
    let mut at = at.field("least_request_lb_config");
    open! { at, LeastRequestLbConfig = message;
        implemented { choice_count, active_request_bias, slow_start_config }
    }
    let policy = least_request_policy(choice_count, active_request_bias, &mut at);
    let slow_start = at.message("slow_start_config", slow_start_config, SlowStart::from_proto);
    (LbPolicy::LeastRequest(policy), slow_start.flatten())
}

fn least_request_policy(
    choice_count: Option<pb::UInt32Value>,
    active_request_bias: Option<core::RuntimeDouble>,
    at: &mut Scope<'_>,
) -> LeastRequest {
    let default = LeastRequest::default();
    let choice_count = at.within("choice_count", choice_count, 2..=u32::MAX);
    let bias = at.message("active_request_bias", active_request_bias, RuntimeDouble::from_proto);
    if let Some(RuntimeDouble { default_value, .. }) = &bias
        && default_value.is_nan()
    {
        at.field("active_request_bias").field("default_value").error("must be a number");
    }
    LeastRequest {
        choice_count: choice_count.unwrap_or(default.choice_count),
        active_request_bias: bias.unwrap_or(default.active_request_bias),
        full_scan: false,
    }
}
