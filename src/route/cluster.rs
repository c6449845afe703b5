//! Which cluster a request goes to: `RouteAction.cluster_specifier`.

use std::borrow::Cow;

use crate::base::headers::{Headers, Name};
use crate::config::match_tree::Subject;
use crate::config::route::{ClusterSpecifier, RouteAction, WeightedCluster, WeightedClusters};
use crate::config::runtime::{Draw, Values};

use super::number;

/// The cluster chosen for a request.
#[derive(Clone, Debug, Default)]
pub struct Choice<'t> {
    /// Its name; empty when a header should have named it and did not. A cluster that does not exist is
    /// answered with the route's `cluster_not_found_response_code`.
    pub cluster: Cow<'t, str>,
    /// The member of a weighted cluster, with mutations of its own.
    pub weighted: Option<&'t WeightedCluster>,
    /// The number by which one of a group was chosen, for the attempts after the first.
    pub number: u64,
}

/// Chooses the cluster. `draw` is that with which the route was found, `hash` makes the request's hash for weighted
/// clusters that choose by it.
pub fn choose<'t>(
    action: &'t RouteAction,
    request: &Subject<'_>,
    draw: Draw<'_>,
    hash: impl FnOnce() -> Option<u64>,
) -> Choice<'t> {
    let headers = request.headers;
    if let ClusterSpecifier::Groups(groups) = &action.cluster {
        let by = Chooser { header_name: groups.header_name(), use_hash_policy: groups.use_hash_policy() };
        let number = by.number(headers, draw, hash);
        return Choice { cluster: groups.choose(0, number, request.notes), weighted: None, number };
    }
    let mut number = 0;
    let (specifier, weighted) = match &action.cluster {
        ClusterSpecifier::Weighted(clusters) => {
            let by = Chooser {
                header_name: clusters.header_name.as_deref(),
                use_hash_policy: clusters.use_hash_policy,
            };
            number = by.number(headers, draw, hash);
            match pick(clusters, number, draw.runtime, |_| true) {
                Some((_, cluster)) => (&cluster.cluster, Some(cluster)),
                None => return Choice::default(),
            }
        }
        specifier => (specifier, None),
    };
    let cluster = match specifier {
        ClusterSpecifier::Cluster(_) | ClusterSpecifier::Header(_) => direct(specifier, headers),
        ClusterSpecifier::Matcher(tree) => Cow::Borrowed(tree.find(request).map_or("", String::as_str)),
        // A member of weighted clusters is a cluster or a header; there is nothing to choose from here.
        ClusterSpecifier::Weighted(_) | ClusterSpecifier::Groups(_) => Cow::Borrowed(""),
    };
    Choice { cluster, weighted, number }
}

/// By what one of several is chosen.
struct Chooser<'c> {
    header_name: Option<&'c str>,
    use_hash_policy: bool,
}

impl Chooser<'_> {
    fn number(&self, headers: &Headers, draw: Draw<'_>, hash: impl FnOnce() -> Option<u64>) -> u64 {
        let number = match self.use_hash_policy {
            true => hash(),
            false => self.header_name.and_then(|name| number(headers, Name::new(name.as_bytes()))),
        };
        number.unwrap_or(draw.random)
    }
}

/// Chooses for another attempt one of weighted clusters that was not `tried`, until all were: then all are there to choose
/// from again. The request's `number` stays. `None` leaves it with the one before, which is the last of those tried.
pub fn another<'t>(
    clusters: &'t WeightedClusters,
    tried: &mut Vec<usize>,
    number: u64,
    request: &Subject<'_>,
) -> Option<Choice<'t>> {
    if tried.len() >= clusters.clusters.len() {
        tried.clear();
    }
    let (index, weighted) = pick(clusters, number, request.runtime, |index| !tried.contains(&index))?;
    if !tried.contains(&index) {
        tried.push(index);
    }
    let cluster = direct(&weighted.cluster, request.headers);
    Some(Choice { cluster, weighted: Some(weighted), number })
}

/// The cluster that is named, here or by a header; none for what has to be chosen.
fn direct<'t>(specifier: &'t ClusterSpecifier, headers: &Headers) -> Cow<'t, str> {
    match specifier {
        ClusterSpecifier::Cluster(name) => Cow::Borrowed(name.as_str()),
        // Filters may change the header after this.
        ClusterSpecifier::Header(name) => Cow::Owned(named(name, headers).to_owned()),
        ClusterSpecifier::Weighted(_) | ClusterSpecifier::Matcher(_) | ClusterSpecifier::Groups(_) => {
            Cow::Borrowed("")
        }
    }
}

