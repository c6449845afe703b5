//! Groups of clusters, of which each attempt takes the next:
//! `envoy.extensions.router.cluster_specifiers.priority_group.v3.PriorityGroupClusterSpecifier`.
//!
//! Only a policy of retries with `refresh_cluster_on_retry` has other attempts than the first choose anew. A request may
//! have groups of its own, in its dynamic metadata.

use std::borrow::Cow;

use serde_json::Value;

use super::headers::Header;
use crate::config::field::{Scope, open};
use crate::config::match_tree::Noted;
use crate::config::messages::envoy::extensions::router::cluster_specifiers::priority_group::v3;

/// The key of the metadata that has a request's groups.
const FIELD: &str = "priority_groups";

/// `PriorityGroupClusterSpecifier`
#[derive(Clone, Debug, PartialEq)]
pub struct PriorityGroups {
    /// At least one; what is beyond the last goes to the last.
    groups: Vec<PriorityGroup>,
    /// `override_metadata_namespace`, and the key in it, where requests may have groups of their own.
    own: Option<[String; 2]>,
    /// The header that holds the number to choose by, instead of a random one.
    header_name: Option<String>,
    /// Choose by the route's hash, where a request has one, instead of a random number.
    use_hash_policy: bool,
}

/// `PriorityGroup`: clusters with their weights, which are not zero.
#[derive(Clone, Debug, PartialEq)]
pub struct PriorityGroup {
    name: String,
    clusters: Vec<(String, u64)>,
}

/// `PriorityGroupsOverride`: the groups of a request, `None` for those that are none.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupsOverride(Vec<Option<PriorityGroup>>);

impl PriorityGroups {
    pub(super) fn from_proto(message: v3::PriorityGroupClusterSpecifier, at: &mut Scope<'_>) -> Self {
        use v3::{PriorityGroupClusterSpecifier, RandomValueSpecifier};
        open! { at, PriorityGroupClusterSpecifier = message;
            implemented { priority_groups, override_metadata_namespace, random_value_specifier }
        }
        let (header_name, use_hash_policy) = match random_value_specifier {
            // As in Envoy an empty name is none.
            Some(RandomValueSpecifier::HeaderName(name)) if name.is_empty() => (None, false),
            Some(RandomValueSpecifier::HeaderName(name)) => {
                (Header::name(name, &mut at.field("header_name")), false)
            }
            Some(RandomValueSpecifier::UseHashPolicy(wanted)) => (None, wanted.value),
            None => (None, false),
        };
        let is_overridden = !override_metadata_namespace.is_empty();
        PriorityGroups {
            groups: at.list(FIELD, priority_groups, |group, at| Some(PriorityGroup::from_proto(group, at))),
            own: is_overridden.then(|| [override_metadata_namespace, FIELD.to_owned()]),
            header_name,
            use_hash_policy,
        }
    }

    /// The header that holds the number to choose by; `None` where it is a random one or a hash.
    pub fn header_name(&self) -> Option<&str> {
        self.header_name.as_deref()
    }

    /// Whether to choose by the route's hash.
    pub fn use_hash_policy(&self) -> bool {
        self.use_hash_policy
    }

    /// Every cluster, with the name of its group.
    pub fn clusters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.groups.iter().flat_map(|group| {
            group.clusters.iter().map(|(cluster, _)| (group.name.as_str(), cluster.as_str()))
        })
    }

    /// The cluster of an attempt, the first being 0, of a request of which filters noted this.
    pub fn choose(&self, attempt: usize, number: u64, notes: Option<&dyn Noted>) -> Cow<'_, str> {
        let own = notes.and_then(|notes| self.own_group(attempt, notes));
        let named = match &own {
            Some(own) if !own.clusters.is_empty() => return Cow::Owned(own.cluster(number).to_owned()),
            Some(own) => self.groups.iter().find(|group| group.name == own.name),
            None => None,
        };
        let group = named.or_else(|| self.groups.get(attempt)).or_else(|| self.groups.last());
        Cow::Borrowed(group.map_or("", |group| group.cluster(number)))
    }

    /// The group that the request itself has for an attempt. Typed metadata goes before the other, even if it is none.
    fn own_group<'n>(&self, attempt: usize, notes: &'n dyn Noted) -> Option<Cow<'n, PriorityGroup>> {
        let own = self.own.as_ref()?;
        match notes.typed_metadata(&own[0]) {
            Some(groups) => at_attempt(&groups?.0, attempt)?.as_ref().map(Cow::Borrowed),
            None => {
                let groups = notes.metadata(own)?.as_array()?;
                PriorityGroup::from_value(at_attempt(groups, attempt)?).map(Cow::Owned)
            }
        }
    }
}

/// What is for an attempt: the last goes on for those beyond it.
fn at_attempt<T>(groups: &[T], attempt: usize) -> Option<&T> {
    groups.get(attempt).or_else(|| groups.last())
}

impl PriorityGroup {
    fn from_proto(message: v3::PriorityGroup, at: &mut Scope<'_>) -> Self {
        use v3::PriorityGroup;
        open! { at, PriorityGroup = message; implemented { name, clusters } }
        let clusters = at.list("clusters", clusters, |message, at| {
            use v3::ClusterWeight;
            open! { at, ClusterWeight = message; implemented { cluster_name, weight } }
            Some((cluster_name, weight.map_or(0, |weight| weight.value.into())))
        });
        Self { name, clusters }
    }

    /// As untyped metadata has it; `None` for what is no group. One without clusters stands for that of its name.
    fn from_value(value: &Value) -> Option<Self> {
        let clusters = match value.get("clusters") {
            Some(clusters) => clusters.as_array()?.iter().map(weighted).collect::<Option<_>>()?,
            None => Vec::new(),
        };
        Some(PriorityGroup { name: text(value.get("name")?)?, clusters })
    }

    /// The cluster in whose interval of the sum of weights the number falls.
    fn cluster(&self, number: u64) -> &str {
        let sum = self.clusters.iter().map(|(_, weight)| weight).sum();
        let mut left = number.checked_rem(sum).unwrap_or(0);
        let found = self.clusters.iter().find(|(_, weight)| {
            let hit = left < *weight;
            left = left.saturating_sub(*weight);
            hit
        });
        found.map_or("", |(cluster, _)| cluster)
    }
}

/// A cluster of untyped metadata. As in Envoy a fraction of a weight does not count.
fn weighted(value: &Value) -> Option<(String, u64)> {
    let weight = value.get("weight")?.as_f64()?;
    let is_weight = (1.0..=f64::from(u32::MAX)).contains(&weight);
    is_weight.then_some(())?;
    Some((text(value.get("cluster_name")?)?, weight as u64))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

impl GroupsOverride {
    /// Those of a message that a filter notes.
    pub(in crate::config) fn from_proto(message: v3::PriorityGroupsOverride, at: &mut Scope<'_>) -> Self {
        use v3::PriorityGroupsOverride;
        open! { at, PriorityGroupsOverride = message; implemented { priority_groups } }
        let group = |group: v3::PriorityGroup| {
            let clusters = group.clusters.into_iter().map(|cluster| {
                let weight = cluster.weight.map_or(0, |weight| u64::from(weight.value));
                (weight > 0 && !cluster.cluster_name.is_empty()).then_some((cluster.cluster_name, weight))
            });
            let clusters = clusters.collect::<Option<_>>()?;
            (!group.name.is_empty()).then_some(PriorityGroup { name: group.name, clusters })
        };
        GroupsOverride(priority_groups.into_iter().map(group).collect())
    }
}
