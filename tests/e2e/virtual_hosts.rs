//! Virtual hosts over VHDS, before requests want them and when they do: the same against dragoman and against Envoy.

use std::time::{Duration, Instant};

use dragoman_xds::load_str;

use super::common::Proxy;
use super::setup::{Client, PATIENCE, Plane, Upstream, cluster, listener, with_each};

const ADS: &str = "ads: {}";

const OWN: &str = "api_config_source: {api_type: DELTA_GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: plane}}]}";

/// A listener, a table without virtual hosts for these requests, and a cluster for them.
fn resources(upstream: &Upstream, source: &str, of_table: &str) -> String {
    const FILTERS: &str = "http_filters:\n";
    const ON_DEMAND: &str = "        - name: envoy.filters.http.on_demand\n          typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.on_demand.v3.OnDemand}\n";
    let listener = listener("").replace(FILTERS, &format!("{FILTERS}{ON_DEMAND}"));
    assert!(listener.contains(ON_DEMAND));
    let table = format!(
        r#"
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: routes
  vhds: {{config_source: {{{source}}}}}
  {of_table}
"#
    );
    [cluster("up", upstream), listener, table].concat()
}

/// A virtual host whose requests are answered with `text`, or forwarded.
fn host(name: &str, domain: &str, text: &str) -> String {
    let action = match text {
        "" => "route: {cluster: up}".to_owned(),
        text => format!("direct_response: {{status: 200, body: {{inline_string: {text}}}}}"),
    };
    format!(
        r#"
- "@type": type.googleapis.com/envoy.service.discovery.v3.Resource
  name: {name}
  resource:
    "@type": type.googleapis.com/envoy.config.route.v3.VirtualHost
    name: {name}
    domains: [{domain}]
    routes: [{{match: {{prefix: /}}, {action}}}]
"#
    )
}

