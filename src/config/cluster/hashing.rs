//! `RING_HASH` and `MAGLEV` with their settings.

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::extensions::load_balancing_policies as policies;
use envoy_types::pb::google::protobuf as pb;

use super::{Discovery, LbPolicy};
use crate::config::field::{Scope, open};
use crate::config::route::HashPolicy;

/// Points of a ring at least when nothing else is configured.
const DEFAULT_MINIMUM_RING_SIZE: u32 = 1024;

/// Points of a ring at most, by default and ever.
const MAXIMUM_RING_SIZE: u32 = 8 * 1024 * 1024;

/// Entries of a table when nothing else is configured.
const DEFAULT_TABLE_SIZE: u32 = 65_537;

/// Entries of a table at most.
const MAXIMUM_TABLE_SIZE: u32 = 5_000_011;

/// A factor below this would leave no room for the requests that there are.
const MINIMUM_BALANCE_FACTOR: u32 = 100;

/// `envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash`, or `Cluster.RingHashLbConfig`
#[derive(Clone, Debug, PartialEq)]
pub struct RingHash {
    /// Points of the ring at least; 1,024 by default.
    pub minimum_ring_size: u32,
    /// Points of the ring at most; 8,388,608 by default.
    pub maximum_ring_size: u32,
    /// What places hosts on the ring.
    pub hash_function: HashFunction,
    /// What it has in common with `MAGLEV`.
    pub hashing: ConsistentHashing,
}

/// `RingHashLbConfig.HashFunction`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashFunction {
    /// `XX_HASH`
    #[default]
    XxHash,
    /// `MURMUR_HASH_2`
    MurmurHash2,
}

/// `envoy.extensions.load_balancing_policies.maglev.v3.Maglev`, or `Cluster.MaglevLbConfig`
#[derive(Clone, Debug, PartialEq)]
pub struct Maglev {
    /// Entries of the table, a prime; 65,537 by default.
    pub table_size: u32,
    /// What it has in common with `RING_HASH`.
    pub hashing: ConsistentHashing,
}

/// `CommonLbConfig.ConsistentHashingLbConfig`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConsistentHashing {
    /// Hosts are placed by their names, not by their addresses.
    pub use_hostname_for_hashing: bool,
    /// What of a request is hashed; the route says it where this is empty.
    pub hash_policy: Vec<HashPolicy>,
    /// Percent of its share of the requests in flight that a host may have at most, 100 or more; `None` for no limit.
    pub hash_balance_factor: Option<u32>,
}

impl LbPolicy {
    /// What the policies that choose by hash have in common; `None` of others.
    pub fn hashing(&self) -> Option<&ConsistentHashing> {
        match self {
            LbPolicy::RingHash(config) => Some(&config.hashing),
            LbPolicy::Maglev(config) => Some(&config.hashing),
            LbPolicy::RoundRobin
            | LbPolicy::LeastRequest(_)
            | LbPolicy::Random
            | LbPolicy::ClusterProvided => None,
        }
    }
}

/// Names place the hosts of `STRICT_DNS` clusters only, as in Envoy; the extensions may have them everywhere.
pub(super) fn check_names(
    common: Option<&v3::cluster::CommonLbConfig>,
    discovery: Option<&Discovery>,
    at: &mut Scope<'_>,
) {
    let hashing = common.and_then(|common| common.consistent_hashing_lb_config.as_ref());
    let kind = match discovery {
        Some(Discovery::Static(_)) => "static",
        Some(Discovery::LogicalDns(..)) => "logical_dns",
        Some(Discovery::Eds { .. }) => "eds",
        Some(
            Discovery::StrictDns(..)
            | Discovery::OriginalDst(_)
            | Discovery::Aggregate(_)
            | Discovery::Composite(_)
            | Discovery::DynamicForwardProxy(_)
            | Discovery::SubClusters(_),
        )
        | None => return,
    };
    if hashing.is_some_and(|hashing| hashing.use_hostname_for_hashing) {
        at.error(format!(
            "Cannot use hostname for consistent hashing loadbalancing for cluster of type: 'envoy.cluster.{kind}'"
        ));
    }
}

