//! `load_balancing_policy`: the first policy of the list that is known, as Envoy chooses it.

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::extensions::load_balancing_policies as policies;
use envoy_types::pb::google::protobuf as pb;

use super::{
    Beside, ClientSideWeights, LbPolicy, OverrideHost, SlowStart, Subsets, ZoneAware, hashing,
    least_request_policy,
};
use crate::config::extension;
use crate::config::field::{Scope, open};

/// The policies that are known and hold no other.
const KNOWN: &str = "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin, \
    envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest, \
    envoy.extensions.load_balancing_policies.random.v3.Random, \
    envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash, \
    envoy.extensions.load_balancing_policies.maglev.v3.Maglev";

/// The policies that hold another.
const SUBSET: &str = "envoy.extensions.load_balancing_policies.subset.v3.Subset";
const OVERRIDE_HOST: &str = "envoy.extensions.load_balancing_policies.override_host.v3.OverrideHost";

/// The policy that leaves it to the kind of cluster.
const CLUSTER_PROVIDED: &str = "envoy.extensions.load_balancing_policies.cluster_provided.v3.ClusterProvided";

/// The policies that weigh hosts by what they report: not within subsets.
const CLIENT_SIDE: &str = "envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin";
const WRR_LOCALITY: &str = "envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality";

/// What a policy comes to; `None` after an error.
type Read = Option<(LbPolicy, Beside)>;

/// The policy of a cluster.
pub(super) fn policy(cluster: &str, message: v3::LoadBalancingPolicy, at: &mut Scope<'_>) -> Read {
    let read = |any: pb::Any, at: &mut Scope<'_>| match extension::contained_type(&any).as_str() {
        SUBSET => Some(subset(any, at)),
        OVERRIDE_HOST => Some(override_host(any, at)),
        CLUSTER_PROVIDED => Some(cluster_provided(any, at)),
        _ => weighed(any, at),
    };
    first(message, at, read).unwrap_or_else(|names| {
        at.unsupported(format!(
            "cluster: didn't find a registered load balancer factory implementation for cluster: '{cluster}' with names from [{names}]; \
             known: {KNOWN}, {SUBSET}, {OVERRIDE_HOST}, {CLIENT_SIDE}, {WRR_LOCALITY}, {CLUSTER_PROVIDED}"
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

/// Subsets, each balanced by a policy of its own.
fn subset(any: pb::Any, at: &mut Scope<'_>) -> Read {
    let (subsets, within) = extension::read(any, at).and_then(|message| Subsets::from_typed(message, at))?;
    let mut at = at.field("subset_lb_policy");
    let read = first(within, &mut at, plain).unwrap_or_else(|names| {
        at.unsupported(format!(
            "cluster: didn't find a registered load balancer factory implementation for subset lb with names from [{names}]; \
             known: {KNOWN}"
        ));
        None
    });
    read.map(|(policy, beside)| (policy, Beside { subsets: Some(subsets), ..beside }))
}

/// Hosts that requests name, or else those of a policy beside.
fn override_host(any: pb::Any, at: &mut Scope<'_>) -> Read {
    let (override_host, fallback) =
        extension::read(any, at).and_then(|message| OverrideHost::from_proto(message, at))?;
    let mut at = at.field("fallback_policy");
    let read = |any: pb::Any, at: &mut Scope<'_>| match extension::contained_type(&any) == SUBSET {
        true => Some(subset(any, at)),
        false => weighed(any, at),
    };
    let read = first(fallback, &mut at, read).unwrap_or_else(|names| {
        at.unsupported(format!(
            "dynamic forwarding LB: didn't find a registered fallback load balancer factory with names from {names}; \
             known: {KNOWN}, {SUBSET}, {CLIENT_SIDE}, {WRR_LOCALITY}"
        ));
        None
    });
    read.map(|(policy, beside)| (policy, Beside { override_host: Some(override_host), ..beside }))
}

/// What `read` makes of the first policy that it knows; the names of all where it knows none.
fn first(
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

/// A policy that may weigh hosts by what they report; outer `None` where it is not known.
fn weighed(any: pb::Any, at: &mut Scope<'_>) -> Option<Read> {
    match extension::contained_type(&any).as_str() {
        CLIENT_SIDE => Some(client_side(any, at)),
        WRR_LOCALITY => Some(wrr_locality(any, at)),
        _ => plain(any, at),
    }
}

/// Turns by weights that hosts report.
fn client_side(any: pb::Any, at: &mut Scope<'_>) -> Read {
    let message = extension::read(any, at)?;
    let (weights, slow_start) = ClientSideWeights::from_proto(message, at);
    let beside = Beside { client_side: Some(Box::new(weights)), slow_start, ..Beside::default() };
    Some((LbPolicy::RoundRobin, beside))
}

/// The same within localities, which are chosen by their own weights.
fn wrr_locality(any: pb::Any, at: &mut Scope<'_>) -> Read {
    use policies::wrr_locality::v3::WrrLocality;
    let message = extension::read::<WrrLocality>(any, at)?;
    open! { at, WrrLocality = message; implemented { endpoint_picking_policy } }
    let within = at.required("endpoint_picking_policy", endpoint_picking_policy)?;
    let mut at = at.field("endpoint_picking_policy");
    let others = [SUBSET, OVERRIDE_HOST, WRR_LOCALITY, CLUSTER_PROVIDED];
    let read = |any: pb::Any, at: &mut Scope<'_>| match extension::contained_type(&any).as_str() {
        CLIENT_SIDE => Some(client_side(any, at)),
        name if KNOWN.split(", ").chain(others).any(|known| known == name) => {
            at.error(
                "Currently WrrLocalityLoadBalancer only supports ClientSideWeightedRoundRobinLoadBalancer \
                 as its endpoint picking policy.",
            );
            Some(None)
        }
        _ => None,
    };
    let read = first(within, &mut at, read).unwrap_or_else(|_| {
        at.unsupported(format!("No supported endpoint picking policy. Known: {CLIENT_SIDE}"));
        None
    });
    read.map(|(policy, beside)| (policy, Beside { weighted: true, ..beside }))
}

/// A policy that holds no other; outer `None` where it is not known.
fn plain(any: pb::Any, at: &mut Scope<'_>) -> Option<Read> {
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
        ..least_request_policy(choice_count, active_request_bias, at)
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
