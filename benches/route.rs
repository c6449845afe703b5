//! Finding a request's route among 1, 1,000 and 10,000; the last one configured matches.
//!
//! `cargo bench --bench route`

use std::sync::Arc;

use divan::{Bencher, black_box};
use dragoman::base::headers::{Headers, Known};
use dragoman::config::RouteConfiguration;
use dragoman::config::extension::Extensions;
use dragoman::config::runtime::{Draw, Values};
use dragoman::route::Table;
use envoy_types::pb::envoy::config::route::v3;
use envoy_types::pb::envoy::r#type::matcher::v3::{
    RegexMatcher, StringMatcher, string_matcher::MatchPattern,
};
use prost::Message;
use v3::header_matcher::HeaderMatchSpecifier;
use v3::route_match::PathSpecifier;

const SIZES: [usize; 3] = [1, 1_000, 10_000];

fn main() {
    divan::main();
}

/// A route to a cluster for requests of this path.
fn route(path: PathSpecifier) -> v3::Route {
    let action = v3::RouteAction {
        cluster_specifier: Some(v3::route_action::ClusterSpecifier::Cluster("app".into())),
        ..v3::RouteAction::default()
    };
    v3::Route {
        r#match: Some(v3::RouteMatch { path_specifier: Some(path), ..v3::RouteMatch::default() }),
        action: Some(v3::route::Action::Route(action)),
        ..v3::Route::default()
    }
}

/// The message of a table with a virtual host for each list of domains.
fn message(hosts: Vec<(Vec<String>, Vec<v3::Route>)>) -> v3::RouteConfiguration {
    let host = |(number, (domains, routes)): (usize, (Vec<String>, Vec<v3::Route>))| v3::VirtualHost {
        name: format!("host-{number}"),
        domains,
        routes,
        ..v3::VirtualHost::default()
    };
    v3::RouteConfiguration {
        name: "bench".into(),
        virtual_hosts: hosts.into_iter().enumerate().map(host).collect(),
        ..v3::RouteConfiguration::default()
    }
}

fn parse(message: &v3::RouteConfiguration) -> Arc<RouteConfiguration> {
    let parsed = RouteConfiguration::parse(&message.encode_to_vec(), &Extensions::BUILT_IN);
    Arc::new(parsed.expect("a route table").0)
}

/// A table of one virtual host with this many routes.
fn table(count: usize, path: impl Fn(usize) -> PathSpecifier) -> Table {
    let routes = (0..count).map(|number| route(path(number))).collect();
    Table::new(parse(&message(vec![(vec!["*".into()], routes)])))
}

fn prefix(number: usize) -> PathSpecifier {
    PathSpecifier::Prefix(format!("/service-{number:05}/"))
}

fn request(host: &str, path: &str) -> Headers {
    let mut headers = Headers::new();
    headers.append(Known::Method, b"GET");
    headers.append(Known::Path, path.as_bytes());
    headers.append(Known::Authority, host.as_bytes());
    headers.append(Known::Scheme, b"http");
    headers.append(Known::UserAgent, b"bench");
    headers
}

fn find(bencher: Bencher, table: &Table, request: &Headers) {
    let runtime = Values::default();
    let draw = Draw { random: 0, runtime: &runtime };
    assert!(table.find(request, draw).is_some());
    bencher.bench(|| table.find(black_box(request), draw).is_some());
}

#[divan::bench(args = SIZES)]
fn prefixes(bencher: Bencher, count: usize) {
    let last = request("app.example.com", &format!("/service-{:05}/items?id=7", count - 1));
    find(bencher, &table(count, prefix), &last);
}

#[divan::bench(args = SIZES)]
fn exact_paths(bencher: Bencher, count: usize) {
    let table = table(count, |number| PathSpecifier::Path(format!("/v1/items/{number}/details")));
    find(bencher, &table, &request("app.example.com", &format!("/v1/items/{}/details", count - 1)));
}

/// In the end a route for everything: what a table with a default looks like to most requests.
#[divan::bench(args = SIZES)]
fn none_but_the_default(bencher: Bencher, count: usize) {
    let table = table(count, |number| match number + 1 == count {
        true => PathSpecifier::Prefix("/".into()),
        false => prefix(number),
    });
    find(bencher, &table, &request("app.example.com", "/somewhere/else"));
}

