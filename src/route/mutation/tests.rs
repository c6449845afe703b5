use super::super::testing::{of, request, route, text, virtual_host};
use super::*;
use crate::config::format::Part;
use crate::config::route::{FilterConfigs, HeaderMutations, PathMatch, RouteConfiguration, WeightedCluster};
use crate::route::table::Matched;

/// A literal, or `$name` for the first value of a header.
fn option(name: &str, value: &str, append_action: AppendAction) -> HeaderValueOption {
    let value = Format { parts: vec![Part::Literal(value.into())] };
    HeaderValueOption { name: name.into(), value, append_action, keep_empty_value: false }
}

fn render(format: &Format, headers: &Headers, out: &mut Vec<u8>) {
    let [Part::Literal(text)] = &format.parts[..] else { return };
    match text.strip_prefix('$') {
        Some(name) => out.extend_from_slice(headers.get_by_name(name.as_bytes()).unwrap_or_default()),
        None => out.extend_from_slice(text.as_bytes()),
    }
}

fn mutated(received: &[(&str, &str)], mutations: HeaderMutations) -> String {
    let mut headers = Headers::new();
    received.iter().for_each(|(name, value)| headers.append_received(name.as_bytes(), value.as_bytes()));
    let add = &mutations.request_add;
    mutate(&mut headers, &mutations.request_remove, add, joined_in_requests, &mut render);
    text(&headers)
}

fn mutations() -> HeaderMutations {
    use AppendAction::*;
    HeaderMutations {
        request_add: vec![
            option("x-a", "1", AppendIfExistsOrAdd),
            option("x-b", "2", OverwriteIfExistsOrAdd),
            option("x-c", "3", AddIfAbsent),
            option("x-d", "4", OverwriteIfExists),
            option("x-a", "$x-b", AppendIfExistsOrAdd),
            option("x-e", "", AppendIfExistsOrAdd),
            HeaderValueOption { keep_empty_value: true, ..option("x-f", "", AppendIfExistsOrAdd) },
        ],
        request_remove: vec!["x-rm".into(), "host".into()],
        ..HeaderMutations::default()
    }
}

#[test]
fn headers_are_removed_then_overwritten_then_added() {
    let received = [("x-rm", "1"), ("x-a", "0"), ("x-b", "0"), ("x-b", "00"), ("x-c", "0"), ("x-d", "0")];
    assert_eq!(
        mutated(&received, mutations()),
        "x-a: 0 | x-c: 0 | x-b: 2 | x-d: 4 | x-a: 1 | x-a: 0 | x-f: "
    );
    assert_eq!(mutated(&[], mutations()), "x-b: 2 | x-a: 1 | x-c: 3 | x-f: ");
}

#[test]
fn some_headers_are_kept_as_one_list() {
    let add = HeaderMutations {
        request_add: vec![
            option("via", "b", AppendAction::AppendIfExistsOrAdd),
            option("cookie", "b", AppendAction::AppendIfExistsOrAdd),
        ],
        ..HeaderMutations::default()
    };
    assert_eq!(mutated(&[("via", "a"), ("cookie", "a")], add), "via: a,b | cookie: a | cookie: b");
}

fn levels(most_specific_wins: bool) -> String {
    let level = |name: &str| HeaderMutations {
        request_add: vec![option("l", name, AppendAction::AppendIfExistsOrAdd)],
        ..HeaderMutations::default()
    };
    let mut route = route(PathMatch::Prefix("/".into()));
    route.headers = level("route");
    let mut host = virtual_host(vec![route]);
    host.headers = level("vhost");
    let table = RouteConfiguration {
        headers: level("table"),
        most_specific_header_mutations_wins: most_specific_wins,
        ..of(vec![host])
    };
    let weighted = WeightedCluster {
        cluster: crate::config::route::ClusterSpecifier::Cluster("u".into()),
        weight: 1,
        runtime_key: None,
        headers: level("wc"),
        filter_configs: FilterConfigs::default(),
        host_rewrite_literal: None,
        metadata_match: None,
    };
    let virtual_host = &table.virtual_hosts[0];
    let matched = Matched { table: &table, virtual_host, route: &virtual_host.routes[0], statistics: None };
    let mut headers = request("h", "/");
    Levels::new(&matched, Some(&weighted)).mutate_request(&mut headers, &mut render);
    let values = headers.get_all(Name::new(b"l")).map(String::from_utf8_lossy);
    values.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_least_specific_level_has_the_last_word_unless_configured_otherwise() {
    assert_eq!(levels(false), "wc route vhost table");
    assert_eq!(levels(true), "wc table vhost route");
}
