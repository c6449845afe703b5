//! How a host is chosen: `lb_policy` with its settings, or `load_balancing_policy`.

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::config::core::v3::{RuntimeDouble, TypedExtensionConfig};
use envoy_types::pb::envoy::extensions::load_balancing_policies as policies;
use envoy_types::pb::google::protobuf as pb;

use super::hashing::{self, ConsistentHashing};
use super::{CommonLb, LbPolicy};
use crate::config::endpoint::DEFAULT_OVERPROVISIONING_FACTOR;
use crate::config::extension;
use crate::config::field::{Scope, open};

/// Percent of healthy hosts below which health is disregarded when nothing else is configured.
const DEFAULT_HEALTHY_PANIC_THRESHOLD: f64 = 50.0;

/// Hosts compared when nothing else is configured.
const DEFAULT_CHOICE_COUNT: u32 = 2;

/// Exponent of active requests when nothing else is configured.
const DEFAULT_ACTIVE_REQUEST_BIAS: f64 = 1.0;

/// Why slow start is refused.
const NO_SLOW_START: &str = "new hosts get their whole share at once";

/// Why settings of zone aware routing are refused.
const NOT_ZONE_AWARE: &str =
    "localities are chosen by their weights or not at all, never by the proxy's own zone";

/// Why settings of another policy than the one chosen change nothing, as in Envoy.
const OF_ANOTHER_POLICY: &str = "it concerns another lb_policy than the one chosen";

/// What a policy says of localities.
#[derive(Default)]
struct Locality {
    weighted: bool,
    fail_traffic_on_panic: bool,
    set: bool,
    hashing: ConsistentHashing,
}

/// The policy and the settings common to all.
pub(super) fn from_proto(
    cluster: &str,
    lb_policy: i32,
    lb_config: Option<v3::cluster::LbConfig>,
    load_balancing_policy: Option<v3::LoadBalancingPolicy>,
    common_lb_config: Option<v3::cluster::CommonLbConfig>,
    at: &mut Scope<'_>,
) -> Option<(LbPolicy, CommonLb)> {
    let (mut common, locality) = at
        .message("common_lb_config", common_lb_config, common_lb)
        .unwrap_or_else(|| (default_common(), Locality::default()));
    let (policy, locality) = match load_balancing_policy {
        // As in Envoy it takes the place of all the older fields.
        Some(message) => {
            if locality.set {
                at.field("load_balancing_policy").error(
                    "cluster: load_balancing_policy cannot be combined with partial fields \
                     (zone_aware_lb_config, locality_weighted_lb_config, consistent_hashing_lb_config) of common_lb_config",
                );
            }
            at.message("load_balancing_policy", Some(message), |message, at| {
                typed_policy(cluster, message, at)
            })?
        }
        None => (older_policy(lb_policy, lb_config, &locality.hashing, at)?, locality),
    };
    common.locality_weighted = locality.weighted;
    common.fail_traffic_on_panic = locality.fail_traffic_on_panic;
    Some((policy, common))
}

fn default_common() -> CommonLb {
    CommonLb {
        healthy_panic_threshold: DEFAULT_HEALTHY_PANIC_THRESHOLD,
        fail_traffic_on_panic: false,
        locality_weighted: false,
        overprovisioning_factor: DEFAULT_OVERPROVISIONING_FACTOR,
    }
}

fn common_lb(message: v3::cluster::CommonLbConfig, at: &mut Scope<'_>) -> Option<(CommonLb, Locality)> {
    use v3::cluster::CommonLbConfig;
    use v3::cluster::common_lb_config::{LocalityConfigSpecifier as Specifier, LocalityWeightedLbConfig};
    open! { at, CommonLbConfig = message;
        implemented {
            healthy_panic_threshold, update_merge_window, locality_config_specifier,
            consistent_hashing_lb_config,
        }
        rejected {
            close_connections_on_host_set_change: "connections stay when other hosts change",
            override_host_status: "no extension that is served chooses hosts",
        }
        ignored {
            ignore_new_hosts_until_first_hc: "it concerns active health checks, and those are rejected",
        }
    }
    // As in Envoy zero means that updates are in force at once.
    if at.duration("update_merge_window", update_merge_window).is_some_and(|window| !window.is_zero()) {
        at.reject(
            "update_merge_window",
            "updates of hosts are in force at once; leave it out or set it to 0s",
        );
    }
    let default = default_common();
    let common = CommonLb {
        healthy_panic_threshold: at
            .percent("healthy_panic_threshold", healthy_panic_threshold)
            .unwrap_or(default.healthy_panic_threshold),
        ..default
    };
    let mut locality = match locality_config_specifier {
        None => Locality::default(),
        Some(Specifier::LocalityWeightedLbConfig(message)) => {
            open! { at, LocalityWeightedLbConfig = message; implemented {} }
            Locality { weighted: true, set: true, ..Locality::default() }
        }
        Some(Specifier::ZoneAwareLbConfig(zone)) => {
            let fail_traffic_on_panic = zone_aware(zone, &mut at.field("zone_aware_lb_config"));
            Locality { fail_traffic_on_panic, set: true, ..Locality::default() }
        }
    };
    locality.set |= consistent_hashing_lb_config.is_some();
    let hashing = at.message("consistent_hashing_lb_config", consistent_hashing_lb_config, hashing::common);
    locality.hashing = hashing.unwrap_or_default();
    Some((common, locality))
}

