//! What the resources of a set mean together. One file for one kind of question, one row of [`RULES`] for each id.
//!
//! The rules read protos, not the model: they have something to say of resources, too, that are not served.

mod addresses;
mod admin;
mod clusters;
mod names;
mod references;
mod retries;
mod set;
mod shadowed;
mod timeouts;
mod trust;

use std::collections::BTreeMap;

use clap::builder::PossibleValuesParser;

use super::finding::Finding;
use super::resource::Resource;
use super::shape::BOOTSTRAP;
use set::Set;

/// One question.
struct Rule {
    /// What its findings are called, always.
    id: &'static str,
    /// What it finds.
    what: &'static str,
    /// Answers it.
    check: fn(&Set<'_>, &mut Vec<Finding>),
}

/// All questions.
const RULES: [Rule; 12] = [
    Rule {
        id: "unknown-cluster",
        what: "Something names a cluster that exists nowhere.",
        check: clusters::check,
    },
    Rule {
        id: "unknown-route-configuration",
        what: "A connection manager asks for a route configuration that exists nowhere.",
        check: references::route_configurations,
    },
    Rule {
        id: "unknown-secret",
        what: "A TLS context asks for a secret that exists nowhere.",
        check: references::secrets,
    },
    Rule { id: "duplicate-name", what: "Two resources of a type have one name.", check: names::check },
    Rule { id: "duplicate-address", what: "Two listeners have one address.", check: addresses::duplicates },
    Rule {
        id: "unreachable-filter-chain",
        what: "No connection can ever match a filter chain.",
        check: addresses::unreachable,
    },
    Rule {
        id: "shadowed-route",
        what: "An earlier route takes all that a route matches.",
        check: shadowed::check,
    },
    Rule {
        id: "retry-non-idempotent",
        what: "A route repeats requests that may have had their effect already.",
        check: retries::check,
    },
    Rule { id: "missing-timeout", what: "Something may wait without end.", check: timeouts::check },
    Rule {
        id: "cleartext-upstream",
        what: "A cluster speaks plainly to port 443.",
        check: trust::cleartext_upstream,
    },
    Rule {
        id: "unverified-peer",
        what: "TLS without a check of who the peer is.",
        check: trust::unverified_peer,
    },
    Rule { id: "exposed-admin", what: "The admin interface is open beyond this host.", check: admin::check },
];

/// The ids of what is found in single fields, with what they stand for.
const FIELDS: [(&str, &str); 5] = [
    ("invalid", "Envoy refuses it as well."),
    ("unsupported", "Envoy takes it, dragoman does not."),
    ("unknown-field", "The API has no such field."),
    ("deprecated", "A later release of the API drops it."),
    ("ignored", "It has no effect here, and nobody can notice."),
];

/// Every id with what it stands for.
pub(super) fn described() -> impl Iterator<Item = (&'static str, &'static str)> {
    FIELDS.into_iter().chain(RULES.iter().map(|rule| (rule.id, rule.what)))
}

/// The ids that can be switched off: whatever does not block.
pub(super) fn switchable() -> PossibleValuesParser {
    const BLOCKING: [&str; 2] = ["invalid", "unsupported"];
    let ids = described().map(|(id, _)| id).filter(|id| !BLOCKING.contains(id));
    PossibleValuesParser::new(ids)
}

/// Asks every question of every set.
///
/// Several bootstraps are several proxies: each is a set by itself then.
pub(super) fn apply(resources: &[Resource<'_>], findings: &mut Vec<Finding>) {
    let mut bootstraps: BTreeMap<&str, usize> = BTreeMap::new();
    for resource in resources.iter().filter(|resource| resource.message == BOOTSTRAP) {
        *bootstraps.entry(resource.set()).or_default() += 1;
    }
    let mut sets: BTreeMap<(&str, usize), Vec<&Resource<'_>>> = BTreeMap::new();
    for (index, resource) in resources.iter().enumerate() {
        let is_one_of_several = resource.message == BOOTSTRAP && bootstraps[&**resource.set()] > 1;
        let part = if is_one_of_several { index + 1 } else { 0 };
        sets.entry((resource.set(), part)).or_default().push(resource);
    }
    for resources in sets.into_values() {
        let set = Set::of(&resources);
        for rule in &RULES {
            (rule.check)(&set, findings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_explained_in_the_documentation() {
        let page = include_str!("../../../docs/checks.md");
        for (id, _) in described() {
            assert!(page.contains(&format!("\n## {id}\n")), "docs/checks.md does not explain {id}");
        }
    }
}