/// The status and the body of the answer to a request for this host.
fn ask(proxy: &Proxy, host: &str) -> (u16, String) {
    let mut client = Client::connect(proxy);
    client.send_bytes(&format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"));
    answer(&mut client)
}

fn answer(client: &mut Client) -> (u16, String) {
    let (head, body) = client.receive();
    (head[9..12].parse().unwrap(), body)
}

fn found(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

fn missing() -> (u16, String) {
    (404, String::new())
}

fn stat(proxy: &Proxy, name: &str) -> u64 {
    let stats = proxy.get(&format!("/stats?usedonly&filter=^{name}$")).unwrap();
    let text = String::from_utf8(stats.body).unwrap();
    text.trim().rsplit_once(": ").map_or(0, |(_, value)| value.parse().unwrap())
}

/// The route tables in force, as they are dumped.
fn tables(proxy: &Proxy) -> String {
    let dump = proxy.get("/config_dump?resource=dynamic_route_configs").unwrap();
    String::from_utf8(dump.body).unwrap()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn until_active(proxy: &Proxy, count: u64) {
    until("the requests come", || stat(proxy, "http.web.downstream_rq_active") == count);
}

#[test]
fn virtual_hosts_come_change_and_go() {
    with_each(|start| {
        let upstream = Upstream::named("up");
        let rest = resources(&upstream, ADS, "");
        let plane =
            Plane::with(&[&rest[..], &host("routes/a", "a", "one"), &host("routes/b", "b", "")].concat());
        let (proxy, _directory) = start(&plane);
        assert_eq!((ask(&proxy, "a"), ask(&proxy, "B")), (found("one"), found("up")));
        plane.set(&[&rest[..], &host("routes/a", "a", "two")].concat()).unwrap();
        assert_eq!((ask(&proxy, "a"), ask(&proxy, "b")), (found("two"), missing()));
        let dump = tables(&proxy);
        assert!(dump.contains("\"name\": \"routes/a\"") && !dump.contains("routes/b"), "{dump}");
        // The table's own virtual hosts change, those of VHDS stay.
        let own = "virtual_hosts: [{name: own, domains: [own], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: own}}}]}]";
        plane.set(&[&resources(&upstream, ADS, own)[..], &host("routes/a", "a", "two")].concat()).unwrap();
        assert_eq!((ask(&proxy, "a"), ask(&proxy, "own")), (found("two"), found("own")));
        assert_eq!(stat(&proxy, "http.web.rds.routes.update_success"), 2);
    });
}

#[test]
fn a_host_that_nobody_has_is_asked_for_once_and_found_when_it_appears() {
    with_each(|start| {
        let upstream = Upstream::named("up");
        let rest = resources(&upstream, ADS, "");
        let plane = Plane::with(&[&rest[..], &host("routes/a", "a", "")].concat());
        let (proxy, _directory) = start(&plane);
        for _ in 0..3 {
            assert_eq!(ask(&proxy, "New"), missing());
        }
        assert_eq!(stat(&proxy, "http.web.rds.vhds.routes.update_success"), 2);
        assert_eq!(stat(&proxy, "http.web.rds.vhds.routes.update_attempt"), 4);
        plane.set(&[&rest[..], &host("routes/new", "new", "new")].concat()).unwrap();
        assert_eq!((ask(&proxy, "new"), ask(&proxy, "a")), (found("new"), missing()));
        plane.set(&[&rest[..], &host("routes/a", "a", "")].concat()).unwrap();
        assert_eq!((ask(&proxy, "new"), ask(&proxy, "a")), (missing(), found("up")));
    });
}

#[test]
fn requests_wait_for_their_virtual_host_while_the_server_is_away() {
    with_each(|start| {
        let upstream = Upstream::named("up");
        let rest = [resources(&upstream, ADS, ""), host("routes/a", "a", "")].concat();
        let plane = Plane::with(&rest);
        let (proxy, _directory) = start(&plane);
        assert_eq!(ask(&proxy, "a"), found("up"));
        let control = plane.handle.control();
        control.refuse_connections(true);
        assert!(control.drop_streams() > 0);
        until("the loss is noticed", || stat(&proxy, "http.web.rds.vhds.routes.update_failure") > 0);
        let mut waiting: Vec<Client> = (0..5).map(|_| Client::connect(&proxy)).collect();
        waiting[0].send_bytes("GET / HTTP/1.1\r\nhost: late\r\n\r\n");
        waiting[1].send_bytes("GET / HTTP/1.1\r\nhost: LATE\r\n\r\n");
        waiting[2].send_bytes("POST / HTTP/1.1\r\nhost: late\r\ncontent-length: 5\r\n\r\nhello");
        waiting[3].send_bytes("POST / HTTP/1.1\r\nhost: late\r\ncontent-length: 5\r\n\r\nhe");
        waiting[4].send_bytes("GET / HTTP/1.1\r\nhost: never\r\n\r\n");
        // The admin interface's own requests count elsewhere.
        until_active(&proxy, 5);
        assert_eq!(ask(&proxy, "a"), found("up"));
        control.publish(load_str(&[&rest[..], &host("routes/late", "late", "late")].concat()).unwrap());
        control.refuse_connections(false);
        for client in &mut waiting[..4] {
            assert_eq!(answer(client), found("late"));
        }
        assert_eq!(answer(&mut waiting[4]), missing());
    });
}

#[test]
fn a_waiting_request_whose_client_goes_away_ends() {
    with_each(|start| {
        let upstream = Upstream::named("up");
        let plane = Plane::with(&[resources(&upstream, ADS, ""), host("routes/a", "a", "")].concat());
        let (proxy, _directory) = start(&plane);
        let control = plane.handle.control();
        control.refuse_connections(true);
        control.drop_streams();
        let mut client = Client::connect(&proxy);
        client.send_bytes("GET / HTTP/1.1\r\nhost: late\r\n\r\n");
        until_active(&proxy, 1);
        drop(client);
        until_active(&proxy, 0);
    });
}

#[test]
fn a_bad_virtual_host_is_refused_and_the_last_good_ones_stay() {
    with_each(|start| {
        let upstream = Upstream::named("up");
        let rest = resources(&upstream, ADS, "");
        let good = [&rest[..], &host("routes/a", "a", "good")].concat();
        let plane = Plane::with(&good);
        let (proxy, _directory) = start(&plane);
        let twice = [&rest[..], &host("routes/a", "a", "bad"), &host("routes/b", "a", "bad")].concat();
        let nack = plane.set(&twice).unwrap_err().to_string();
        assert!(
            nack.contains("Only unique values for domains are permitted. Duplicate entry of domain a"),
            "{nack}"
        );
        assert_eq!(ask(&proxy, "a"), found("good"));
        assert_eq!(stat(&proxy, "http.web.rds.vhds.routes.update_rejected"), 1);
        plane.set(&good).unwrap();
    });
}

#[test]
fn a_refused_table_leaves_the_one_in_force_on_its_source() {
    with_each(|start| {
        const TWICE: &str = "virtual_hosts: [{name: one, domains: [own]}, {name: two, domains: [own]}]";
        let upstream = Upstream::named("up");
        let rest = resources(&upstream, ADS, "");
        let plane = Plane::with(&[&rest[..], &host("routes/a", "a", "one")].concat());
        let (proxy, _directory) = start(&plane);
        assert_eq!(ask(&proxy, "a"), found("one"));
        let bad = resources(&upstream, OWN, TWICE);
        let nack = plane.set(&[&bad[..], &host("routes/a", "a", "two")].concat()).unwrap_err().to_string();
        assert!(nack.contains("Only unique values for domains are permitted"), "{nack}");
        until("the virtual host changes", || ask(&proxy, "a") == found("two"));
        plane
            .set(&[&rest[..], &host("routes/a", "a", "three"), &host("routes/b", "b", "new")].concat())
            .unwrap();
        assert_eq!((ask(&proxy, "a"), ask(&proxy, "b")), (found("three"), found("new")));
    });
}

#[test]
fn a_virtual_host_whose_time_is_over_is_gone() {
    with_each(|start| {
        let upstream = Upstream::named("up");
        let brief = host("routes/a", "a", "one").replace("  resource:\n", "  ttl: 1s\n  resource:\n");
        let stays = host("routes/b", "b", "two");
        let plane = Plane::with(&[resources(&upstream, ADS, ""), brief, stays].concat());
        let (proxy, _directory) = start(&plane);
        assert_eq!((ask(&proxy, "a"), ask(&proxy, "b")), (found("one"), found("two")));
        let control = plane.handle.control();
        control.refuse_connections(true);
        // From here on nobody renews it.
        assert!(control.drop_streams() > 0);
        until("the virtual host goes", || !tables(&proxy).contains("\"name\": \"routes/a\""));
        assert!(tables(&proxy).contains("\"name\": \"routes/b\""));
        assert_eq!(ask(&proxy, "b"), found("two"));
    });
}

#[test]
fn virtual_hosts_come_over_a_stream_of_their_own_until_the_table_wants_none() {
    with_each(|start| {
        let upstream = Upstream::named("up");
        let hosts = host("routes/a", "a", "one");
        let rest = resources(&upstream, OWN, "");
        let plane = Plane::with(&[&rest[..], &hosts].concat());
        let (proxy, _directory) = start(&plane);
        assert_eq!((ask(&proxy, "a"), ask(&proxy, "b")), (found("one"), missing()));
        plane.set(&[&rest[..], &hosts, &host("routes/b", "b", "two")].concat()).unwrap();
        until("the new virtual host comes", || ask(&proxy, "b") == found("two"));
        let vhds = rest.lines().find(|line| line.contains("vhds: ")).unwrap();
        let without = rest.replace(vhds, "");
        plane.set(&without).unwrap();
        assert_eq!((ask(&proxy, "a"), ask(&proxy, "b")), (missing(), missing()));
    });
}
