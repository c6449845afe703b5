//! Subsets of a cluster's hosts: `Cluster.lb_subset_config`, and
//! `envoy.extensions.load_balancing_policies.subset.v3.Subset`.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::config::cluster::v3::cluster::lb_subset_config as older;
use envoy_types::pb::envoy::extensions::load_balancing_policies::subset::v3 as typed;
use envoy_types::pb::google::protobuf as pb;

use crate::config::field::{Scope, open};
use crate::config::metadata::Labels;

/// Which subsets there are, and what a request gets that none of them is for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subsets {
    /// Hosts for requests that ask for none of the subsets, or for one without hosts.
    pub fallback_policy: SubsetFallback,
    /// What the metadata of hosts is that the default subset consists of.
    pub default_subset: Labels,
    /// Keys by whose values hosts are divided.
    pub selectors: Vec<SubsetSelector>,
    /// Requests may ask for more than the keys of a selector.
    pub allow_redundant_keys: bool,
    /// Localities count within subsets, too, where they are weighted.
    pub locality_weight_aware: bool,
    /// A locality's weight shrinks with its share of hosts that the subset has.
    pub scale_locality_weight: bool,
    /// Any host is used where falling back finds none.
    pub panic_mode_any: bool,
    /// A host whose value is a list is in the subsets of all its elements.
    pub list_as_any: bool,
    /// Requests may bring a list of what else to ask for: `FALLBACK_LIST`.
    pub metadata_fallback_list: bool,
}

/// `LbSubsetFallbackPolicy`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubsetFallback {
    /// No host: `NO_FALLBACK`
    #[default]
    None,
    /// `ANY_ENDPOINT`
    Any,
    /// `DEFAULT_SUBSET`
    Default,
}

/// `LbSubsetSelector`
#[derive(Clone, Debug, PartialEq)]
pub struct SubsetSelector {
    /// In alphabetical order, each once.
    pub keys: Vec<String>,
    /// What requests for exactly these keys get where no host has the values; `None` leaves it to the cluster.
    pub fallback: Option<SelectorFallback>,
    /// Each subset has one host, which is used whatever its health.
    pub single_host_per_subset: bool,
}

/// `LbSubsetSelectorFallbackPolicy`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectorFallback {
    /// `NO_FALLBACK`
    None,
    /// `ANY_ENDPOINT`
    Any,
    /// `DEFAULT_SUBSET`
    Default,
    /// What a request for these keys alone would get: fewer than those of the selector (`KEYS_SUBSET`).
    Keys(Vec<String>),
}

impl Subsets {
    /// From `lb_subset_config`.
    pub(super) fn from_proto(message: v3::cluster::LbSubsetConfig, at: &mut Scope<'_>) -> Option<Box<Self>> {
        use older::{LbSubsetFallbackPolicy as Fallback, LbSubsetMetadataFallbackPolicy as MetadataFallback};
        use v3::cluster::LbSubsetConfig;
        open! { at, LbSubsetConfig = message;
            implemented {
                fallback_policy, default_subset, subset_selectors, locality_weight_aware, scale_locality_weight,
                panic_mode_any, list_as_any, metadata_fallback_policy,
            }
        }
        let subsets = Subsets {
            fallback_policy: match at.enumeration("fallback_policy", fallback_policy) {
                Fallback::NoFallback => SubsetFallback::None,
                Fallback::AnyEndpoint => SubsetFallback::Any,
                Fallback::DefaultSubset => SubsetFallback::Default,
            },
            default_subset: labels(default_subset),
            selectors: at.list("subset_selectors", subset_selectors, older_selector),
            allow_redundant_keys: false,
            locality_weight_aware,
            scale_locality_weight,
            panic_mode_any,
            list_as_any,
            metadata_fallback_list: at
                .enumeration::<MetadataFallback>("metadata_fallback_policy", metadata_fallback_policy)
                == MetadataFallback::FallbackList,
        };
        Some(Box::new(subsets))
    }