fn zone_aware(message: v3::cluster::common_lb_config::ZoneAwareLbConfig, at: &mut Scope<'_>) -> bool {
    use v3::cluster::common_lb_config::ZoneAwareLbConfig;
    open! { at, ZoneAwareLbConfig = message;
        implemented { fail_traffic_on_panic }
        rejected { routing_enabled: NOT_ZONE_AWARE, min_cluster_size: NOT_ZONE_AWARE }
    }
    fail_traffic_on_panic
}

fn older_policy(
    lb_policy: i32,
    lb_config: Option<v3::cluster::LbConfig>,
    hashing: &ConsistentHashing,
    at: &mut Scope<'_>,
) -> Option<LbPolicy> {
    use v3::cluster::{LbConfig, LbPolicy as Policy};
    let policy = at.enumeration("lb_policy", lb_policy);
    match &lb_config {
        Some(LbConfig::RingHashLbConfig(_)) if policy != Policy::RingHash => {
            at.ignore("ring_hash_lb_config", OF_ANOTHER_POLICY);
        }
        Some(LbConfig::MaglevLbConfig(_)) if policy != Policy::Maglev => {
            at.ignore("maglev_lb_config", OF_ANOTHER_POLICY);
        }
        Some(LbConfig::OriginalDstLbConfig(_)) => at.ignore("original_dst_lb_config", OF_ANOTHER_POLICY),
        _ => {}
    }
    match policy {
        Policy::RoundRobin => Some(round_robin(lb_config, at)),
        Policy::LeastRequest => least_request(lb_config, at),
        Policy::Random => Some(LbPolicy::Random),
        Policy::LoadBalancingPolicyConfig => {
            at.field("lb_policy").error("cluster: field load_balancing_policy need to be set");
            None
        }
        Policy::RingHash => hashing::ring_hash(lb_config, hashing.clone(), at),
        Policy::Maglev => hashing::maglev(lb_config, hashing.clone(), at),
        Policy::ClusterProvided => {
            at.reject("lb_policy", "ROUND_ROBIN, LEAST_REQUEST, RANDOM, RING_HASH and MAGLEV are served");
            None
        }
    }
}

fn round_robin(config: Option<v3::cluster::LbConfig>, at: &mut Scope<'_>) -> LbPolicy {
    use v3::cluster::{LbConfig, RoundRobinLbConfig};
    if let Some(LbConfig::RoundRobinLbConfig(message)) = config {
        let mut at = at.field("round_robin_lb_config");
        open! { at, RoundRobinLbConfig = message; implemented {} rejected { slow_start_config: NO_SLOW_START } }
    }
    LbPolicy::RoundRobin
}

fn least_request(config: Option<v3::cluster::LbConfig>, at: &mut Scope<'_>) -> Option<LbPolicy> {
    use v3::cluster::{LbConfig, LeastRequestLbConfig};
    let Some(LbConfig::LeastRequestLbConfig(message)) = config else {
        return least_request_policy(None, None, at);
    };
    let mut at = at.field("least_request_lb_config");
    open! { at, LeastRequestLbConfig = message;
        implemented { choice_count, active_request_bias }
        rejected { slow_start_config: NO_SLOW_START }
    }
    least_request_policy(choice_count, active_request_bias, &mut at)
}

fn least_request_policy(
    choice_count: Option<pb::UInt32Value>,
    active_request_bias: Option<RuntimeDouble>,
    at: &mut Scope<'_>,
) -> Option<LbPolicy> {
    let choice_count = at.within("choice_count", choice_count, 2..=u32::MAX).unwrap_or(DEFAULT_CHOICE_COUNT);
    let active_request_bias = at.message("active_request_bias", active_request_bias, bias);
    Some(LbPolicy::LeastRequest {
        choice_count,
        active_request_bias: active_request_bias.unwrap_or(DEFAULT_ACTIVE_REQUEST_BIAS),
    })
}

fn bias(message: RuntimeDouble, at: &mut Scope<'_>) -> Option<f64> {
    open! { at, RuntimeDouble = message;
        implemented { default_value }
        rejected { runtime_key: "the bias cannot be changed at run time" }
    }
    if default_value < 0.0 {
        at.error(format!(
            "LeastRequestLoadBalancer: invalid active request bias {default_value}, it must not be negative"
        ));
    }
    Some(default_value)
}

