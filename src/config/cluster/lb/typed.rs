//! `load_balancing_policy`: the first policy of the list that is known, as Envoy chooses it.

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::extensions::load_balancing_policies as policies;
use envoy_types::pb::google::protobuf as pb;

use super::holding::{
    CLIENT_SIDE, CLUSTER_PROVIDED, LOAD_AWARE, OVERRIDE_HOST, SUBSET, WRR_LOCALITY, load_aware,
    override_host, subset, weighed,
};
use super::{Beside, LbPolicy, SlowStart, ZoneAware};
use crate::config::cluster::hashing;
use crate::config::extension;
use crate::config::field::{Scope, open};

/// The policies that are known and hold no other.
pub(super) const KNOWN: &str = "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin, \
    envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest, \
    envoy.extensions.load_balancing_policies.random.v3.Random, \
    envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash, \
    envoy.extensions.load_balancing_policies.maglev.v3.Maglev";

/// What a policy comes to; `None` after an error.
pub(super) type Read = Option<(LbPolicy, Beside)>;

/// The policy of a cluster.
pub(super) fn policy(cluster: &str, message: v3::LoadBalancingPolicy, at: &mut Scope<'_>) -> Read {
    let read = |any: pb::Any, at: &mut Scope<'_>| match extension::contained_type(&any).as_str() {
        SUBSET => Some(subset(any, at)),
        OVERRIDE_HOST => Some(override_host(any, at)),
        CLUSTER_PROVIDED => Some(cluster_provided(any, at)),
        LOAD_AWARE => Some(load_aware(any, at)),
        _ => weighed(any, at),
    };
    first(message, at, read).unwrap_or_else(|names| {
        at.unsupported(format!(
            "cluster: didn't find a registered load balancer factory implementation for cluster: '{cluster}' with names from [{names}]; \
             known: {KNOWN}, {SUBSET}, {OVERRIDE_HOST}, {CLIENT_SIDE}, {WRR_LOCALITY}, {LOAD_AWARE}, {CLUSTER_PROVIDED}"
        ));
        None
    })
}

/// As the kind of cluster has it.
fn cluster_provided(any: pb::Any, at: &mut Scope<'_>) -> Read {
    use policies::cluster_provided::v3::ClusterProvided;
    let message = extension::read::<ClusterProvided>(any, at)?;
    open! { at, ClusterProvided = message; implemented {} }
    Some((LbPolicy::ClusterProvided, Beside::default()))
}

/// What `read` makes of the first policy that it knows; the names of all where it knows none.
pub(super) fn first(
    message: v3::LoadBalancingPolicy,
    at: &mut Scope<'_>,
    read: impl Fn(pb::Any, &mut Scope<'_>) -> Option<Read>,
) -> Result<Read, String> {
    open! { at, v3::LoadBalancingPolicy = message; implemented { policies } }
    let mut names = Vec::new();
    for (index, policy) in policies.into_iter().enumerate() {
        let mut at = at.index("policies", index);
        open! { at, v3::load_balancing_policy::Policy = policy; implemented { typed_extension_config } }
        let Some(config) = at.required("typed_extension_config", typed_extension_config) else {
            return Ok(None);
        };
        let mut at = at.field("typed_extension_config");
        open! { at, TypedExtensionConfig = config; implemented { name, typed_config } }
        let Some(any) = at.required("typed_config", typed_config) else { return Ok(None) };
        match read(any, &mut at.field("typed_config")) {
            Some(known) => return Ok(known),
            None => names.push(name),
        }
    }
    Err(names.join(", "))
}

/// A policy that holds no other; outer `None` where it is not known.
pub(super) fn plain(any: pb::Any, at: &mut Scope<'_>) -> Option<Read> {
    Some(match extension::contained_type(&any).as_str() {
        "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin" => {
            extension::read(any, at).map(|message| round_robin(message, at))
        }
        "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest" => {
            extension::read(any, at).map(|message| least_request(message, at))
        }
        "envoy.extensions.load_balancing_policies.random.v3.Random" => {
            extension::read(any, at).map(|message| random(message, at))
        }
        "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash" => extension::read(any, at)
            .and_then(|message| hashing::typed_ring_hash(message, at))
            .map(by_locality),
        "envoy.extensions.load_balancing_policies.maglev.v3.Maglev" => {
            extension::read(any, at).and_then(|message| hashing::typed_maglev(message, at)).map(by_locality)
        }
        _ => return None,
    })
}

/// Of a policy that says of localities only whether their weights count.
fn by_locality((policy, weighted): (LbPolicy, bool)) -> (LbPolicy, Beside) {
    (policy, Beside { weighted, ..Beside::default() })
}

fn round_robin(message: policies::round_robin::v3::RoundRobin, at: &mut Scope<'_>) -> (LbPolicy, Beside) {
    use policies::round_robin::v3::RoundRobin;
    open! { at, RoundRobin = message; implemented { locality_lb_config, slow_start_config } }
    let slow_start = at.message("slow_start_config", slow_start_config, SlowStart::from_typed).flatten();
    (LbPolicy::RoundRobin, Beside { slow_start, ..locality(locality_lb_config, at) })
}

fn least_request(
    message: policies::least_request::v3::LeastRequest,
    at: &mut Scope<'_>,
) -> (LbPolicy, Beside) {
    use policies::least_request::v3::LeastRequest;
    use policies::least_request::v3::least_request::SelectionMethod;
    open! { at, LeastRequest = message;
        implemented {
            choice_count, active_request_bias, locality_lb_config, slow_start_config, selection_method,
        }
        ignored { enable_full_scan: "as in Envoy it has no effect; selection_method says it" }
    }
    let policy = super::LeastRequest {
        full_scan: at.enumeration::<SelectionMethod>("selection_method", selection_method)
            == SelectionMethod::FullScan,
        ..super::LeastRequest::from_fields(choice_count, active_request_bias, at)
    };
    let slow_start = at.message("slow_start_config", slow_start_config, SlowStart::from_typed).flatten();
    (LbPolicy::LeastRequest(policy), Beside { slow_start, ..locality(locality_lb_config, at) })
}

fn random(message: policies::random::v3::Random, at: &mut Scope<'_>) -> (LbPolicy, Beside) {
    use policies::random::v3::Random;
    open! { at, Random = message; implemented { locality_lb_config } }
    (LbPolicy::Random, locality(locality_lb_config, at))
}

fn locality(message: Option<policies::common::v3::LocalityLbConfig>, at: &mut Scope<'_>) -> Beside {
    use policies::common::v3::locality_lb_config::LocalityConfigSpecifier as Specifier;
    use policies::common::v3::{LocalityLbConfig, locality_lb_config};
    let Some(message) = message else { return Beside::default() };
    let mut at = at.field("locality_lb_config");
    open! { at, LocalityLbConfig = message; implemented { locality_config_specifier } }
    let Some(specifier) = at.required("locality_config_specifier", locality_config_specifier) else {
        return Beside::default();
    };
    match specifier {
        Specifier::LocalityWeightedLbConfig(message) => {
            open! { at, locality_lb_config::LocalityWeightedLbConfig = message; implemented {} }
            Beside { weighted: true, ..Beside::default() }
        }
        Specifier::ZoneAwareLbConfig(message) => {
            let (zone_aware, fail_traffic_on_panic) =
                ZoneAware::from_typed(message, &mut at.field("zone_aware_lb_config"));
            Beside { zone_aware, fail_traffic_on_panic, ..Beside::default() }
        }
    }
}
