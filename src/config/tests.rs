//! Conversions from YAML, as users write it.

use dragoman_proto::{encode, tree};

use super::extension::Extensions;
use super::extension_source::FilterConfigType;
use super::field::{Error, Notes};
use super::http_connection_manager::RouteSpecifier;
use super::{Cluster, HttpConnectionManager, Listener, RouteConfiguration};

/// The wire form of a message written in YAML.
fn bytes(yaml: &str, message: &str) -> Vec<u8> {
    let document = tree::parse_yaml(yaml).expect("YAML");
    encode(&document.root, message, &encode::Options::default()).expect("a message").bytes
}

fn cluster(yaml: &str) -> Result<(Cluster, Notes), Vec<Error>> {
    Cluster::parse(&bytes(yaml, "envoy.config.cluster.v3.Cluster"), &Extensions::BUILT_IN)
}

fn listener(yaml: &str) -> Result<(Listener, Notes), Vec<Error>> {
    Listener::parse(&bytes(yaml, "envoy.config.listener.v3.Listener"), &Extensions::BUILT_IN)
}

fn routes(yaml: &str) -> Result<(RouteConfiguration, Notes), Vec<Error>> {
    RouteConfiguration::parse(&bytes(yaml, "envoy.config.route.v3.RouteConfiguration"), &Extensions::BUILT_IN)
}

/// The errors as they are shown, one a line.
fn text(errors: Vec<Error>) -> String {
    errors.iter().map(Error::to_string).collect::<Vec<_>>().join("\n")
}

const LISTENER: &str = r#"
name: web
address: {socket_address: {address: "::", port_value: 80, ipv4_compat: true}}
filter_chains:
- filters:
  - name: http
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: web
      route_config:
        virtual_hosts:
        - name: all
          domains: ["*"]
          routes:
          - match: {prefix: /}
            route: {cluster: app}
      http_filters:
      - name: optional
        is_optional: true
        typed_config:
          "@type": type.googleapis.com/xds.type.v3.TypedStruct
          type_url: type.googleapis.com/not.known
      - name: router
        typed_config:
          "@type": type.googleapis.com/udpa.type.v1.TypedStruct
          type_url: type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          value: {suppress_envoy_headers: true}
"#;

#[test]
fn listener_holds_its_connection_manager() {
    let (listener, notes) = listener(LISTENER).expect("a listener");
    assert!(listener.addresses[0].ipv4_compat);
    let manager: &HttpConnectionManager = listener.filter_chains[0].filters[0].downcast().expect("a manager");
    let RouteSpecifier::Inline(table) = &manager.routes else { panic!("inline routes") };
    assert_eq!(table.virtual_hosts[0].routes.len(), 1);
    let FilterConfigType::Typed(config) = &manager.http_filters[0].config else { panic!("a typed config") };
    let router: &super::router::Router = config.downcast().expect("a router");
    assert!(router.suppress_envoy_headers);
    let [note] = notes.as_slice() else { panic!("one note: {notes:?}") };
    assert_eq!(note.path, "filter_chains[0].filters[0].typed_config.http_filters[0]");
}

#[test]
fn all_errors_of_a_cluster_are_listed_with_their_paths() {
    let errors = cluster(
        "{name: app, filters: [{name: f}], connect_timeout: 0s, \
         load_assignment: {cluster_name: app, endpoints: [{priority: 1, lb_endpoints: \
         [{endpoint: {address: {socket_address: {address: app.internal, port_value: 80}}}}]}]}}",
    )
    .expect_err("three errors");
    assert_eq!(
        text(errors),
        "connect_timeout: value must be greater than 0s\n\
         filters: not supported: the one that there is, reverse_tunnel_lifecycle, is of no use without tunnels of that kind\n\
         load_assignment.endpoints[0].lb_endpoints[0]: malformed IP address: app.internal. Consider setting \
         resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'"
    );
}

#[test]
fn a_domain_may_stand_once_in_a_table() {
    let errors = routes(
        "{name: r, virtual_hosts: [{name: a, domains: [a.com, '*']}, {name: b, domains: [A.com, '*']}]}",
    )
    .expect_err("two errors");
    assert_eq!(
        text(errors),
        "virtual_hosts[1].domains[0]: Only unique values for domains are permitted. Duplicate entry of domain \
         a.com in route r\n\
         virtual_hosts[1].domains[1]: Only a single wildcard domain is permitted in route r"
    );
}

