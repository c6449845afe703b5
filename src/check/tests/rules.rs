//! Each rule: what it finds, and what it does not.

use super::{MANAGER, check_files, ids, listener, resources};

#[test]
fn clusters_that_exist_nowhere_are_found_with_the_nearest_name() {
    let routes = listener("[{match: {prefix: /}, route: {cluster: ap}}]");
    let both = resources(&[&routes, "{name: app, connect_timeout: 1s}\n"]);
    let ran = check_files(&[("a.yaml", &both)], &[]);
    assert_eq!(ran.ids(), ["unknown-cluster"]);
    assert!(ran.out.contains("hint: did you mean 'app'?"), "{}", ran.out);
    // Without any cluster, nothing is known of those that a management server has.
    assert_eq!(ids(&routes), Vec::<String>::new());
}

#[test]
fn clusters_that_are_missing_are_errors_where_the_table_would_be_refused() {
    let severity = |yaml: &str| {
        let ran = check_files(&[("a.yaml", &resources(&[yaml, "{name: app, connect_timeout: 1s}\n"]))], &[]);
        let found = ran.out.lines().find(|line| line.contains("[unknown-cluster]"));
        found.map(|line| line.split(": ").nth(1).unwrap_or_default().to_owned())
    };
    let routes = "[{match: {prefix: /}, route: {cluster: ap}}]";
    assert_eq!(severity(&listener(routes)).as_deref(), Some("error"));
    let unchecked = listener(routes).replace("route_config: {", "route_config: {validate_clusters: false, ");
    assert_eq!(severity(&unchecked).as_deref(), Some("warning"));
    let table = |rest: &str| {
        format!("{{name: r, virtual_hosts: [{{name: h, domains: ['*'], routes: {routes}}}]{rest}}}\n")
    };
    assert_eq!(severity(&table("")).as_deref(), Some("warning"));
    assert_eq!(severity(&table(", validate_clusters: true")).as_deref(), Some("error"));
}

/// A listener over UDP whose proxy sends everything to `app`, with this filter of its sessions.
fn udp_listener(session_filter: &str) -> String {
    format!(
        "{{name: u, address: {{socket_address: {{protocol: UDP, address: 127.0.0.1, port_value: 80}}}}, \
         listener_filters: [{{name: u, typed_config: {{'@type': type.googleapis.com/\
         envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig, stat_prefix: u, \
         session_filters: [{session_filter}], matcher: {{on_no_match: {{action: {{name: r, typed_config: \
         {{'@type': type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3.Route, cluster: app}}}}}}}}}}}}]}}\n"
    )
}

