//! Policies that hold another: subsets, hosts that requests name, and localities. Which may hold which is Envoy's, but for
//! what is not supported.

use envoy_types::pb::envoy::extensions::load_balancing_policies as policies;
use envoy_types::pb::google::protobuf as pb;

use super::load_aware::Within;
use super::typed::{KNOWN, Read, first, plain};
use super::{Beside, ClientSideWeights, LbPolicy, LoadAwareLocality, OverrideHost, Subsets};
use crate::config::extension;
use crate::config::field::{Scope, open};

/// The policies that hold another.
pub(super) const SUBSET: &str = "envoy.extensions.load_balancing_policies.subset.v3.Subset";
pub(super) const OVERRIDE_HOST: &str =
    "envoy.extensions.load_balancing_policies.override_host.v3.OverrideHost";

/// The policy that leaves it to the kind of cluster.
pub(super) const CLUSTER_PROVIDED: &str =
    "envoy.extensions.load_balancing_policies.cluster_provided.v3.ClusterProvided";

/// The policies that look at what hosts report.
pub(super) const CLIENT_SIDE: &str = "envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin";
pub(super) const WRR_LOCALITY: &str = "envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality";
pub(super) const LOAD_AWARE: &str =
    "envoy.extensions.load_balancing_policies.load_aware_locality.v3.LoadAwareLocality";

/// Why there are no subsets within localities of which the load is known.
const NO_SUBSETS_WITHIN: &str = "localities of which the load is known are not divided into subsets";

/// Why a policy within another of its kind notes no host.
const NOTED_ONCE: &str = "selected_host_key of a policy within another of its kind is not supported";

/// Subsets, each balanced by a policy of its own.
pub(super) fn subset(any: pb::Any, at: &mut Scope<'_>) -> Read {
    let (subsets, within) = extension::read(any, at).and_then(|message| Subsets::from_typed(message, at))?;
    let mut at = at.field("subset_lb_policy");
    let read = |any: pb::Any, at: &mut Scope<'_>| match extension::contained_type(&any).as_str() {
        OVERRIDE_HOST => Some(named_in_vain(any, at, weighed)),
        _ => weighed(any, at),
    };
    let read = first(within, &mut at, read).unwrap_or_else(|names| {
        at.unsupported(format!(
            "cluster: didn't find a registered load balancer factory implementation for subset lb with names from [{names}]; \
             known: {KNOWN}, {OVERRIDE_HOST}, {CLIENT_SIDE}, {WRR_LOCALITY}"
        ));
        None
    });
    read.map(|(policy, beside)| (policy, Beside { subsets: Some(subsets), ..beside }))
}

/// Hosts that requests name, or else those of a policy beside.
pub(super) fn override_host(any: pb::Any, at: &mut Scope<'_>) -> Read {
    let (override_host, fallback) =
        extension::read(any, at).and_then(|message| OverrideHost::from_proto(message, at))?;
    let mut at = at.field("fallback_policy");
    let read = |any: pb::Any, at: &mut Scope<'_>| match extension::contained_type(&any).as_str() {
        OVERRIDE_HOST => Some(named_in_vain(any, at, behind_names)),
        _ => behind_names(any, at),
    };
    let read = first(fallback, &mut at, read).unwrap_or_else(|names| {
        at.unsupported(format!(
            "dynamic forwarding LB: didn't find a registered fallback load balancer factory with names from {names}; \
             known: {KNOWN}, {SUBSET}, {OVERRIDE_HOST}, {CLIENT_SIDE}, {WRR_LOCALITY}, {LOAD_AWARE}"
        ));
        None
    });
    let (policy, beside) = read?;
    if beside.override_host.is_some() {
        at.unsupported(NOTED_ONCE);
    }
    Some((policy, Beside { override_host: Some(override_host), ..beside }))
}

/// A policy for requests that name no host.
fn behind_names(any: pb::Any, at: &mut Scope<'_>) -> Option<Read> {
    match extension::contained_type(&any).as_str() {
        SUBSET => Some(subset(any, at)),
        LOAD_AWARE => Some(load_aware(any, at)),
        _ => weighed(any, at),
    }
}

