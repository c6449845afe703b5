//! How a host is chosen: `lb_policy` with its settings, or `load_balancing_policy`.

mod client_side;
mod common;
mod holding;
mod least_request;
mod load_aware;
mod older;
mod out_of_band;
mod override_host;
mod slow_start;
mod subset;
mod typed;
mod zone;

use envoy_types::pb::envoy::config::cluster::v3;

pub use client_side::ClientSideWeights;
pub use common::CommonLb;
pub use least_request::LeastRequest;
pub use load_aware::LoadAwareLocality;
pub use out_of_band::OutOfBand;
pub(super) use override_host::metadata_key;
pub use override_host::{HostSource, OverrideHost};
pub use slow_start::SlowStart;
pub use subset::{SelectorFallback, SubsetFallback, SubsetSelector, Subsets};
pub use zone::{LocalityBasis, ZoneAware};

use super::Cluster;
use super::hashing::{ConsistentHashing, Maglev, RingHash};
use crate::config::field::Scope;

/// How a host is chosen.
#[derive(Clone, Debug, PartialEq)]
pub enum LbPolicy {
    /// `ROUND_ROBIN`
    RoundRobin,
    /// `LEAST_REQUEST`
    LeastRequest(LeastRequest),
    /// `RANDOM`
    Random,
    /// `RING_HASH`
    RingHash(RingHash),
    /// `MAGLEV`
    Maglev(Maglev),
    /// `CLUSTER_PROVIDED`: as the kind of cluster has it.
    ClusterProvided,
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
    let (common, mut beside) = at.or_default("common_lb_config", common_lb_config, common::common_lb);
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
            let (policy, slow_start) = older::policy(lb_policy, lb_config, &beside.hashing, at)?;
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