#[divan::bench(args = SIZES)]
fn separated_prefixes(bencher: Bencher, count: usize) {
    let table = table(count, |number| PathSpecifier::PathSeparatedPrefix(format!("/service-{number:05}")));
    find(bencher, &table, &request("app.example.com", &format!("/service-{:05}/items", count - 1)));
}

/// Prefixes with a few regular expressions between them, each of which may come first.
#[divan::bench(args = SIZES)]
fn prefixes_between_regular_expressions(bencher: Bencher, count: usize) {
    let table = table(count, |number| match number % (count / 4).max(2) {
        1 => PathSpecifier::SafeRegex(RegexMatcher {
            regex: format!("/other-{number:05}/[^/]+"),
            ..RegexMatcher::default()
        }),
        _ => prefix(number),
    });
    find(bencher, &table, &request("app.example.com", &format!("/service-{:05}/items", count - 1)));
}

/// Routes of one prefix that only a header tells apart, as many as a version, a tenant or an experiment brings.
#[divan::bench(args = SIZES)]
fn conditions_on_headers(bencher: Bencher, count: usize) {
    let routes = (0..count).map(|number| {
        let mut route = route(PathSpecifier::Prefix("/".into()));
        let condition = v3::HeaderMatcher {
            name: "x-tenant".into(),
            header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(StringMatcher {
                match_pattern: Some(MatchPattern::Exact(format!("tenant-{number}"))),
                ..StringMatcher::default()
            })),
            ..v3::HeaderMatcher::default()
        };
        route.r#match.get_or_insert_default().headers.push(condition);
        route
    });
    let table = Table::new(parse(&message(vec![(vec!["*".into()], routes.collect())])));
    let mut last = request("app.example.com", "/");
    last.append_received(b"x-tenant", format!("tenant-{}", count - 1).as_bytes());
    find(bencher, &table, &last);
}

/// The same beside 10,000 prefixes: a condition costs those alone that share its prefix.
#[divan::bench]
fn conditions_on_headers_among_prefixes(bencher: Bencher) {
    let routes = (0..10_000).map(|number| {
        let mut route = route(prefix(number));
        let condition = v3::HeaderMatcher {
            name: "x-tenant".into(),
            header_match_specifier: Some(HeaderMatchSpecifier::PresentMatch(true)),
            ..v3::HeaderMatcher::default()
        };
        route.r#match.get_or_insert_default().headers.push(condition);
        route
    });
    let table = Table::new(parse(&message(vec![(vec!["*".into()], routes.collect())])));
    let mut last = request("app.example.com", "/service-09999/items");
    last.append_received(b"x-tenant", b"one");
    find(bencher, &table, &last);
}

#[divan::bench(args = [1, 10, 100])]
fn regular_expressions(bencher: Bencher, count: usize) {
    let table = table(count, |number| {
        PathSpecifier::SafeRegex(RegexMatcher {
            regex: format!("/service-{number:05}/[^/]+"),
            ..RegexMatcher::default()
        })
    });
    find(bencher, &table, &request("app.example.com", &format!("/service-{:05}/items", count - 1)));
}

#[divan::bench(args = SIZES)]
fn virtual_hosts(bencher: Bencher, count: usize) {
    let host = |number: usize| {
        let domains = vec![format!("app-{number}.example.com"), format!("*.app-{number}.example.com")];
        (domains, vec![route(PathSpecifier::Prefix("/".into()))])
    };
    let table = Table::new(parse(&message((0..count).map(host).collect())));
    find(bencher, &table, &request(&format!("www.app-{}.example.com", count - 1), "/"));
}

/// Compiling, without reading the message.
#[divan::bench(args = SIZES)]
fn compile(bencher: Bencher, count: usize) {
    let configuration =
        parse(&message(vec![(vec!["*".into()], (0..count).map(|n| route(prefix(n))).collect())]));
    bencher.bench(|| Table::new(black_box(configuration.clone())));
}