/// `common_lb_config.consistent_hashing_lb_config`
pub(super) fn common(
    message: v3::cluster::common_lb_config::ConsistentHashingLbConfig,
    at: &mut Scope<'_>,
) -> Option<ConsistentHashing> {
    use v3::cluster::common_lb_config::ConsistentHashingLbConfig;
    open! { at, ConsistentHashingLbConfig = message;
        implemented { use_hostname_for_hashing, hash_balance_factor }
    }
    let hash_balance_factor = balance_factor(hash_balance_factor, at);
    Some(ConsistentHashing { use_hostname_for_hashing, hash_policy: Vec::new(), hash_balance_factor })
}

/// `lb_policy: RING_HASH`
pub(super) fn ring_hash(
    config: Option<v3::cluster::LbConfig>,
    hashing: ConsistentHashing,
    at: &mut Scope<'_>,
) -> Option<LbPolicy> {
    use v3::cluster::ring_hash_lb_config::HashFunction as Function;
    use v3::cluster::{LbConfig, RingHashLbConfig};
    let message = match config {
        Some(LbConfig::RingHashLbConfig(message)) => message,
        _ => RingHashLbConfig::default(),
    };
    let mut at = at.field("ring_hash_lb_config");
    open! { at, RingHashLbConfig = message;
        implemented { minimum_ring_size, maximum_ring_size, hash_function }
    }
    let hash_function = match at.enumeration("hash_function", hash_function) {
        Function::XxHash => HashFunction::XxHash,
        Function::MurmurHash2 => HashFunction::MurmurHash2,
    };
    ring([minimum_ring_size.map(size), maximum_ring_size.map(size)], hash_function, hashing, &mut at)
}

/// `lb_policy: MAGLEV`
pub(super) fn maglev(
    config: Option<v3::cluster::LbConfig>,
    hashing: ConsistentHashing,
    at: &mut Scope<'_>,
) -> Option<LbPolicy> {
    use v3::cluster::{LbConfig, MaglevLbConfig};
    let message = match config {
        Some(LbConfig::MaglevLbConfig(message)) => message,
        _ => MaglevLbConfig::default(),
    };
    let mut at = at.field("maglev_lb_config");
    open! { at, MaglevLbConfig = message; implemented { table_size } }
    table(table_size.map(size), hashing, &mut at)
}

/// The extension, and whether localities count by their weights.
pub(super) fn typed_ring_hash(
    message: policies::ring_hash::v3::RingHash,
    at: &mut Scope<'_>,
) -> Option<(LbPolicy, bool)> {
    use policies::ring_hash::v3::{RingHash, ring_hash::HashFunction as Function};
    open! { at, RingHash = message;
        implemented {
            minimum_ring_size, maximum_ring_size, hash_function, use_hostname_for_hashing,
            consistent_hashing_lb_config, locality_weighted_lb_config, hash_balance_factor,
        }
    }
    let hash_function = match at.enumeration("hash_function", hash_function) {
        Function::DefaultHash | Function::XxHash => HashFunction::XxHash,
        Function::MurmurHash2 => HashFunction::MurmurHash2,
    };
    let hashing = at.message("consistent_hashing_lb_config", consistent_hashing_lb_config, typed_common);
    let hash_balance_factor = balance_factor(hash_balance_factor, at);
    let older = ConsistentHashing { use_hostname_for_hashing, hash_policy: Vec::new(), hash_balance_factor };
    let hashing = hashing.unwrap_or(older);
    let sizes = [minimum_ring_size.map(size), maximum_ring_size.map(size)];
    let by_locality = by_locality(locality_weighted_lb_config, at);
    Some((ring(sizes, hash_function, hashing, at)?, by_locality))
}

/// The extension, and whether localities count by their weights.
pub(super) fn typed_maglev(
    message: policies::maglev::v3::Maglev,
    at: &mut Scope<'_>,
) -> Option<(LbPolicy, bool)> {
    use policies::maglev::v3::Maglev;
    open! { at, Maglev = message;
        implemented { table_size, consistent_hashing_lb_config, locality_weighted_lb_config }
    }
    let hashing = at.message("consistent_hashing_lb_config", consistent_hashing_lb_config, typed_common);
    let policy = table(table_size.map(size), hashing.unwrap_or_default(), at)?;
    Some((policy, by_locality(locality_weighted_lb_config, at)))
}