/// The first policy of the list that is known, as Envoy chooses it.
fn typed_policy(
    cluster: &str,
    message: v3::LoadBalancingPolicy,
    at: &mut Scope<'_>,
) -> Option<(LbPolicy, Locality)> {
    const KNOWN: &str = "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin, \
        envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest, \
        envoy.extensions.load_balancing_policies.random.v3.Random, \
        envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash, \
        envoy.extensions.load_balancing_policies.maglev.v3.Maglev";
    open! { at, v3::LoadBalancingPolicy = message; implemented { policies } }
    let mut names = Vec::new();
    for (index, policy) in policies.into_iter().enumerate() {
        let mut at = at.index("policies", index);
        open! { at, v3::load_balancing_policy::Policy = policy; implemented { typed_extension_config } }
        let config = at.required("typed_extension_config", typed_extension_config)?;
        let mut at = at.field("typed_extension_config");
        open! { at, TypedExtensionConfig = config; implemented { name, typed_config } }
        let any = at.required("typed_config", typed_config)?;
        let mut at = at.field("typed_config");
        match extension::contained_type(&any).as_str() {
            "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin" => {
                return extension::read(any, &mut at).and_then(|message| typed_round_robin(message, &mut at));
            }
            "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest" => {
                return extension::read(any, &mut at)
                    .and_then(|message| typed_least_request(message, &mut at));
            }
            "envoy.extensions.load_balancing_policies.random.v3.Random" => {
                return extension::read(any, &mut at).and_then(|message| typed_random(message, &mut at));
            }
            "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash" => {
                let message = extension::read(any, &mut at)?;
                return hashing::typed_ring_hash(message, &mut at).map(by_locality);
            }
            "envoy.extensions.load_balancing_policies.maglev.v3.Maglev" => {
                let message = extension::read(any, &mut at)?;
                return hashing::typed_maglev(message, &mut at).map(by_locality);
            }
            _ => names.push(name),
        }
    }
    let names = names.join(", ");
    at.unsupported(format!(
        "cluster: didn't find a registered load balancer factory implementation for cluster: '{cluster}' with names from [{names}]; \
         known: {KNOWN}"
    ));
    None
}

/// Of a policy that says of localities only whether their weights count.
fn by_locality((policy, weighted): (LbPolicy, bool)) -> (LbPolicy, Locality) {
    (policy, Locality { weighted, ..Locality::default() })
}

fn typed_round_robin(
    message: policies::round_robin::v3::RoundRobin,
    at: &mut Scope<'_>,
) -> Option<(LbPolicy, Locality)> {
    use policies::round_robin::v3::RoundRobin;
    open! { at, RoundRobin = message;
        implemented { locality_lb_config }
        rejected { slow_start_config: NO_SLOW_START }
    }
    Some((LbPolicy::RoundRobin, locality(locality_lb_config, at)))
}

fn typed_least_request(
    message: policies::least_request::v3::LeastRequest,
    at: &mut Scope<'_>,
) -> Option<(LbPolicy, Locality)> {
    use policies::least_request::v3::LeastRequest;
    open! { at, LeastRequest = message;
        implemented { choice_count, active_request_bias, locality_lb_config }
        rejected {
            slow_start_config: NO_SLOW_START,
            enable_full_scan: "hosts are compared by choice_count",
            selection_method: "hosts are compared by choice_count",
        }
    }
    let policy = least_request_policy(choice_count, active_request_bias, at)?;
    Some((policy, locality(locality_lb_config, at)))
}

fn typed_random(message: policies::random::v3::Random, at: &mut Scope<'_>) -> Option<(LbPolicy, Locality)> {
    use policies::random::v3::Random;
    open! { at, Random = message; implemented { locality_lb_config } }
    Some((LbPolicy::Random, locality(locality_lb_config, at)))
}

fn locality(message: Option<policies::common::v3::LocalityLbConfig>, at: &mut Scope<'_>) -> Locality {
    use policies::common::v3::locality_lb_config::LocalityConfigSpecifier as Specifier;
    use policies::common::v3::{LocalityLbConfig, locality_lb_config};
    let Some(message) = message else { return Locality::default() };
    let mut at = at.field("locality_lb_config");
    open! { at, LocalityLbConfig = message; implemented { locality_config_specifier } }
    let Some(specifier) = at.required("locality_config_specifier", locality_config_specifier) else {
        return Locality::default();
    };
    match specifier {
        Specifier::LocalityWeightedLbConfig(message) => {
            open! { at, locality_lb_config::LocalityWeightedLbConfig = message; implemented {} }
            Locality { weighted: true, set: true, ..Locality::default() }
        }
        Specifier::ZoneAwareLbConfig(message) => {
            let mut at = at.field("zone_aware_lb_config");
            open! { at, locality_lb_config::ZoneAwareLbConfig = message;
                implemented { fail_traffic_on_panic }
                rejected {
                    routing_enabled: NOT_ZONE_AWARE,
                    min_cluster_size: NOT_ZONE_AWARE,
                    force_locality_direct_routing: NOT_ZONE_AWARE,
                    force_local_zone: NOT_ZONE_AWARE,
                    locality_basis: NOT_ZONE_AWARE,
                }
            }
            Locality { fail_traffic_on_panic, set: true, ..Locality::default() }
        }
    }
}
