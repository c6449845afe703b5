//! Whether everything that is referred to is there.
//!
//! An override adds resources or replaces them by name and never takes one away. So what the common resources
//! refer to is there for every node, and an override needs to be checked only over the common ones: a node that
//! gets overrides for its cluster and for its id has all that either of them needs.

use std::collections::BTreeSet;

use crate::kind::{CLUSTER, short_name};
use crate::references::Reference;
use crate::resource::Resource;
use crate::snapshot::{Catalog, Problem, Snapshot};

/// All references that lead nowhere. `static_clusters` are those of the clients' bootstraps.
pub fn check(catalog: &Catalog, static_clusters: &BTreeSet<String>) -> Vec<Problem> {
    let common = dangling(catalog.common().iter().map(|one| &**one), catalog.common(), static_clusters);
    let overrides = catalog.overrides().flat_map(|(audience, own)| {
        let snapshot = catalog.overlaid_for(audience);
        dangling(own.iter().map(|one| &**one), &snapshot, static_clusters)
    });
    common.into_iter().chain(overrides).collect()
}

fn dangling<'a>(
    resources: impl Iterator<Item = &'a Resource>,
    snapshot: &Snapshot,
    static_clusters: &BTreeSet<String>,
) -> Vec<Problem> {
    let leads_nowhere = |reference: &&Reference| {
        let is_static = reference.type_url == CLUSTER && static_clusters.contains(&*reference.name);
        !is_static && snapshot.get(reference.type_url, &reference.name).is_none()
    };
    resources
        .flat_map(|resource| {
            resource.references.iter().filter(leads_nowhere).map(|reference| problem(resource, reference))
        })
        .collect()
}

fn problem(resource: &Resource, reference: &Reference) -> Problem {
    let wanted = short_name(reference.type_url);
    let hint = match reference.type_url {
        CLUSTER => "; add it, or name it with --static-cluster if it is in the clients' bootstrap",
        _ => "",
    };
    let message = format!(
        "{} {:?} refers to {wanted} {:?}, which does not exist{hint}",
        short_name(resource.type_url()),
        resource.name,
        reference.name,
    );
    let origin = resource.origin.as_ref();
    let line = if reference.line > 0 { reference.line } else { origin.map_or(0, |origin| origin.line) };
    Problem { file: origin.map(|origin| origin.file.clone()), line, column: 0, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Audience;
    use crate::testing::{cluster, eds_cluster, endpoints, listener, routes};

    fn problems(catalog: Catalog, static_clusters: &[&str]) -> Vec<String> {
        let static_clusters = static_clusters.iter().map(|name| name.to_string()).collect();
        check(&catalog, &static_clusters).iter().map(Problem::to_string).collect()
    }

    #[test]
    fn a_complete_catalog_has_no_problems() {
        let catalog = Catalog::from([
            listener("web", "r"),
            routes("r", &["app", "plain"]),
            eds_cluster("app", 1),
            endpoints("app", 1),
            cluster("plain", 1),
        ]);
        assert_eq!(problems(catalog, &[]), [] as [&str; 0]);
    }

    #[test]
    fn every_reference_that_leads_nowhere_is_named() {
        let catalog = Catalog::from([listener("web", "r"), routes("s", &["gone"]), eds_cluster("app", 1)]);
        assert_eq!(
            problems(catalog, &[]),
            [
                r#"Cluster "app" refers to ClusterLoadAssignment "app", which does not exist"#,
                r#"Listener "web" refers to RouteConfiguration "r", which does not exist"#,
                concat!(
                    r#"RouteConfiguration "s" refers to Cluster "gone", which does not exist; "#,
                    "add it, or name it with --static-cluster if it is in the clients' bootstrap"
                ),
            ]
        );
    }

    #[test]
    fn a_cluster_of_the_bootstrap_exists() {
        assert_eq!(problems(Catalog::from([routes("r", &["xds"])]), &["xds"]), [] as [&str; 0]);
    }

    #[test]
    fn an_override_may_need_only_what_all_nodes_have() {
        let node = Audience::Node("n".into());
        let catalog = |cluster_audience| {
            Catalog::new([(node.clone(), routes("r", &["app"])), (cluster_audience, cluster("app", 1))])
        };
        assert_eq!(problems(catalog(Audience::All), &[]).len(), 0);
        assert_eq!(problems(catalog(node.clone()), &[]).len(), 0);
        assert_eq!(problems(catalog(Audience::Node("other".into())), &[]).len(), 1);
    }
}
