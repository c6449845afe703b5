use super::*;
use crate::config::route::KnownClusters;
use crate::config::source::SourceKind;
use crate::control::push::Change;
use crate::control::testing::{change, table};

const LINGER: Duration = Duration::from_secs(600);

fn reference(name: &str) -> RouteReference {
    let source = ConfigSource { from: SourceKind::Ads, initial_fetch_timeout: Duration::from_secs(15) };
    RouteReference { name: name.to_owned(), source, stat_prefix: "web".to_owned() }
}

fn routes(names: &[&str]) -> Routes {
    let mut routes = Routes::new(Registry::new(0), LINGER);
    refer(&mut routes, names, Instant::now());
    routes
}

fn refer(routes: &mut Routes, names: &[&str], now: Instant) {
    let references: Vec<RouteReference> = names.iter().map(|name| reference(name)).collect();
    routes.refer(&references, now);
}

fn in_force(routes: &Routes) -> Option<Arc<Table>> {
    routes.tables().find(&SourceKind::Ads, "r").cloned()
}

fn wanted(routes: &mut Routes) -> Vec<Vec<String>> {
    routes.take_changed().into_iter().map(|(_, names)| names.into_iter().collect()).collect()
}

#[test]
fn a_table_is_settled_when_it_comes() {
    let mut routes = routes(&["r"]);
    assert!(!routes.is_settled(&reference("r")));
    assert_eq!(routes.update(0, table("r", "a", false), &KnownClusters::of(&|_| false)), None);
    assert!(routes.is_settled(&reference("r")) && in_force(&routes).is_some());
}

#[test]
fn a_table_that_does_not_come_is_waited_for_no_longer() {
    let mut routes = routes(&["r"]);
    routes.give_up(0, &["r".to_owned()]);
    assert!(routes.is_settled(&reference("r")) && routes.tables().is_empty());
}

#[test]
fn an_equal_table_keeps_the_compiled_one() {
    let mut routes = routes(&["r"]);
    routes.update(0, table("r", "a", false), &KnownClusters::of(&|_| true));
    let before = Arc::clone(routes.tables());
    let first = in_force(&routes);
    routes.update(0, table("r", "a", false), &KnownClusters::of(&|_| true));
    assert!(Arc::ptr_eq(&before, routes.tables()));
    routes.update(0, table("r", "b", false), &KnownClusters::of(&|_| true));
    assert!(!first.zip(in_force(&routes)).is_some_and(|(first, second)| Arc::ptr_eq(&first, &second)));
}

#[test]
fn unknown_clusters_are_refused_where_the_table_asks_for_it() {
    let mut routes = routes(&["r"]);
    let problem =
        routes.update(0, table("r", "missing", true), &KnownClusters::of(&|name| name != "missing"));
    assert_eq!(
        problem.map(|problem| problem.text()).as_deref(),
        Some("virtual_hosts[0].routes[0].route.cluster: route: unknown cluster 'missing'")
    );
    assert!(routes.tables().is_empty());
    assert!(routes.is_settled(&reference("r")), "a listener does not wait for a better version");
}

#[test]
fn a_nack_keeps_the_last_good_version() {
    let mut routes = routes(&["r"]);
    routes.update(0, table("r", "a", false), &KnownClusters::of(&|_| true));
    let good = in_force(&routes);
    let bad = "name: r\nvirtual_hosts: [{name: one, domains: [x]}, {name: two, domains: [x]}]\n";
    assert!(routes.update(0, change::<Table>("r", bad), &KnownClusters::of(&|_| true)).is_some());
    assert!(good.zip(in_force(&routes)).is_some_and(|(good, now)| Arc::ptr_eq(&good, &now)));
    assert!(
        routes
            .resources()
            .find_map(|resources| resources.find("r"))
            .is_some_and(|states| states.error.is_some())
    );
}

#[test]
fn names_are_asked_for_exactly_while_they_are_referred_to() {
    let mut routes = routes(&["a", "b", "a"]);
    assert_eq!(wanted(&mut routes), [["a", "b"]]);
    refer(&mut routes, &["b", "a"], Instant::now());
    assert_eq!(wanted(&mut routes), Vec::<Vec<String>>::new());
    refer(&mut routes, &["b"], Instant::now());
    assert_eq!(wanted(&mut routes), [["b"]]);
    refer(&mut routes, &[], Instant::now());
    assert_eq!(wanted(&mut routes), [Vec::<String>::new()]);
}

