//! Policies by `lb_policy`, with the settings of each in `lb_config`.

use envoy_types::pb::envoy::config::cluster::v3;

use super::{LbPolicy, LeastRequest, SlowStart};
use crate::config::cluster::hashing::{self, ConsistentHashing};
use crate::config::field::{Scope, open};

/// Why settings of another policy than the one chosen change nothing, as in Envoy.
const OF_ANOTHER_POLICY: &str = "it concerns another lb_policy than the one chosen";

/// The policy, and how it lets new hosts in.
pub(super) fn policy(
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
    let policy = LeastRequest::from_fields(choice_count, active_request_bias, &mut at);
    let slow_start = at.message("slow_start_config", slow_start_config, SlowStart::from_proto);
    (LbPolicy::LeastRequest(policy), slow_start.flatten())
}
