//! Configurations of HTTP filters over ECDS.

use super::setup::{Client, Plane, Upstream, Variant, cluster, listener, routes_to, start};

const MUTATION: &str = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation";
const BUFFER: &str = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer";

/// The listener with a filter before its router whose configuration is discovered; `more` goes into the source.
fn discovering(more: &str) -> String {
    let filters = "http_filters:\n";
    let listener = listener("");
    assert!(listener.contains(filters));
    let filter = format!(
        "        - name: found\n          config_discovery: {{config_source: {{ads: {{}}}}, type_urls: ['{MUTATION}']{more}}}\n"
    );
    listener.replace(filters, &format!("{filters}{filter}"))
}

/// Header mutations that put this value into `x-seen` of responses.
fn mutation(value: &str) -> String {
    format!(
        "{{'@type': {MUTATION}, mutations: {{response_mutations: [{{append: {{header: {{key: x-seen, value: {value}}}}}}}]}}}}"
    )
}

/// The configuration of the filter.
fn config(typed_config: &str) -> String {
    format!(
        "- {{'@type': type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig, name: found, typed_config: {typed_config}}}\n"
    )
}

/// The status of the answer, and what the filter put into it.
fn ask(client: &mut Client) -> (u16, Option<String>) {
    client.send("/");
    let (head, _) = client.receive();
    let seen = head.lines().find_map(|line| line.strip_prefix("x-seen: "));
    (head[9..12].parse().unwrap(), seen.map(str::to_owned))
}

fn seen(value: &str) -> (u16, Option<String>) {
    (200, Some(value.to_owned()))
}

#[test]
fn an_update_of_a_filter_touches_no_connection() {
    for variant in [Variant::Sotw, Variant::Delta] {
        let up = Upstream::named("up");
        let rest = [cluster("up", &up), routes_to("up"), discovering("")].concat();
        let with = |value: &str| [rest.clone(), config(&mutation(value))].concat();
        let plane = Plane::with(&with("one"));
        let (proxy, _directory) = start(&plane, variant);
        let mut client = Client::connect(&proxy);
        assert_eq!(ask(&mut client), seen("one"), "{variant:?}");
        plane.set(&with("two")).unwrap();
        assert_eq!(ask(&mut client), seen("two"), "{variant:?}");
        // A request keeps the filters that it began with.
        client.send("/slow");
        let release = up.slow.recv().unwrap();
        plane.set(&with("three")).unwrap();
        release.send(()).unwrap();
        assert!(client.receive().0.contains("x-seen: two"), "{variant:?}");
        assert_eq!(ask(&mut client), seen("three"), "{variant:?}");
    }
}

#[test]
fn a_configuration_of_the_wrong_type_is_refused_and_the_last_good_one_stays() {
    for variant in [Variant::Sotw, Variant::Delta] {
        let up = Upstream::named("up");
        let rest = [cluster("up", &up), routes_to("up"), discovering("")].concat();
        let with = |typed_config: &str| [rest.clone(), config(typed_config)].concat();
        let plane = Plane::with(&with(&mutation("good")));
        let (proxy, _directory) = start(&plane, variant);
        let mut client = Client::connect(&proxy);
        assert_eq!(ask(&mut client), seen("good"), "{variant:?}");
        let wrong = format!("{{'@type': {BUFFER}, max_request_bytes: 3}}");
        let nack = plane.set(&with(&wrong)).unwrap_err().to_string();
        let expected = "found: Error: filter config has type URL envoy.extensions.filters.http.buffer.v3.Buffer but \
                        expect envoy.extensions.filters.http.header_mutation.v3.HeaderMutation.";
        assert!(nack.contains(expected), "{nack}");
        assert_eq!(ask(&mut client), seen("good"), "{variant:?}");
        plane.set(&with(&mutation("better"))).unwrap();
        assert_eq!(ask(&mut client), seen("better"), "{variant:?}");
    }
}

#[test]
fn a_removed_configuration_is_replaced_by_the_default_or_answered_500() {
    for (default, expected) in [
        (String::new(), (500, None)),
        (format!(", default_config: {}", mutation("default")), seen("default")),
    ] {
        let up = Upstream::named("up");
        let rest = [cluster("up", &up), routes_to("up"), discovering(&default)].concat();
        let plane = Plane::with(&[rest.clone(), config(&mutation("there"))].concat());
        let (proxy, _directory) = start(&plane, Variant::Delta);
        let mut client = Client::connect(&proxy);
        assert_eq!(ask(&mut client), seen("there"));
        plane.set(&rest).unwrap();
        assert_eq!(ask(&mut client), expected);
    }
}

#[test]
fn a_default_that_needs_no_warming_serves_until_the_configuration_comes() {
    let up = Upstream::named("up");
    let more =
        format!(", apply_default_config_without_warming: true, default_config: {}", mutation("default"));
    let rest = [cluster("up", &up), routes_to("up"), discovering(&more)].concat();
    let plane = Plane::with(&rest);
    let (proxy, _directory) = start(&plane, Variant::Sotw);
    let mut client = Client::connect(&proxy);
    assert_eq!(ask(&mut client), seen("default"));
    plane.set(&[rest, config(&mutation("come"))].concat()).unwrap();
    assert_eq!(ask(&mut client), seen("come"));
}

#[test]
fn a_configuration_that_the_server_does_not_have_is_not_waited_for() {
    let up = Upstream::named("up");
    let rest = [cluster("up", &up), routes_to("up"), discovering("")].concat();
    let plane = Plane::with(&rest);
    let (proxy, _directory) = start(&plane, Variant::Delta);
    let mut client = Client::connect(&proxy);
    assert_eq!(ask(&mut client), (500, None));
    plane.set(&[rest, config(&mutation("come"))].concat()).unwrap();
    assert_eq!(ask(&mut client), seen("come"));
}
