//! Where retries go: the extensions of `RetryPolicy.retry_host_predicate` and `RetryPolicy.retry_priority`.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::route::v3::retry_policy;
use envoy_types::pb::envoy::extensions::retry::host::omit_canary_hosts::v3::OmitCanaryHostsPredicate;
use envoy_types::pb::envoy::extensions::retry::host::omit_host_metadata::v3::OmitHostMetadataConfig;
use envoy_types::pb::envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate;
use envoy_types::pb::envoy::extensions::retry::priority::previous_priorities::v3::PreviousPrioritiesConfig;
use envoy_types::pb::google::protobuf::Any;
use prost::Name;

use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::metadata::Metadata;

/// The part of a host's metadata that load balancing looks at.
const LB: &str = "envoy.lb";

/// Hosts that a retry does not go to (`envoy.extensions.retry.host`).
#[derive(Clone, Debug, PartialEq)]
pub enum HostPredicate {
    /// `previous_hosts`: those that were tried.
    PreviousHosts,
    /// `omit_canary_hosts`: those whose metadata says `canary: true` under `envoy.lb`.
    OmitCanaryHosts,
    /// `omit_host_metadata`: those whose metadata says all of this under `envoy.lb`; no hosts when empty.
    OmitHostMetadata(BTreeMap<String, serde_json::Value>),
}

impl HostPredicate {
    /// Whether a host of this metadata is passed over; `was_tried` says whether an attempt went to it.
    pub fn rejects(&self, was_tried: bool, metadata: &Metadata) -> bool {
        let of_host = |key: &str| metadata.filter_metadata.get(LB).and_then(|labels| labels.get(key));
        match self {
            HostPredicate::PreviousHosts => was_tried,
            HostPredicate::OmitCanaryHosts => {
                of_host("canary").and_then(|value| value.as_bool()) == Some(true)
            }
            HostPredicate::OmitHostMetadata(labels) => {
                let is_told = |(key, label): (&String, &serde_json::Value)| match of_host(key) {
                    // A host may be in several groups.
                    Some(serde_json::Value::Array(any)) => any.contains(label),
                    told => told == Some(label),
                };
                !labels.is_empty() && labels.iter().all(is_told)
            }
        }
    }
}

/// From their protos.
pub(super) fn host_predicates(
    messages: Vec<retry_policy::RetryHostPredicate>,
    at: &mut Scope<'_>,
) -> Vec<HostPredicate> {
    use retry_policy::retry_host_predicate::ConfigType;
    at.list("retry_host_predicate", messages, |message, at| {
        use retry_policy::RetryHostPredicate;
        open! { at, RetryHostPredicate = message; implemented { name, config_type } }
        let name = at.required_string("name", name);
        let any = config_type.map(|ConfigType::TypedConfig(any)| any);
        host_predicate(&name, any, &mut at.field("typed_config"))
    })
}

fn host_predicate(name: &str, any: Option<Any>, at: &mut Scope<'_>) -> Option<HostPredicate> {
    let known = [
        PreviousHostsPredicate::full_name(),
        OmitCanaryHostsPredicate::full_name(),
        OmitHostMetadataConfig::full_name(),
    ];
    let (kind, bytes) = known_message(name, any, &known, at)?;
    if kind == known[0] {
        let message = at.decode::<PreviousHostsPredicate>(&bytes)?;
        open! { at, PreviousHostsPredicate = message; implemented {} }
        return Some(HostPredicate::PreviousHosts);
    }
    if kind == known[1] {
        let message = at.decode::<OmitCanaryHostsPredicate>(&bytes)?;
        open! { at, OmitCanaryHostsPredicate = message; implemented {} }
        return Some(HostPredicate::OmitCanaryHosts);
    }
    let message = at.decode::<OmitHostMetadataConfig>(&bytes)?;
    open! { at, OmitHostMetadataConfig = message; implemented { metadata_match } }
    let metadata = at.message("metadata_match", metadata_match, Metadata::from_proto).unwrap_or_default();
    let labels = match metadata.filter_metadata.get(LB) {
        Some(serde_json::Value::Object(labels)) => labels.clone().into_iter().collect(),
        _ => BTreeMap::new(),
    };
    Some(HostPredicate::OmitHostMetadata(labels))
}

/// The update frequency of the only extension there is.
pub(super) fn retry_priority(message: retry_policy::RetryPriority, at: &mut Scope<'_>) -> Option<u32> {
    use retry_policy::RetryPriority;
    use retry_policy::retry_priority::ConfigType;
    open! { at, RetryPriority = message; implemented { name, config_type } }
    let name = at.required_string("name", name);
    let any = config_type.map(|ConfigType::TypedConfig(any)| any);
    let mut at = at.field("typed_config");
    let known = [PreviousPrioritiesConfig::full_name()];
    let (_, bytes) = known_message(&name, any, &known, &mut at)?;
    let message = at.decode::<PreviousPrioritiesConfig>(&bytes)?;
    open! { at, PreviousPrioritiesConfig = message; implemented { update_frequency } }
    match u32::try_from(update_frequency) {
        Ok(frequency) if frequency > 0 => Some(frequency),
        _ => {
            at.field("update_frequency").violation("value must be greater than 0");
            None
        }
    }
}

/// The type and the bytes of an extension's message, one of `known`.
pub(super) fn known_message(
    name: &str,
    any: Option<Any>,
    known: &[String],
    at: &mut Scope<'_>,
) -> Option<(String, Vec<u8>)> {
    let (kind, bytes) = extension::unwrap(any.unwrap_or_default(), at)?;
    if known.contains(&kind) {
        return Some((kind, bytes));
    }
    let known = known.join(", ");
    at.unsupported(format!(
        "Didn't find a registered implementation for '{name}' with type URL: '{kind}'; known: {known}"
    ));
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_host(labels: serde_json::Value) -> Metadata {
        Metadata { filter_metadata: [(LB.to_owned(), labels)].into(), ..Metadata::default() }
    }

    #[test]
    fn hosts_are_passed_over_by_what_their_metadata_says_in_full() {
        let labels = [("kind".to_owned(), json!("bad")), ("group".to_owned(), json!(1))];
        let predicate = HostPredicate::OmitHostMetadata(labels.into());
        for (labels, expected) in [
            (json!({ "kind": "bad", "group": 1 }), true),
            (json!({ "kind": "bad", "group": [2, 1] }), true),
            (json!({ "kind": "bad" }), false),
            (json!({ "kind": "good", "group": 1 }), false),
        ] {
            assert_eq!(predicate.rejects(false, &of_host(labels.clone())), expected, "{labels}");
        }
        assert!(!HostPredicate::OmitHostMetadata(BTreeMap::new()).rejects(true, &of_host(json!({}))));
    }

    #[test]
    fn canaries_and_tried_hosts_are_passed_over() {
        let canary = of_host(json!({ "canary": true }));
        assert!(HostPredicate::OmitCanaryHosts.rejects(false, &canary));
        assert!(!HostPredicate::OmitCanaryHosts.rejects(true, &Metadata::default()));
        assert!(HostPredicate::PreviousHosts.rejects(true, &canary));
        assert!(!HostPredicate::PreviousHosts.rejects(false, &canary));
    }
}
