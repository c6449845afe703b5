//! Routes that never get a request.

use envoy_types::pb::envoy::config::route::v3::RouteMatch;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;

use super::set::Set;
use crate::check::finding::Finding;

/// The first route that matches is taken, so one whose requests an earlier one takes has none.
pub(super) fn check(set: &Set<'_>, findings: &mut Vec<Finding>) {
    // Those of the virtual host at hand that take all with their path.
    let mut earlier: Vec<(&RouteMatch, String)> = Vec::new();
    let mut host = None;
    for (route, virtual_host) in set.each_route() {
        if !host.is_some_and(|known| std::ptr::eq(known, virtual_host)) {
            host = Some(virtual_host);
            earlier.clear();
        }
        let Some(matched) = &route.message.r#match else { continue };
        if let Some((_, taker)) = earlier.iter().find(|(taker, _)| takes_all_of(taker, matched)) {
            let reason = format!("all its requests are taken by {taker}, which comes before it");
            findings.push(route.warning("shadowed-route", "match", reason));
        } else if is_unconditional(matched) {
            earlier.push((matched, describe(matched)));
        }
    }
}

/// Whether only the path decides.
fn is_unconditional(matched: &RouteMatch) -> bool {
    let path_alone = RouteMatch {
        path_specifier: matched.path_specifier.clone(),
        case_sensitive: matched.case_sensitive,
        ..RouteMatch::default()
    };
    *matched == path_alone
}

/// Whether each path that the later one matches is matched by the earlier one. Where that is not sure, it is not so.
fn takes_all_of(earlier: &RouteMatch, later: &RouteMatch) -> bool {
    use PathSpecifier::{Path, PathSeparatedPrefix, Prefix};
    let ignores_case =
        |matched: &RouteMatch| matched.case_sensitive.is_some_and(|sensitive| !sensitive.value);
    let fold = |text: &str| if ignores_case(earlier) { text.to_ascii_lowercase() } else { text.to_owned() };
    let (Some(taker), Some(taken)) = (&earlier.path_specifier, &later.path_specifier) else { return false };
    if let Prefix(prefix) = taker
        && prefix == "/"
    {
        return !matches!(taken, PathSpecifier::ConnectMatcher(_) | PathSpecifier::PathMatchPolicy(_));
    }
    if ignores_case(later) && !ignores_case(earlier) {
        return false;
    }
    match (taker, taken) {
        (Prefix(prefix), Prefix(path) | Path(path) | PathSeparatedPrefix(path)) => {
            fold(path).starts_with(&fold(prefix))
        }
        (PathSeparatedPrefix(prefix), Path(path) | PathSeparatedPrefix(path)) => fold(path)
            .strip_prefix(&fold(prefix))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        (Path(path), Path(other)) => fold(path) == fold(other),
        _ => false,
    }
}

fn describe(matched: &RouteMatch) -> String {
    match &matched.path_specifier {
        Some(PathSpecifier::Prefix(prefix)) => format!("prefix \"{prefix}\""),
        Some(PathSpecifier::Path(path)) => format!("path \"{path}\""),
        Some(PathSpecifier::PathSeparatedPrefix(prefix)) => format!("path_separated_prefix \"{prefix}\""),
        _ => "a route".to_owned(),
    }
}
