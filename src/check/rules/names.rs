//! Names that stand twice.

use std::collections::HashMap;

use super::set::{Located, Set};
use crate::check::finding::Finding;

/// Resources of a type are told apart by their names.
pub(super) fn check(set: &Set<'_>, findings: &mut Vec<Finding>) {
    duplicates("listener", &set.listeners, |listener| &listener.name, findings);
    duplicates("cluster", &set.clusters, |cluster| &cluster.name, findings);
    duplicates("secret", &set.secrets, |secret| &secret.name, findings);
    duplicates("load assignment", &set.assignments, |assignment| &assignment.cluster_name, findings);
}

fn duplicates<M>(
    kind: &str,
    resources: &[Located<'_, M>],
    name: impl Fn(&M) -> &String,
    findings: &mut Vec<Finding>,
) {
    let mut seen = HashMap::new();
    for resource in resources {
        let name = name(&resource.message);
        // A listener without a name gets one of its own; of clusters the conversion of the bootstrap says it.
        let is_said = kind == "cluster" && resource.is_static();
        if !is_said && !name.is_empty() && seen.insert(name, ()).is_some() {
            let reason = format!("there is another {kind} of the name \"{name}\"");
            findings.push(resource.warning("duplicate-name", "name", reason));
        }
    }
}