#[test]
fn what_an_any_in_metadata_holds_must_be_its_message() {
    use envoy_types::pb::envoy::config::cluster::v3;
    use envoy_types::pb::envoy::config::core::v3::Metadata;
    use envoy_types::pb::google::protobuf::Any;
    use prost::Message;

    let type_url = "type.googleapis.com/envoy.config.core.v3.Address".to_owned();
    // A field that is cut off.
    let cut = Any { type_url, value: vec![0x0a] };
    let metadata = Metadata { typed_filter_metadata: [("x".to_owned(), cut)].into(), ..Metadata::default() };
    let message = v3::Cluster { name: "c".to_owned(), metadata: Some(metadata), ..v3::Cluster::default() };
    let errors = Cluster::parse(&message.encode_to_vec(), &Extensions::BUILT_IN).expect_err("an error");
    assert_eq!(
        text(errors),
        "metadata.typed_filter_metadata[\"x\"]: not a valid envoy.config.core.v3.Address: the message is cut off",
    );
}

#[test]
fn what_proxy_protocol_tells_single_hosts_has_a_type_of_its_own() {
    let errors = cluster(
        "{name: c, load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{metadata: {typed_filter_metadata: \
         {envoy.transport_sockets.proxy_protocol: {'@type': type.googleapis.com/envoy.config.core.v3.Address, pipe: \
         {path: a}}}}, endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}}]}]}}",
    )
    .expect_err("an error");
    assert_eq!(
        text(errors),
        "load_assignment.endpoints[0].lb_endpoints[0].metadata.typed_filter_metadata[\"envoy.transport_sockets.\
         proxy_protocol\"]: expected a envoy.config.core.v3.PerHostConfig, not a envoy.config.core.v3.Address"
    );
}

#[test]
fn a_host_names_its_proxy_by_an_address() {
    let named = |proxy: &str| {
        cluster(&format!(
            "{{name: c, load_assignment: {{cluster_name: c, endpoints: [{{lb_endpoints: [{{metadata: \
             {{typed_filter_metadata: {{envoy.http11_proxy_transport_socket.proxy_address: {proxy}}}}}, endpoint: \
             {{address: {{socket_address: {{address: 127.0.0.1, port_value: 1}}}}}}}}]}}]}}}}",
        ))
    };
    let place = "load_assignment.endpoints[0].lb_endpoints[0].metadata.typed_filter_metadata[\"envoy.\
                 http11_proxy_transport_socket.proxy_address\"]";
    let kind = "'@type': type.googleapis.com/envoy.config.core.v3";
    assert!(named(&format!("{{{kind}.Address, pipe: {{path: /proxy}}}}")).is_ok());
    let address = "socket_address: {address: proxy.example, port_value: 1}";
    let errors = named(&format!("{{{kind}.Address, {address}}}")).expect_err("a name");
    assert_eq!(text(errors), format!("{place}: malformed IP address: proxy.example"));
    let errors = named(&format!("{{{kind}.Metadata}}")).expect_err("another type");
    assert!(text(errors).starts_with(&format!("{place}: ")));
}

#[test]
fn what_no_listener_within_the_process_can_be_told_is_refused() {
    let kind = "'@type': type.googleapis.com/envoy.extensions.transport_sockets";
    let errors = cluster(&format!(
        "{{name: c, transport_socket: {{name: i, typed_config: {{{kind}.internal_upstream.v3.InternalUpstreamTransport, \
         passthrough_metadata: [{{kind: {{route: {{}}}}, name: m}}], transport_socket: {{name: r, typed_config: \
         {{{kind}.raw_buffer.v3.RawBuffer}}}}}}}}}}"
    ))
    .expect_err("an error");
    assert_eq!(
        text(errors),
        "transport_socket.typed_config.passthrough_metadata[0].kind.route: not supported: metadata type is not supported; host \
         and cluster are"
    );
}

#[test]
fn a_bias_that_is_no_number_is_refused() {
    let errors = cluster(
        "{name: c, lb_policy: LEAST_REQUEST, least_request_lb_config: {active_request_bias: \
         {default_value: NaN, runtime_key: \"\"}}}",
    );
    assert!(text(errors.expect_err("an error")).contains("must be a number"));
}
