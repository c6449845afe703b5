//! The real binary and a real management server, over loopback.

#![expect(clippy::unwrap_used, reason = "a test fails where its setup does")]

mod aggregate;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "the differential tests use the rest")]
mod common;
mod extensions;
mod filter_chains;
mod followed;
mod load;
mod on_demand_clusters;
mod on_demand_secrets;
mod refused_secrets;
mod resumption;
mod secrets;
mod secure;
mod setup;
mod sources;
mod virtual_hosts;
mod watched;

use std::time::Instant;

use setup::{
    Client, PATIENCE, Plane, Upstream, Variant, cluster, listener, routes_to, scope, scoped_listener, start,
};

/// Everything that sends all requests to `blue`, or to `green`.
fn resources(blue: &Upstream, green: &Upstream, to: &str, more: &str) -> String {
    [cluster("blue", blue), cluster("green", green), listener(more), routes_to(to)].concat()
}

fn terminate(proxy: &common::Proxy) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(proxy.child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
}

#[test]
fn a_route_is_swapped_in_while_its_connections_stay_open() {
    for variant in [Variant::Sotw, Variant::Delta] {
        let (blue, green) = (Upstream::named("blue"), Upstream::named("green"));
        let plane = Plane::with(&resources(&blue, &green, "blue", ""));
        let (proxy, _directory) = start(&plane, variant);
        let mut client = Client::connect(&proxy);
        assert_eq!(client.get("/"), "blue", "{variant:?}");
        plane.set(&resources(&blue, &green, "green", "")).unwrap();
        assert_eq!(client.get("/"), "green", "{variant:?}");
    }
}

#[test]
fn a_listener_update_keeps_requests_in_flight() {
    let (blue, green) = (Upstream::named("blue"), Upstream::named("green"));
    let plane = Plane::with(&resources(&blue, &green, "blue", ""));
    let (proxy, _directory) = start(&plane, Variant::Sotw);
    let mut client = Client::connect(&proxy);
    client.send("/slow");
    let release = blue.slow.recv().unwrap();
    plane.set(&resources(&blue, &green, "blue", "max_request_headers_kb: 50")).unwrap();
    assert_eq!(Client::connect(&proxy).get("/"), "blue");
    release.send(()).unwrap();
    let (head, body) = client.receive();
    assert_eq!(body, "blue");
    assert!(head.contains("connection: close"), "the replaced listener drains: {head}");
}

#[test]
fn a_nack_keeps_the_last_good_version_and_names_every_error() {
    let (blue, green) = (Upstream::named("blue"), Upstream::named("green"));
    let good = resources(&blue, &green, "blue", "");
    let plane = Plane::with(&good);
    let (proxy, _directory) = start(&plane, Variant::Sotw);
    let contradictions = [
        "strip_matching_host_port: true",
        "strip_any_host_port: true",
        "upgrade_configs: [{upgrade_type: a}, {upgrade_type: A}]",
    ];
    let bad = resources(&blue, &green, "blue", &contradictions.join("\n        "));
    let nack = plane.set(&bad).unwrap_err().to_string();
    assert!(nack.contains("Error adding/updating listener(s) web: "), "{nack}");
    assert!(nack.contains("strip_any_host_port") && nack.contains("upgrade_configs[1]"), "{nack}");
    assert_eq!(Client::connect(&proxy).get("/"), "blue");
    plane.set(&good).unwrap();
}

#[test]
fn a_lost_control_plane_changes_nothing_and_is_found_again() {
    let (blue, green) = (Upstream::named("blue"), Upstream::named("green"));
    let plane = Plane::with(&resources(&blue, &green, "blue", ""));
    let (proxy, _directory) = start(&plane, Variant::Delta);
    let mut client = Client::connect(&proxy);
    let control = plane.handle.control();
    control.refuse_connections(true);
    assert!(control.drop_streams() > 0);
    assert_eq!(client.get("/"), "blue");
    control.refuse_connections(false);
    plane.set(&resources(&blue, &green, "green", "")).unwrap();
    // The proxy subscribes anew type by type, so the plane may be content before it is asked for routes.
    let deadline = Instant::now() + PATIENCE;
    while client.get("/") != "green" {
        assert!(Instant::now() < deadline, "the new route does not come");
    }
}

#[test]
fn a_removed_cluster_answers_503_and_a_removed_listener_takes_no_connection() {
    let (blue, green) = (Upstream::named("blue"), Upstream::named("green"));
    let plane = Plane::with(&resources(&blue, &green, "blue", ""));
    let (proxy, _directory) = start(&plane, Variant::Sotw);
    let mut client = Client::connect(&proxy);
    assert_eq!(client.get("/"), "blue");
    plane.set(&[cluster("green", &green), listener(""), routes_to("blue")].concat()).unwrap();
    client.send("/");
    assert!(client.receive().0.starts_with("HTTP/1.1 503"));
    plane.set(&cluster("green", &green)).unwrap();
    assert!(proxy.listeners().unwrap().is_empty());
}

#[test]
fn scopes_come_and_go_with_their_tables() {
    const NAMED: &str = "route_configuration_name: routes";
    const INLINE: &str = r#"route_configuration: {name: inline, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: green}}]}]}"#;
    for variant in [Variant::Sotw, Variant::Delta] {
        let (blue, green) = (Upstream::named("blue"), Upstream::named("green"));
        let rest = [cluster("blue", &blue), cluster("green", &green), scoped_listener(), routes_to("blue")];
        let with = |scopes: &[String]| [rest.concat(), scopes.concat()].concat();
        let plane = Plane::with(&with(&[scope("one", "/a", NAMED)]));
        let (proxy, _directory) = start(&plane, variant);
        let mut client = Client::connect(&proxy);
        assert_eq!((client.get("/a").as_str(), client.get("/b").as_str()), ("blue", ""), "{variant:?}");
        plane.set(&with(&[scope("one", "/a", NAMED), scope("two", "/b", INLINE)])).unwrap();
        assert_eq!((client.get("/a").as_str(), client.get("/b").as_str()), ("blue", "green"), "{variant:?}");
        let conflict = [scope("one", "/b", NAMED), scope("two", "/b", INLINE)];
        let nack = plane.set(&with(&conflict)).unwrap_err().to_string();
        assert!(nack.contains("first scope is 'one', second scope is 'two'"), "{nack}");
        assert_eq!(client.get("/a"), "blue", "{variant:?}");
        plane.set(&with(&[scope("three", "/a", INLINE)])).unwrap();
        assert_eq!((client.get("/a").as_str(), client.get("/b").as_str()), ("green", ""), "{variant:?}");
    }
}

#[test]
fn sigterm_finishes_what_is_in_flight_and_exits_with_success() {
    let (blue, green) = (Upstream::named("blue"), Upstream::named("green"));
    let plane = Plane::with(&resources(&blue, &green, "blue", ""));
    let (mut proxy, _directory) = start(&plane, Variant::Sotw);
    let mut client = Client::connect(&proxy);
    client.send("/slow");
    let release = blue.slow.recv().unwrap();
    terminate(&proxy);
    release.send(()).unwrap();
    assert_eq!(client.receive().1, "blue");
    assert!(client.is_closed());
    assert!(proxy.child.wait().unwrap().success(), "{}", proxy.log());
}