fn by_locality(
    message: Option<policies::common::v3::locality_lb_config::LocalityWeightedLbConfig>,
    at: &mut Scope<'_>,
) -> bool {
    use policies::common::v3::locality_lb_config::LocalityWeightedLbConfig;
    let opened = at.message("locality_weighted_lb_config", message, |message, at| {
        open! { at, LocalityWeightedLbConfig = message; implemented {} }
        Some(())
    });
    opened.is_some()
}

fn typed_common(
    message: policies::common::v3::ConsistentHashingLbConfig,
    at: &mut Scope<'_>,
) -> Option<ConsistentHashing> {
    use policies::common::v3::ConsistentHashingLbConfig;
    open! { at, ConsistentHashingLbConfig = message;
        implemented { use_hostname_for_hashing, hash_policy, hash_balance_factor }
    }
    let hash_policy = at.list("hash_policy", hash_policy, HashPolicy::from_proto);
    let hash_balance_factor = balance_factor(hash_balance_factor, at);
    Some(ConsistentHashing { use_hostname_for_hashing, hash_policy, hash_balance_factor })
}

fn balance_factor(value: Option<pb::UInt32Value>, at: &mut Scope<'_>) -> Option<u32> {
    at.within("hash_balance_factor", value, MINIMUM_BALANCE_FACTOR..=u32::MAX)
}

fn size(value: pb::UInt64Value) -> u64 {
    value.value
}

/// A size that must not be greater than this.
fn bounded(name: &str, value: Option<u64>, max: u32, at: &mut Scope<'_>) -> Option<u32> {
    let value = value?;
    let bounded = u32::try_from(value).ok().filter(|value| *value <= max);
    if bounded.is_none() {
        at.field(name).violation(format!("value must be less than or equal to {max}"));
    }
    bounded
}

fn ring(
    [minimum, maximum]: [Option<u64>; 2],
    hash_function: HashFunction,
    hashing: ConsistentHashing,
    at: &mut Scope<'_>,
) -> Option<LbPolicy> {
    let minimum = bounded("minimum_ring_size", minimum, MAXIMUM_RING_SIZE, at);
    let maximum = bounded("maximum_ring_size", maximum, MAXIMUM_RING_SIZE, at);
    let minimum_ring_size = minimum.unwrap_or(DEFAULT_MINIMUM_RING_SIZE);
    let maximum_ring_size = maximum.unwrap_or(MAXIMUM_RING_SIZE);
    if minimum_ring_size > maximum_ring_size {
        at.error(format!(
            "ring hash: minimum_ring_size ({minimum_ring_size}) > maximum_ring_size ({maximum_ring_size})"
        ));
        return None;
    }
    Some(LbPolicy::RingHash(RingHash { minimum_ring_size, maximum_ring_size, hash_function, hashing }))
}

fn table(size: Option<u64>, hashing: ConsistentHashing, at: &mut Scope<'_>) -> Option<LbPolicy> {
    let table_size = bounded("table_size", size, MAXIMUM_TABLE_SIZE, at).unwrap_or(DEFAULT_TABLE_SIZE);
    if !is_prime(table_size) {
        at.field("table_size").error("The table size of maglev must be prime number");
        return None;
    }
    Some(LbPolicy::Maglev(Maglev { table_size, hashing }))
}

fn is_prime(number: u32) -> bool {
    let divides = |divisor: &u32| number.is_multiple_of(*divisor);
    number > 1 && !(2..).take_while(|divisor| divisor * divisor <= number).any(|divisor| divides(&divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_told_from_other_numbers() {
        for prime in [2, 3, 5, 7, 65_537, 5_000_011] {
            assert!(is_prime(prime), "{prime}");
        }
        for other in [0, 1, 4, 9, 65_536, 5_000_009] {
            assert!(!is_prime(other), "{other}");
        }
    }
}