#[test]
fn a_table_stays_while_connections_of_its_listener_may_last() {
    let mut routes = routes(&["r"]);
    let now = Instant::now();
    routes.update(0, table("r", "a", false), &KnownClusters::of(&|_| true));
    refer(&mut routes, &[], now);
    routes.expire(now + LINGER / 2);
    assert!(in_force(&routes).is_some());
    assert_eq!(routes.next_deadline(), Some(now + LINGER));
    routes.expire(now + LINGER);
    assert!(routes.tables().is_empty());
}

#[test]
fn a_table_referred_to_again_in_time_stays_and_is_settled() {
    let mut routes = routes(&["r"]);
    let now = Instant::now();
    routes.update(0, table("r", "a", false), &KnownClusters::of(&|_| true));
    refer(&mut routes, &[], now);
    refer(&mut routes, &["r"], now);
    routes.expire(now + LINGER);
    assert!(in_force(&routes).is_some() && routes.is_settled(&reference("r")));
}

#[test]
fn tables_that_nobody_refers_to_are_not_taken() {
    let mut routes = routes(&["r"]);
    assert_eq!(routes.update(0, table("other", "a", false), &KnownClusters::of(&|_| true)), None);
    assert!(routes.tables().is_empty());
}

#[test]
fn tables_of_one_name_are_those_of_their_sources() {
    let file = |path: &str| SourceKind::Path { path: path.into(), watched_directory: None };
    let from = |path: &str| {
        let source = ConfigSource { from: file(path), ..reference("r").source };
        RouteReference { source, ..reference("r") }
    };
    let mut routes = Routes::new(Registry::new(0), LINGER);
    let (one, other) = (from("one"), from("other"));
    routes.refer(&[one.clone(), other.clone()], Instant::now());
    assert_eq!(wanted(&mut routes), [["r"], ["r"]]);
    let known = KnownClusters::of(&|_| true);
    routes.update(0, table("r", "a", false), &known);
    assert!(routes.is_settled(&one) && !routes.is_settled(&other));
    assert!(routes.tables().find(&file("other"), "r").is_none());
    routes.update(1, table("r", "b", false), &known);
    assert!(routes.is_settled(&other));
    assert_eq!(routes.resources().filter(|resources| resources.find("r").is_some()).count(), 2);
    routes.refer(&[other], Instant::now());
    routes.expire(Instant::now() + LINGER);
    assert!(routes.tables().find(&file("one"), "r").is_none());
    assert!(routes.tables().find(&file("other"), "r").is_some());
}

mod virtual_hosts {
    use bytes::Bytes;
    use dragoman_proto::{encode, tree};

    use super::*;
    use crate::xds::{Response, type_url};

    fn encoded(message: &str, yaml: &str) -> Bytes {
        let document = tree::parse_yaml(yaml).unwrap();
        encode(&document.root, message, &encode::Options::default()).unwrap().bytes.into()
    }

    fn base(validate: bool) -> Change<Table> {
        change::<Table>(
            "r",
            &format!(
                "name: r\nvalidate_clusters: {validate}\nvhds: {{config_source: {{ads: {{}}}}}}\nvirtual_hosts:\n\
                 - {{name: own, domains: [own], routes: [{{match: {{prefix: /}}, redirect: {{}}}}]}}\n"
            ),
        )
    }

    /// A response with these virtual hosts, each with a domain, and names without one.
    fn response(hosts: &[(&str, &str)], nothing: &[&str], removed: &[&str]) -> Response {
        let resource = |(name, domain): &(&str, &str)| crate::xds::Resource {
            name: (*name).to_owned(),
            version: "1".to_owned(),
            value: encoded(
                type_url::VIRTUAL_HOST.trim_start_matches("type.googleapis.com/"),
                &format!(
                    "{{name: '{name}', domains: ['{domain}'], routes: [{{match: {{prefix: /}}, route: {{cluster: c}}}}]}}"
                ),
            ),
        };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Response {
            version: "7".to_owned(),
            resources: hosts.iter().map(resource).collect(),
            kept: names(nothing),
            removed: names(removed),
            aliases: Vec::new(),
            passed_over: 0,
            full: false,
            token: crate::xds::Token::for_test(),
        }
    }