    /// From the extension, and the policy within subsets.
    pub(super) fn from_typed(
        message: typed::Subset,
        at: &mut Scope<'_>,
    ) -> Option<(Box<Self>, v3::LoadBalancingPolicy)> {
        use typed::Subset;
        use typed::subset::LbSubsetFallbackPolicy as Fallback;
        use typed::subset::LbSubsetMetadataFallbackPolicy as MetadataFallback;
        open! { at, Subset = message;
            implemented {
                fallback_policy, default_subset, subset_selectors, allow_redundant_keys, locality_weight_aware,
                scale_locality_weight, panic_mode_any, list_as_any, metadata_fallback_policy, subset_lb_policy,
            }
        }
        let subsets = Subsets {
            fallback_policy: match at.enumeration("fallback_policy", fallback_policy) {
                Fallback::NoFallback => SubsetFallback::None,
                Fallback::AnyEndpoint => SubsetFallback::Any,
                Fallback::DefaultSubset => SubsetFallback::Default,
            },
            default_subset: labels(default_subset),
            selectors: at.list("subset_selectors", subset_selectors, typed_selector),
            allow_redundant_keys,
            locality_weight_aware,
            scale_locality_weight,
            panic_mode_any,
            list_as_any,
            metadata_fallback_list: at
                .enumeration::<MetadataFallback>("metadata_fallback_policy", metadata_fallback_policy)
                == MetadataFallback::FallbackList,
        };
        let policy = at.required("subset_lb_policy", subset_lb_policy)?;
        Some((Box::new(subsets), policy))
    }
}

fn labels(message: Option<pb::Struct>) -> Labels {
    message.map(Labels::from_struct).unwrap_or_default()
}

fn older_selector(message: older::LbSubsetSelector, at: &mut Scope<'_>) -> Option<SubsetSelector> {
    use older::LbSubsetSelector;
    use older::lb_subset_selector::LbSubsetSelectorFallbackPolicy as Policy;
    open! { at, LbSubsetSelector = message;
        implemented { keys, single_host_per_subset, fallback_policy, fallback_keys_subset }
    }
    let fallback = match at.enumeration("fallback_policy", fallback_policy) {
        Policy::NotDefined => None,
        Policy::NoFallback => Some(SelectorFallback::None),
        Policy::AnyEndpoint => Some(SelectorFallback::Any),
        Policy::DefaultSubset => Some(SelectorFallback::Default),
        Policy::KeysSubset => Some(SelectorFallback::Keys(Vec::new())),
    };
    selector(keys, fallback, fallback_keys_subset, single_host_per_subset, at)
}

fn typed_selector(message: typed::subset::LbSubsetSelector, at: &mut Scope<'_>) -> Option<SubsetSelector> {
    use typed::subset::LbSubsetSelector;
    use typed::subset::lb_subset_selector::LbSubsetSelectorFallbackPolicy as Policy;
    open! { at, LbSubsetSelector = message;
        implemented { keys, single_host_per_subset, fallback_policy, fallback_keys_subset }
    }
    let fallback = match at.enumeration("fallback_policy", fallback_policy) {
        Policy::NotDefined => None,
        Policy::NoFallback => Some(SelectorFallback::None),
        Policy::AnyEndpoint => Some(SelectorFallback::Any),
        Policy::DefaultSubset => Some(SelectorFallback::Default),
        Policy::KeysSubset => Some(SelectorFallback::Keys(Vec::new())),
    };
    selector(keys, fallback, fallback_keys_subset, single_host_per_subset, at)
}

/// A selector whose keys to fall back to are some of its own, but not all.
fn selector(
    keys: Vec<String>,
    mut fallback: Option<SelectorFallback>,
    fallback_keys: Vec<String>,
    single_host_per_subset: bool,
    at: &mut Scope<'_>,
) -> Option<SubsetSelector> {
    let keys: BTreeSet<String> = keys.into_iter().collect();
    let fewer: BTreeSet<String> = fallback_keys.into_iter().collect();
    let wrong = match &fallback {
        Some(SelectorFallback::Keys(_)) if fewer.is_empty() => "cannot be empty",
        Some(SelectorFallback::Keys(_)) if !fewer.is_subset(&keys) => "must be a subset of selector keys",
        Some(SelectorFallback::Keys(_)) if fewer == keys => "cannot be equal to keys",
        Some(SelectorFallback::Keys(_)) => "",
        _ if !fewer.is_empty() => "can be set only for KEYS_SUBSET fallback_policy",
        _ => "",
    };
    if !wrong.is_empty() {
        at.field("fallback_keys_subset").error(format!("fallback_keys_subset {wrong}"));
        return None;
    }
    if let Some(SelectorFallback::Keys(keys)) = &mut fallback {
        *keys = fewer.into_iter().collect();
    }
    Some(SubsetSelector { keys: keys.into_iter().collect(), fallback, single_host_per_subset })
}
