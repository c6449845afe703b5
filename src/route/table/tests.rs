use super::super::testing::{drawn, of, request, route, table, virtual_host};
use super::*;
use crate::config::matcher::{HeaderMatcher, HeaderTest, Regex, StringMatcher, StringPattern};
use crate::config::route::{PathMatch, UriTemplate};

/// The number of the route found, by its address.
fn found(table: &Table, host: &str, target: &str) -> Option<usize> {
    found_for(table, &request(host, target))
}

fn found_for(table: &Table, headers: &Headers) -> Option<usize> {
    match table.find(headers, drawn(0))? {
        Found::Route(matched) => {
            let mut routes = matched.virtual_host.routes.iter();
            routes.position(|route| std::ptr::eq(route, matched.route))
        }
        Found::TlsRedirect(_) => None,
    }
}

fn of_paths(paths: Vec<PathMatch>) -> Table {
    Table::new(Arc::new(of(vec![virtual_host(paths.into_iter().map(route).collect())])))
}

#[test]
fn the_first_route_that_matches_wins() {
    let table = of_paths(vec![
        PathMatch::Prefix("/a/b".into()),
        PathMatch::Path("/a".into()),
        PathMatch::SafeRegex(Regex::new("/a.*").unwrap()),
        PathMatch::Prefix("/a/b/c".into()),
        PathMatch::Prefix("/".into()),
        PathMatch::Path("/z".into()),
    ]);
    let cases = [("/a/b/c", 0), ("/a", 1), ("/a?q", 1), ("/ab", 2), ("/z", 4), ("/", 4)];
    for (target, expected) in cases {
        assert_eq!(found(&table, "h", target), Some(expected), "{target}");
    }
}

#[test]
fn a_route_whose_headers_do_not_match_lets_the_next_one_have_it() {
    let mut special = route(PathMatch::Prefix("/".into()));
    special.matcher.headers = vec![HeaderMatcher {
        name: "x-special".into(),
        test: HeaderTest::Present(true),
        invert: false,
        treat_missing_as_empty: false,
    }];
    let table =
        Table::new(Arc::new(of(vec![virtual_host(vec![special, route(PathMatch::Prefix("/".into()))])])));
    assert_eq!(found(&table, "h", "/x"), Some(1));
}

#[test]
fn a_host_without_a_matching_route_has_none_of_another_host() {
    let mut configuration = table([vec!["*"], vec!["none"]]);
    configuration.virtual_hosts[1].routes = vec![route(PathMatch::Path("/x".into()))];
    let table = Table::new(Arc::new(configuration));
    assert!(table.find(&request("none", "/"), drawn(0)).is_none());
    assert!(table.virtual_host(&request("none", "/")).is_some());
}

#[test]
fn plain_requests_are_redirected_where_tls_is_wanted() {
    let mut configuration = table([vec!["all"], vec!["external"]]);
    configuration.virtual_hosts[0].require_tls = RequireTls::All;
    configuration.virtual_hosts[1].require_tls = RequireTls::ExternalOnly;
    let table = Table::new(Arc::new(configuration));
    let redirected = |host: &str, proto: &str, internal: bool| {
        let mut headers = request(host, "/");
        headers.set(Known::XForwardedProto, proto.as_bytes());
        if internal {
            headers.set(Known::XEnvoyInternal, b"true");
        }
        matches!(table.find(&headers, drawn(0)), Some(Found::TlsRedirect(_)))
    };
    assert!(redirected("all", "http", true) && !redirected("all", "https", false));
    assert!(redirected("external", "http", false) && !redirected("external", "http", true));
}

/// A small generator, so that a failure comes again.
struct Random {
    state: u64,
    regexes: [Regex; 2],
    template: UriTemplate,
}

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % end
    }

    /// Paths of few different pieces, so that they are often equal or begin with each other.
    fn path(&mut self, pieces: u64) -> String {
        let mut path = String::from("/");
        for _ in 0..self.below(pieces) {
            path.push_str(
                ["a", "b", "/", "A", "common-part-", "?", "aaaaaaaaa", "é"][self.below(8) as usize],
            );
        }
        path
    }

    /// Conditions on a header, most of which ask for one of few values.
    fn header(&mut self) -> HeaderMatcher {
        let pattern = StringPattern::Exact(self.value());
        let matcher = StringMatcher { pattern, ignore_case: self.below(6) == 0 };
        HeaderMatcher {
            name: ["x-a", "x-a", "x-b"][self.below(3) as usize].into(),
            test: if self.below(8) == 0 { HeaderTest::Present(true) } else { HeaderTest::String(matcher) },
            invert: self.below(6) == 0,
            treat_missing_as_empty: self.below(6) == 0,
        }
    }

    fn value(&mut self) -> String {
        ["", "1", "2", "a", "A"][self.below(5) as usize].into()
    }

    fn matcher(&mut self) -> PathMatch {
        let path = self.path(5);
        match self.below(11) {
            0..=3 => PathMatch::Prefix(path),
            4..=6 => PathMatch::Path(path),
            7 => PathMatch::PathSeparatedPrefix(path),
            8 => PathMatch::SafeRegex(self.regexes[0].clone()),
            9 => PathMatch::UriTemplate(self.template.clone()),
            _ => PathMatch::SafeRegex(self.regexes[1].clone()),
        }
    }
}

#[test]
fn the_index_finds_what_a_search_of_all_routes_finds() {
    let regexes = ["/[ab]*", "(?:/a|)/?.*b"].map(|pattern| Regex::new(pattern).unwrap());
    let template = UriTemplate::new("/a/{x}").unwrap();
    for seed in 0..400 {
        let mut random = Random { state: seed, regexes: regexes.clone(), template: template.clone() };
        let routes: Vec<Route> = (0..random.below(150))
            .map(|_| {
                let mut route = route(random.matcher());
                route.matcher.case_sensitive = random.below(4) > 0;
                route.matcher.headers = (0..random.below(3)).map(|_| random.header()).collect();
                route
            })
            .collect();
        let table = Table::new(Arc::new(of(vec![virtual_host(routes.clone())])));
        for _ in 0..60 {
            let target = random.path(7);
            let mut headers = request("h", &target);
            for _ in 0..random.below(4) {
                headers.append(
                    Name::new([&b"x-a"[..], b"x-b"][random.below(2) as usize]),
                    random.value().as_bytes(),
                );
            }
            let asked = Request::new(&headers, drawn(0), false);
            let expected = routes.iter().position(|route| asked.matches(&route.matcher));
            assert_eq!(found_for(&table, &headers), expected, "seed {seed} {headers:?}");
        }
    }
}