    fn take(routes: &mut Routes, response: &Response) -> (Verdict, usize) {
        let staged = routes.stage_hosts(0, response, &KnownClusters::of(&|name| name == "c"));
        let (verdict, answered) = routes.take_hosts(0, response, staged);
        (verdict, answered.len())
    }

    fn domains(routes: &Routes) -> Vec<String> {
        let table = in_force(routes).unwrap();
        let hosts = &table.configuration().virtual_hosts;
        hosts.iter().flat_map(|host| host.domains.clone()).collect()
    }

    #[test]
    fn a_table_waits_for_its_virtual_hosts_and_serves_both() {
        let mut routes = routes(&["r"]);
        assert_eq!(routes.update(0, base(false), &KnownClusters::of(&|_| false)), None);
        assert!(!routes.is_settled(&reference("r")) && routes.tables().is_empty());
        assert_eq!(routes.take_host_wishes().len(), 1);
        assert_eq!(take(&mut routes, &response(&[("r/a", "a"), ("s/b", "b")], &[], &[])).0, Verdict::Ack);
        assert!(routes.is_settled(&reference("r")));
        assert_eq!(domains(&routes), ["own", "a"]);
        assert_eq!(take(&mut routes, &response(&[("r/b", "b")], &[], &["r/a"])).0, Verdict::Ack);
        assert_eq!(domains(&routes), ["own", "b"]);
    }

    #[test]
    fn a_table_whose_virtual_hosts_do_not_come_serves_its_own() {
        let mut routes = routes(&["r"]);
        routes.update(0, base(false), &KnownClusters::of(&|_| false));
        routes.give_up_hosts(0);
        assert!(routes.is_settled(&reference("r")));
        assert_eq!(domains(&routes), ["own"]);
        assert_eq!(take(&mut routes, &response(&[("r/a", "a")], &[], &[])).0, Verdict::Ack);
        assert_eq!(domains(&routes), ["own", "a"]);
    }

    #[test]
    fn a_new_version_of_the_table_keeps_what_vhds_brought() {
        let mut routes = routes(&["r"]);
        routes.update(0, base(false), &KnownClusters::of(&|_| false));
        take(&mut routes, &response(&[("r/a", "a")], &[], &[]));
        assert_eq!(routes.update(0, base(true), &KnownClusters::of(&|name| name == "c")), None);
        assert_eq!(domains(&routes), ["own", "a"]);
        let problem = routes.update(0, base(true), &KnownClusters::of(&|_| false)).unwrap();
        assert!(problem.text().contains("unknown cluster 'c'"), "{}", problem.text());
        routes.update(0, table("r", "c", false), &KnownClusters::of(&|_| true));
        assert_eq!(domains(&routes), ["*"]);
    }

    #[test]
    fn a_bad_virtual_host_rejects_its_response_by_its_own_name() {
        let mut routes = routes(&["r"]);
        routes.update(0, base(false), &KnownClusters::of(&|_| false));
        take(&mut routes, &response(&[("r/a", "a")], &[], &[]));
        let (verdict, _) = take(&mut routes, &response(&[("r/b", "b"), ("r/c", "own")], &[], &[]));
        let Verdict::Nack { error, .. } = verdict else {
            panic!("taken");
        };
        assert!(error.starts_with("r/c: domains[0]: Only unique values"), "{error}");
        assert_eq!(domains(&routes), ["own", "a"]);
    }

    #[test]
    fn who_asks_is_answered_once_the_host_is_there_or_said_not_to_exist() {
        let mut routes = routes(&["r"]);
        routes.update(0, base(false), &KnownClusters::of(&|_| false));
        take(&mut routes, &response(&[], &[], &[]));
        let ask = |host: &&str| {
            let (answer, answered) = tokio::sync::oneshot::channel();
            routes.ask_host(&SourceKind::Ads, "r", host, answer);
            answered
        };
        let waiting: Vec<_> = ["a", "b", "a", "c"].iter().map(ask).collect();
        assert_eq!(routes.take_host_wishes().len(), 1);
        assert_eq!(take(&mut routes, &response(&[("r/a", "a")], &["r/b"], &["r/c"])).1, waiting.len());
        assert_eq!(routes.take_host_wishes(), []);
    }
}