/// What a header says; of several values the first.
fn named<'h>(name: &str, headers: &'h Headers) -> &'h str {
    headers.get_by_name(name.as_bytes()).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default()
}

/// The cluster, with its place, in whose interval of the sum of weights the number falls, of those that are eligible.
fn pick<'t>(
    clusters: &'t WeightedClusters,
    number: u64,
    runtime: &Values,
    eligible: impl Fn(usize) -> bool,
) -> Option<(usize, &'t WeightedCluster)> {
    let weight = |cluster: &WeightedCluster| {
        let configured = u64::from(cluster.weight);
        cluster.runtime_key.as_ref().map_or(configured, |key| runtime.integer(key, configured))
    };
    let candidates = || clusters.clusters.iter().enumerate().filter(|(index, _)| eligible(*index));
    let sum = candidates().map(|(_, cluster)| weight(cluster)).fold(0, u64::saturating_add);
    let mut left = number.checked_rem(sum)?;
    candidates().find(|(_, cluster)| {
        let weight = weight(cluster);
        let hit = left < weight;
        left = left.saturating_sub(weight);
        hit
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{drawn, request_with as with, route_action};
    use serde_json::json;

    use super::*;
    use crate::config::route::{FilterConfigs, HeaderMutations};

    fn subject(headers: &Headers) -> Subject<'_> {
        Subject::of_headers(headers, drawn(0).runtime)
    }

    fn weighted(header_name: Option<&str>) -> RouteAction {
        let cluster = |cluster, weight| WeightedCluster {
            cluster,
            weight,
            runtime_key: None,
            headers: HeaderMutations::default(),
            filter_configs: FilterConfigs::default(),
            host_rewrite_literal: None,
            metadata_match: None,
        };
        let clusters = WeightedClusters {
            clusters: vec![
                cluster(ClusterSpecifier::Cluster("u".into()), 10),
                cluster(ClusterSpecifier::Header("cl".into()), 20),
            ],
            header_name: header_name.map(str::to_owned),
            use_hash_policy: false,
        };
        RouteAction { cluster: ClusterSpecifier::Weighted(clusters), ..route_action() }
    }

    #[test]
    fn a_weighted_cluster_is_chosen_by_the_interval_that_the_number_falls_into() {
        let action = weighted(None);
        let headers = with(&[("cl", "v")]);
        for (random, expected) in [(0, "u"), (9, "u"), (10, "v"), (29, "v"), (30, "u")] {
            assert_eq!(
                choose(&action, &subject(&headers), drawn(random), || None).cluster,
                expected,
                "{random}"
            );
        }
    }

    #[test]
    fn the_runtime_changes_weights() {
        let mut action = weighted(None);
        if let ClusterSpecifier::Weighted(clusters) = &mut action.cluster {
            clusters.clusters[0].runtime_key = Some("w.u".to_owned());
        }
        let headers = with(&[("cl", "v")]);
        for (value, random, expected) in [(json!(0), 0, "v"), (json!(5), 4, "u"), (json!("x"), 9, "u")] {
            let runtime = [("w.u", &value)].into_iter().collect();
            let draw = Draw { random, runtime: &runtime };
            assert_eq!(
                choose(&action, &subject(&headers), draw, || None).cluster,
                expected,
                "{value} {random}"
            );
        }
    }

    #[test]
    fn a_header_with_one_number_stands_for_the_random_one() {
        let action = weighted(Some("rnd"));
        for (value, expected) in [("15", "v"), (" 3", "u"), ("abc", "u"), ("-1", "u"), ("40, 5", "u")] {
            assert_eq!(
                choose(&action, &subject(&with(&[("cl", "v"), ("rnd", value)])), drawn(0), || None).cluster,
                expected,
                "{value}"
            );
        }
        let twice = with(&[("cl", "v"), ("rnd", "15"), ("rnd", "15")]);
        assert_eq!(choose(&action, &subject(&twice), drawn(0), || None).cluster, "u");
    }

    #[test]
    fn a_cluster_header_counts_by_its_first_value() {
        let action = RouteAction { cluster: ClusterSpecifier::Header("cl".into()), ..route_action() };
        assert_eq!(
            choose(&action, &subject(&with(&[("cl", "u"), ("cl", "v")])), drawn(0), || None).cluster,
            "u"
        );
        assert_eq!(choose(&action, &subject(&with(&[])), drawn(0), || None).cluster, "");
    }
}
