//! Clusters that a route table refers to by name.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use super::{Action, ClusterSpecifier, MirrorCluster, RouteAction, RouteConfiguration};
use crate::config::field::{Error, ErrorKind};

/// How many names that are missing get a hint: searching takes time, and whoever sees the first few sees the pattern.
const HINTS: u32 = 16;

/// The clusters that there are.
pub struct KnownClusters<'a> {
    has: &'a dyn Fn(&str) -> bool,
    nearest: &'a dyn Fn(&str) -> Option<String>,
    searched: Cell<u32>,
}

impl<'a> KnownClusters<'a> {
    /// Those of which `has` is true; `nearest` finds the one that is most likely meant by a name.
    pub fn new(has: &'a dyn Fn(&str) -> bool, nearest: &'a dyn Fn(&str) -> Option<String>) -> Self {
        KnownClusters { has, nearest, searched: Cell::new(0) }
    }

    /// Those of which `has` is true, without hints.
    pub fn of(has: &'a dyn Fn(&str) -> bool) -> Self {
        Self::new(has, &|_| None)
    }

    /// `; did you mean …?`, or nothing.
    fn hint(&self, name: &str) -> String {
        let searched = self.searched.get();
        self.searched.set(searched.saturating_add(1));
        let nearest = if searched < HINTS { (self.nearest)(name) } else { None };
        nearest.map_or_else(String::new, |nearest| format!("; did you mean '{nearest}'?"))
    }
}

impl fmt::Debug for KnownClusters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownClusters").finish_non_exhaustive()
    }
}

/// A name and where it stands.
struct Named<'a> {
    name: &'a str,
    kind: Kind<'a>,
    /// Numbers of the virtual host, the route, and the entry in the list.
    at: (usize, usize, usize),
}

/// What names a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind<'a> {
    Cluster,
    /// Of the priority group of this name.
    Group(&'a str),
    /// `weighted_clusters`
    Weighted,
    /// `request_mirror_policies`, of the route or of what it stands in.
    Shadow,
}

impl RouteConfiguration {
    /// Clusters named in the table that are not known, each once, in Envoy's words; none where the table is not to be
    /// checked: inline ones are unless `validate_clusters` is false, those from RDS only if it is true.
    pub fn unknown_clusters(&self, inline: bool, known: &KnownClusters<'_>) -> Vec<Error> {
        if !self.validate_clusters.unwrap_or(inline) {
            return Vec::new();
        }
        let mut told = HashSet::new();
        let unknown = self.named_clusters().filter(|named| !(known.has)(named.name));
        unknown
            .filter(|named| told.insert((named.name, named.kind)))
            .map(|named| named.unknown(known))
            .collect()
    }

    fn named_clusters(&self) -> impl Iterator<Item = Named<'_>> {
        self.virtual_hosts.iter().enumerate().flat_map(|(host, virtual_host)| {
            virtual_host.routes.iter().enumerate().flat_map(move |(route, config)| match &config.action {
                Action::Route(action) => named(action, host, route),
                Action::Redirect(_) | Action::DirectResponse(_) | Action::NonForwarding => Vec::new(),
            })
        })
    }
}

fn named(action: &RouteAction, host: usize, route: usize) -> Vec<Named<'_>> {
    let mut names = match &action.cluster {
        ClusterSpecifier::Cluster(name) => vec![Named { name, kind: Kind::Cluster, at: (host, route, 0) }],
        // As in Envoy, what a matcher leads to is not checked.
        ClusterSpecifier::Header(_) | ClusterSpecifier::Matcher(_) => Vec::new(),
        ClusterSpecifier::Weighted(weighted) => {
            let entries = weighted.clusters.iter().enumerate();
            let names = entries.filter_map(|(entry, cluster)| match &cluster.cluster {
                ClusterSpecifier::Cluster(name) => {
                    Some(Named { name, kind: Kind::Weighted, at: (host, route, entry) })
                }
                ClusterSpecifier::Header(_)
                | ClusterSpecifier::Weighted(_)
                | ClusterSpecifier::Matcher(_)
                | ClusterSpecifier::Groups(_) => None,
            });
            names.collect()
        }
        ClusterSpecifier::Groups(groups) => {
            let clusters = groups.clusters();
            clusters
                .map(|(group, name)| Named { name, kind: Kind::Group(group), at: (host, route, 0) })
                .collect()
        }
    };
    let mirrors = action.request_mirror_policies.iter().enumerate();
    names.extend(mirrors.filter_map(|(entry, policy)| match &policy.cluster {
        MirrorCluster::Name(name) => Some(Named { name, kind: Kind::Shadow, at: (host, route, entry) }),
        MirrorCluster::Header(_) => None,
    }));
    names
}

impl Named<'_> {
    fn unknown(&self, known: &KnownClusters<'_>) -> Error {
        let Named { name, kind, at: (host, route, entry) } = self;
        let group = match kind {
            Kind::Group(group) => format!(" in priority group '{group}'"),
            Kind::Cluster | Kind::Weighted | Kind::Shadow => String::new(),
        };
        let (kind, field) = match kind {
            Kind::Cluster => ("cluster", "cluster".to_owned()),
            // The route names a plugin, or has it in itself.
            Kind::Group(_) => ("cluster", "cluster_specifier".to_owned()),
            Kind::Weighted => ("weighted cluster", format!("weighted_clusters.clusters[{entry}].name")),
            Kind::Shadow => ("shadow cluster", format!("request_mirror_policies[{entry}].cluster")),
        };
        Error {
            path: format!("virtual_hosts[{host}].routes[{route}].route.{field}"),
            message: format!("route: unknown {kind} '{name}'{group}{}", known.hint(name)),
            kind: ErrorKind::Apply,
        }
    }
}