/// Hosts that requests name, for a policy that another holds: as in Envoy, which finds no host by its name there, the policy
/// beside chooses, and all that is left is to note the host.
fn named_in_vain(
    any: pb::Any,
    at: &mut Scope<'_>,
    read: fn(pb::Any, &mut Scope<'_>) -> Option<Read>,
) -> Read {
    let (mut override_host, fallback) =
        extension::read(any, at).and_then(|message| OverrideHost::from_proto(message, at))?;
    override_host.sources.clear();
    let mut at = at.field("fallback_policy");
    let read = first(fallback, &mut at, read).unwrap_or_else(|names| {
        at.unsupported(format!(
            "dynamic forwarding LB: didn't find a registered fallback load balancer factory with names from {names}; \
             known: {KNOWN}, {CLIENT_SIDE}, {WRR_LOCALITY}"
        ));
        None
    });
    let (policy, beside) = read?;
    let override_host = override_host.selected_host_key.is_some().then_some(override_host);
    if beside.override_host.is_some() && override_host.is_some() {
        at.unsupported(NOTED_ONCE);
    }
    Some((policy, Beside { override_host: override_host.or(beside.override_host), ..beside }))
}

/// A policy that may weigh hosts by what they report; outer `None` where it is not known.
pub(super) fn weighed(any: pb::Any, at: &mut Scope<'_>) -> Option<Read> {
    match extension::contained_type(&any).as_str() {
        CLIENT_SIDE => Some(client_side(any, at)),
        WRR_LOCALITY => Some(wrr_locality(any, at)),
        _ => plain(any, at),
    }
}

/// Turns by weights that hosts report.
fn client_side(any: pb::Any, at: &mut Scope<'_>) -> Read {
    let message = extension::read(any, at)?;
    let (weights, slow_start, out_of_band) = ClientSideWeights::from_proto(message, at);
    let client_side = Some(Box::new(weights));
    let beside = Beside { client_side, slow_start, out_of_band, ..Beside::default() };
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

/// Localities by the load that their hosts report, and a policy within each.
pub(super) fn load_aware(any: pb::Any, at: &mut Scope<'_>) -> Read {
    let (config, within) =
        extension::read(any, at).and_then(|message| LoadAwareLocality::from_proto(message, at))?;
    let Within { endpoint_picking_policy, out_of_band } = within;
    let mut at = at.field("endpoint_picking_policy");
    let read = |any: pb::Any, at: &mut Scope<'_>| match extension::contained_type(&any).as_str() {
        OVERRIDE_HOST => Some(named_in_vain(any, at, within_localities)),
        LOAD_AWARE => {
            at.error("load_aware_locality cannot be its own endpoint_picking_policy");
            Some(None)
        }
        CLUSTER_PROVIDED => {
            at.error(
                "Unsupported endpoint picking policy for load_aware_locality: \
                 envoy.load_balancing_policies.cluster_provided.",
            );
            Some(None)
        }
        _ => within_localities(any, at),
    };
    let read = first(endpoint_picking_policy, &mut at, read).unwrap_or_else(|_| {
        at.unsupported(format!(
            "No supported endpoint picking policy. Known: {KNOWN}, {OVERRIDE_HOST}, {CLIENT_SIDE}, {WRR_LOCALITY}"
        ));
        None
    });
    let (policy, beside) = read?;
    // Each host has one stream, which the policy within may say more of.
    let out_of_band = beside.out_of_band.or(out_of_band);
    let load_aware = Some(Box::new(config));
    // A locality has no localities within, whose weights or zones could count; a hash leads to the hosts of all.
    let weighted = beside.weighted && policy.hashing().is_some();
    let Beside { client_side, slow_start, override_host, .. } = beside;
    let beside =
        Beside { load_aware, out_of_band, client_side, slow_start, override_host, ..Beside::default() };
    Some((policy, Beside { weighted, ..beside }))
}

/// A policy within localities of which the load is known.
fn within_localities(any: pb::Any, at: &mut Scope<'_>) -> Option<Read> {
    if extension::contained_type(&any) == SUBSET {
        at.unsupported(NO_SUBSETS_WITHIN);
        return Some(None);
    }
    weighed(any, at)
}
