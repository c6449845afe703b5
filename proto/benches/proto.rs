//! What the descriptors cost: at start, and for each cluster of a large configuration.
//!
//! `cargo bench -p dragoman-proto`

use divan::{Bencher, counter::ItemsCount};
use dragoman_proto::{
    PrintOptions, descriptor, encode,
    encode::Options,
    inspect, print,
    tree::{Document, parse_json, parse_yaml},
};

const BOOTSTRAP: &str = "envoy.config.bootstrap.v3.Bootstrap";
const CLUSTERS: usize = 10_000;

fn main() {
    divan::main();
}

/// A bootstrap with many clusters as control planes send them: endpoints, HTTP options in an `Any`.
fn bootstrap() -> String {
    let clusters: Vec<String> = (0..CLUSTERS).map(cluster).collect();
    format!("{{\"static_resources\": {{\"clusters\": [\n{}\n]}}}}", clusters.join(",\n"))
}

fn cluster(number: usize) -> String {
    let name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let options = format!(
        r#"{{"{name}": {{"@type": "type.googleapis.com/{name}", "explicit_http_config": {{"http2_protocol_options": {{"max_concurrent_streams": 100}}}}}}}}"#
    );
    let address =
        format!(r#"{{"socket_address": {{"address": "10.0.0.{}", "port_value": 8080}}}}"#, number % 256);
    let endpoints = format!(r#"[{{"lb_endpoints": [{{"endpoint": {{"address": {address}}}}}]}}]"#);
    format!(
        r#"{{"name": "cluster-{number}", "type": "STATIC", "connect_timeout": "0.25s", "lb_policy": "LEAST_REQUEST",
            "circuit_breakers": {{"thresholds": [{{"max_connections": 1024, "max_requests": 2048}}]}},
            "load_assignment": {{"cluster_name": "cluster-{number}", "endpoints": {endpoints}}},
            "typed_extension_protocol_options": {options}}}"#
    )
}

fn document() -> Document {
    parse_json(&bootstrap()).expect("JSON")
}

fn encoded() -> Vec<u8> {
    encode(&document().root, BOOTSTRAP, &Options::default()).expect("encodes").bytes
}

/// A first look-up scans the descriptors; this is what a process pays once.
#[divan::bench(sample_count = 1, sample_size = 1)]
fn first_look_up() -> usize {
    divan::black_box(descriptor::message(BOOTSTRAP)).map_or(0, |message| message.fields().len())
}

#[divan::bench(sample_count = 10)]
fn parse_yaml_clusters(bencher: Bencher<'_, '_>) {
    let text = bootstrap();
    bencher.counter(ItemsCount::new(CLUSTERS)).bench(|| parse_yaml(&text));
}

#[divan::bench(sample_count = 10)]
fn parse_json_clusters(bencher: Bencher<'_, '_>) {
    let text = bootstrap();
    bencher.counter(ItemsCount::new(CLUSTERS)).bench(|| parse_json(&text));
}

#[divan::bench(sample_count = 10)]
fn encode_clusters(bencher: Bencher<'_, '_>) {
    let document = document();
    bencher
        .counter(ItemsCount::new(CLUSTERS))
        .bench(|| encode(&document.root, BOOTSTRAP, &Options::default()));
}

#[divan::bench(sample_count = 50)]
fn inspect_clusters(bencher: Bencher<'_, '_>) {
    let bytes = encoded();
    bencher.counter(ItemsCount::new(CLUSTERS)).bench(|| inspect(&bytes, BOOTSTRAP));
}

#[divan::bench(sample_count = 10)]
fn print_clusters(bencher: Bencher<'_, '_>) {
    let bytes = encoded();
    bencher.counter(ItemsCount::new(CLUSTERS)).bench(|| print(&bytes, BOOTSTRAP, &PrintOptions::default()));
}