#[test]
fn clusters_that_are_missing_are_found_wherever_they_are_named() {
    let found = |yaml: &str, cluster: &str| {
        let cluster = format!("{{name: {cluster}, connect_timeout: 1s}}\n");
        let ran = check_files(&[("a.yaml", &resources(&[yaml, &cluster]))], &[]);
        ran.out
            .lines()
            .filter(|line| line.contains("[unknown-cluster]"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&udp_listener(""), "app"), Vec::<String>::new());
    let [line] = &found(&udp_listener(""), "apt")[..] else { panic!("one finding") };
    assert!(line.contains("matcher.on_no_match.action.typed_config.cluster"), "{line}");
    let calling = udp_listener(
        "{name: a, typed_config: {'@type': type.googleapis.com/\
         envoy.extensions.filters.udp.udp_proxy.session.ext_authz.v3.FilterConfig, \
         grpc_service: {envoy_grpc: {cluster_name: authz}}}}",
    );
    let [line] = &found(&calling, "app")[..] else { panic!("one finding") };
    assert!(line.contains("grpc_service.envoy_grpc.cluster_name"), "{line}");
    let aggregate = "{name: all, connect_timeout: 1s, lb_policy: CLUSTER_PROVIDED, cluster_type: {name: a, \
                     typed_config: {'@type': type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig, \
                     clusters: [app, other]}}}\n";
    let [line] = &found(aggregate, "app")[..] else { panic!("one finding") };
    assert!(line.contains("cluster_type.typed_config.clusters[1]"), "{line}");
}

#[test]
fn management_servers_are_not_looked_for_where_there_is_no_bootstrap() {
    let source = "{api_config_source: {api_type: GRPC, transport_api_version: V3, grpc_services: \
                  [{envoy_grpc: {cluster_name: xds}}]}}";
    let routes = format!("{MANAGER}      rds: {{route_config_name: r, config_source: {source}}}\n");
    let ran = check_files(&[("a.yaml", &resources(&[&routes, "{name: app, connect_timeout: 1s}\n"]))], &[]);
    assert!(!ran.out.contains("[unknown-cluster]"), "{}", ran.out);
}

#[test]
fn several_bootstraps_are_several_proxies() {
    let bootstrap = "{node: {id: a, cluster: b}, static_resources: {clusters: [{name: a, connect_timeout: 1s, \
                     alt_stat_name: X}], listeners: [LISTENER]}}";
    let listener =
        "{name: l, address: {socket_address: {address: 127.0.0.1, port_value: 80}}, filter_chains: []}";
    let bootstrap = bootstrap.replace("LISTENER", listener);
    let ran = check_files(&[("a.yaml", &bootstrap), ("b.yaml", &bootstrap.replace('X', "Y"))], &[]);
    assert!(!ran.out.contains("[duplicate-"), "{}", ran.out);
    let ran = check_files(&[("a.yaml", &bootstrap), ("b.yaml", listener)], &[]);
    assert_eq!(ran.out.matches("[duplicate-name]").count(), 1, "{}", ran.out);
}

#[test]
fn routes_that_get_no_request_are_found() {
    let shadowed = |routes: &str| ids(&listener(routes));
    let one = ["shadowed-route"];
    let to = "direct_response: {status: 200}";
    assert_eq!(
        shadowed(&format!("[{{match: {{prefix: /a}}, {to}}}, {{match: {{prefix: /ab}}, {to}}}]")),
        one
    );
    assert_eq!(shadowed(&format!("[{{match: {{path: /a}}, {to}}}, {{match: {{path: /a}}, {to}}}]")), one);
    let separated = "[{match: {path_separated_prefix: /a}, TO}, {match: {path: /a/b}, TO}]".replace("TO", to);
    assert_eq!(shadowed(&separated), one);
    let not = "[{match: {path_separated_prefix: /a}, TO}, {match: {path: /ab}, TO}]".replace("TO", to);
    assert_eq!(shadowed(&not), Vec::<String>::new());
    let header =
        "[{match: {prefix: /, headers: [{name: x}]}, TO}, {match: {prefix: /a}, TO}]".replace("TO", to);
    assert_eq!(shadowed(&header), Vec::<String>::new());
}

#[test]
fn names_and_addresses_that_stand_twice_are_found() {
    assert_eq!(
        ids("- {name: a, connect_timeout: 1s}\n- {name: a, connect_timeout: 2s}\n"),
        ["duplicate-name"]
    );
    let one = MANAGER.replace("port_value: 0", "port_value: 80")
        + "      rds: {route_config_name: r, config_source: {ads: {}, resource_api_version: V3}}\n";
    let other = one.replace("name: web", "name: other");
    assert_eq!(ids(&resources(&[&one, &other])), ["duplicate-address"]);
    let elsewhere = other.replace("127.0.0.1", "127.0.0.2");
    assert_eq!(ids(&resources(&[&one, &elsewhere])), Vec::<String>::new());
    let chosen = |listener: &str| listener.replace("port_value: 80", "port_value: 0");
    assert_eq!(ids(&resources(&[&chosen(&one), &chosen(&other)])), Vec::<String>::new());
}

#[test]
fn filter_chains_that_get_no_connection_are_found() {
    let chains = |matches: &str| {
        let found = ids(&format!(
            "name: l\naddress: {{socket_address: {{address: ::1, port_value: 80}}}}\n{matches}"
        ));
        found.into_iter().filter(|id| id == "unreachable-filter-chain").count()
    };
    assert_eq!(
        chains(
            "filter_chains: [{filter_chain_match: {server_names: [a]}}, {filter_chain_match: {server_names: [a]}}]"
        ),
        1
    );
    assert_eq!(chains("filter_chains: [{filter_chain_match: {destination_port: 81}}]"), 1);
    // The default one is for those that match no other.
    assert_eq!(chains("filter_chains: [{}]\ndefault_filter_chain: {}"), 1);
    assert_eq!(
        chains("filter_chains: [{filter_chain_match: {server_names: [a]}}]\ndefault_filter_chain: {}"),
        0
    );
    assert_eq!(chains("filter_chains: [{filter_chain_match: {destination_port: 80}}]"), 0);
    let restored = "use_original_dst: true\nfilter_chains: [{filter_chain_match: {destination_port: 81}}]";
    assert_eq!(chains(restored), 0);
    assert_eq!(
        chains(
            "filter_chains: [{filter_chain_match: {server_names: [a]}}, {filter_chain_match: {server_names: [b]}}]"
        ),
        0
    );
}

#[test]
fn retries_that_may_do_a_thing_twice_are_found() {
    let retries = |matched: &str, on: &str| {
        let routes =
            format!("[{{match: {matched}, route: {{cluster: a, retry_policy: {{retry_on: '{on}'}}}}}}]");
        ids(&listener(&routes)).iter().filter(|id| *id == "retry-non-idempotent").count()
    };
    assert_eq!(retries("{prefix: /}", "5xx,connect-failure"), 1);
    assert_eq!(retries("{prefix: /}", "connect-failure,refused-stream"), 0);
    let get = "{prefix: /, headers: [{name: ':method', string_match: {exact: GET}}]}";
    assert_eq!(retries(get, "5xx"), 0);
}

#[test]
fn waiting_without_end_is_found() {
    let count = |instead: &str| {
        let manager = MANAGER.replace("      request_headers_timeout: 5s\n", instead);
        let ran = check_files(&[("a.yaml", &manager)], &[]);
        ran.out.matches("[missing-timeout]").count()
    };
    // What is not said is five minutes.
    assert_eq!(count(""), 0);
    assert_eq!(count("      stream_idle_timeout: 0s\n"), 2);
    assert_eq!(count("      stream_idle_timeout: 0s\n      request_headers_timeout: 5s\n"), 1);
    let endless = listener("[{match: {prefix: /}, route: {cluster: a, timeout: 0s}}]");
    assert_eq!(check_files(&[("a.yaml", &endless)], &[]).ids(), ["missing-timeout"]);
    let bounded = listener("[{match: {prefix: /}, route: {cluster: a, timeout: 0s, idle_timeout: 9s}}]");
    assert_eq!(check_files(&[("a.yaml", &bounded)], &[]).ids(), Vec::<&str>::new());
}

#[test]
fn peers_that_nobody_checks_are_found() {
    let cluster = |rest: &str| {
        let endpoint = "{endpoint: {address: {socket_address: {address: 192.0.2.1, port_value: 443}}}}";
        let assignment =
            format!("load_assignment: {{cluster_name: c, endpoints: [{{lb_endpoints: [{endpoint}]}}]}}");
        let found = ids(&format!("name: c\ntype: STATIC\nconnect_timeout: 1s\n{assignment}\n{rest}"));
        found.into_iter().filter(|id| id != "unsupported").collect::<Vec<_>>()
    };
    let tls = |validation: &str| {
        let context = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
        cluster(&format!(
            "transport_socket: {{name: envoy.transport_sockets.tls, typed_config: {{'@type': {context}, \
             common_tls_context: {{{validation}}}}}}}\n"
        ))
    };
    let certificate = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls/ca.pem");
    assert_eq!(cluster(""), ["cleartext-upstream"]);
    assert_eq!(tls(""), ["unverified-peer"]);
    let trusted = format!("validation_context: {{trusted_ca: {{filename: {}}}}}", certificate.display());
    assert_eq!(tls(&trusted), ["unverified-peer"]);
    let named = format!(
        "validation_context: {{trusted_ca: {{filename: {}}}, \
         match_typed_subject_alt_names: [{{san_type: DNS, matcher: {{exact: a.example}}}}]}}",
        certificate.display()
    );
    assert_eq!(tls(&named), Vec::<String>::new());
}

#[test]
fn an_admin_interface_for_everybody_is_found() {
    let bootstrap = |address: &str| {
        ids(&format!(
            "node: {{id: a, cluster: b}}\nadmin: {{address: {{socket_address: {{address: {address}, port_value: 0}}}}}}\n"
        ))
    };
    assert_eq!(bootstrap("0.0.0.0"), ["exposed-admin"]);
    assert_eq!(bootstrap("127.0.0.1"), Vec::<String>::new());
    assert_eq!(bootstrap("'::1'"), Vec::<String>::new());
}

#[test]
fn secrets_without_a_source_have_to_stand_in_the_bootstrap() {
    let context = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
    let cluster = format!(
        "{{name: c, connect_timeout: 1s, transport_socket: {{name: tls, typed_config: {{'@type': {context}, \
         common_tls_context: {{validation_context_sds_secret_config: {{name: root}}}}}}}}}}"
    );
    let bootstrap = |secrets: &str| {
        let found = ids(&format!(
            "node: {{id: a, cluster: b}}\nstatic_resources: {{clusters: [{cluster}], secrets: [{secrets}]}}\n"
        ));
        found.contains(&"unknown-secret".to_owned())
    };
    assert!(bootstrap(""));
    assert!(!bootstrap("{name: root}"));
}

#[test]
fn route_configurations_that_exist_nowhere_are_found() {
    let rds = |name: &str| {
        format!(
            "{MANAGER}      rds: {{route_config_name: {name}, config_source: {{ads: {{}}, resource_api_version: V3}}}}\n"
        )
    };
    let routes = "{name: here, virtual_hosts: []}\n";
    let other = rds("there").replace("name: web", "name: other");
    assert_eq!(ids(&resources(&[&rds("here"), &other, routes])), ["unknown-route-configuration"]);
    assert_eq!(ids(&resources(&[&rds("there"), routes])), Vec::<String>::new());
}
