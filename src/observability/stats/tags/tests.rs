use super::rules::*;
use super::*;
use crate::config::bootstrap::TagSpecifier;

fn check(name: &str, rest: &str, tags: &[(&str, &str)]) {
    let extracted = extract(&StatsConfig::default(), name);
    let found: Vec<_> = extracted.tags.iter().map(|(tag, value)| (tag.as_str(), value.as_str())).collect();
    assert_eq!((extracted.name.as_str(), &found[..]), (rest, tags), "{name}");
}

#[test]
fn the_address_of_a_host_has_its_colon_again() {
    let cluster = (CLUSTER_NAME, "app");
    for (part, address) in [("10.0.0.1_80", "10.0.0.1:80"), ("[__1]_80", "[::1]:80"), ("/a_b", "/a_b")] {
        let name = format!("cluster.app.endpoint.{part}.");
        check(&name, "cluster.endpoint.", &[cluster, (ENDPOINT_ADDRESS, address)]);
    }
}

#[test]
fn expressions_may_look_ahead() {
    const ISTIO: &str = r"^listener(?=\.).*?\.http\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)";
    for (pattern, name, rest, value) in [
        (
            ISTIO,
            "listener.0.0.0.0_80.http.10.0.0.1.downstream_rq",
            "listener.0.0.0.0_80.http.downstream_rq",
            "10.0.0.1",
        ),
        (
            r"^cluster\..*\.(.*?(?=_total|$))",
            "cluster.up.upstream_rq_total",
            "cluster.up._total",
            "upstream_rq",
        ),
        (r"^server\.(?!live)((.+?)_)", "server.memory_allocated", "server.allocated", "memory"),
    ] {
        let tag = TagSpecifier {
            name: "t".to_owned(),
            value: TagValue::Regex(fancy_regex::Regex::new(pattern).expect("an expression")),
        };
        let config = StatsConfig { use_all_default_tags: false, tags: vec![tag], ..StatsConfig::default() };
        let tags = vec![("t".to_owned(), value.to_owned())];
        assert_eq!(extract(&config, name), Extracted { name: rest.to_owned(), tags });
    }
}

#[test]
fn tags_are_those_of_envoy() {
    check(
        "cluster.app.upstream_rq_503",
        "cluster.upstream_rq",
        &[(RESPONSE_CODE, "503"), (CLUSTER_NAME, "app")],
    );
    check(
        "cluster.app.external.upstream_rq_5xx",
        "cluster.external.upstream_rq_xx",
        &[(RESPONSE_CODE_CLASS, "5"), (CLUSTER_NAME, "app")],
    );
    check("cluster.a.b_c.membership_total", "cluster.b_c.membership_total", &[(CLUSTER_NAME, "a")]);
    check(
        "cluster.app.health_check.name.a.b.attempt",
        "cluster.health_check.b.attempt",
        &[(HEALTH_CHECK_NAME, "a"), (CLUSTER_NAME, "app")],
    );
    check(
        "listener.127.0.0.1_80.http.web.downstream_rq_2xx",
        "listener.http.downstream_rq_xx",
        &[(RESPONSE_CODE_CLASS, "2"), (HTTP_CONN_MANAGER_PREFIX, "web"), (LISTENER_ADDRESS, "127.0.0.1_80")],
    );
    check(
        "listener.127.0.0.1_80.worker_1.downstream_cx_total",
        "listener.worker.downstream_cx_total",
        &[(WORKER_ID, "1"), (LISTENER_ADDRESS, "127.0.0.1_80")],
    );
    check(
        "listener.[__1]_80.downstream_cx_total",
        "listener.downstream_cx_total",
        &[(LISTENER_ADDRESS, "[__1]_80")],
    );
    check("listener.admin.downstream_cx_total", "listener.admin.downstream_cx_total", &[]);
    check(
        "http.web.rds.a.b.version_text",
        "http.rds.version_text",
        &[(RDS_ROUTE_CONFIG, "a.b"), (HTTP_CONN_MANAGER_PREFIX, "web")],
    );
    check(
        "http.web.fault.svc.aborts_injected",
        "http.fault.aborts_injected",
        &[(FAULT_DOWNSTREAM_CLUSTER, "svc"), (HTTP_CONN_MANAGER_PREFIX, "web")],
    );
    check(
        "http.web.fault.aborts_injected",
        "http.fault.aborts_injected",
        &[(HTTP_CONN_MANAGER_PREFIX, "web")],
    );
    check("server.worker_0.watchdog_miss", "server.worker.watchdog_miss", &[(WORKER_ID, "0")]);
    check("cluster_manager.cluster_added", "cluster_manager.cluster_added", &[]);
}

#[test]
fn a_listener_is_told_by_its_address_or_its_prefix() {
    for (name, address) in [
        ("listener.web.no_filter_chain_match", "web"),
        ("listener.0.0.0.0_80.no_filter_chain_match", "0.0.0.0_80"),
        ("listener.[fe80__1]_80.no_filter_chain_match", "[fe80__1]_80"),
        ("listener.10.no_filter_chain_match", "10"),
    ] {
        check(name, "listener.no_filter_chain_match", &[(LISTENER_ADDRESS, address)]);
    }
    check("listener.1.2.3.4.handled", "listener.2.3.4.handled", &[(LISTENER_ADDRESS, "1")]);
    check("listener.a.b.worker_0.handled", "listener.b.worker_0.handled", &[(LISTENER_ADDRESS, "a")]);
    check("listener.", "listener.", &[]);
    check("listener.1.2.3.4_", "listener.2.3.4_", &[(LISTENER_ADDRESS, "1")]);
}

#[test]
fn what_tls_agrees_on_is_a_tag() {
    let listener = (LISTENER_ADDRESS, "web");
    check("listener.web.ssl.ciphers.TLS_A", "listener.ssl.ciphers", &[(SSL_CIPHER, "TLS_A"), listener]);
    check(
        "listener.web.ssl.versions.TLSv1.3",
        "listener.ssl.versions",
        &[(SSL_VERSION, "TLSv1.3"), listener],
    );
    check("listener.web.ssl.curves.P-256", "listener.ssl.curves", &[(SSL_CURVE, "P-256"), listener]);
    check("listener.web.ssl.handshake", "listener.ssl.handshake", &[listener]);
    let cluster = (CLUSTER_NAME, "app");
    check("cluster.app.ssl.ciphers.A-B", "cluster.ssl.ciphers", &[(SSL_CIPHER_SUITE, "A-B"), cluster]);
    check("cluster.app.ssl.sigalgs.a_b", "cluster.ssl.sigalgs", &[(SSL_SIGALG, "a_b"), cluster]);
    check("cluster.app.b.ssl.ciphers.A-B", "cluster.b.ssl.ciphers.A-B", &[cluster]);
    check(
        "cluster.app.ssl.certificate.own.expiration",
        "cluster.ssl.certificate.expiration",
        &[(TLS_CERTIFICATE, "own"), cluster],
    );
}

#[test]
fn prefixes_of_filters_are_tags() {
    check("ratelimit.a.ok", "ratelimit.ok", &[(RATELIMIT_PREFIX, "a")]);
    check("connection_limit.a.b.limited", "connection_limit.b.limited", &[(CONNECTION_LIMIT_PREFIX, "a")]);
    check("local_rate_limit.a.ok", "local_rate_limit.ok", &[(LOCAL_NETWORK_RATELIMIT_PREFIX, "a")]);
    check(
        "listener_local_ratelimit.a.ok",
        "listener_local_ratelimit.ok",
        &[(LOCAL_LISTENER_RATELIMIT_PREFIX, "a")],
    );
    check("who.rbac.allowed", "rbac.allowed", &[(RBAC_PREFIX, "who")]);
    check("who.a.rbac.allowed", "who.a.rbac.allowed", &[]);
    check("sds.own.rejected", "sds.rejected", &[(XDS_RESOURCE_NAME, "own")]);
}

#[test]
fn headers_of_proxies_are_told_by_prefix_and_version() {
    let prefix = (PROXY_PROTOCOL_PREFIX, "a");
    check("proxy_proto.a.not_found", "proxy_proto.not_found", &[prefix]);
    check("proxy_proto.not_found", "proxy_proto.not_found", &[]);
    check("proxy_proto.a.versions.v1.found", "proxy_proto.found", &[prefix, (PROXY_PROTOCOL_VERSION, "1")]);
    check("proxy_proto.versions.v2.found", "proxy_proto.found", &[(PROXY_PROTOCOL_VERSION, "2")]);
}

#[test]
fn names_of_discovered_tables_and_scopes_are_tags_as_far_as_they_are_words() {
    let manager = (HTTP_CONN_MANAGER_PREFIX, "web");
    check("http.web.rds.a/b.c.ok", "http.rds.ok", &[(RDS_ROUTE_CONFIG, "a/b.c"), manager]);
    check("http.web.rds.a|b.ok", "http.rds.a|b.ok", &[manager]);
    check("http.web.scoped_rds.a.b.ok", "http.scoped_rds.ok", &[(SCOPED_RDS_CONFIG, "a.b"), manager]);
    check("http.web.scoped_rds.a/b.ok", "http.scoped_rds.a/b.ok", &[manager]);
    check("http.web.user_agent.ios.ok", "http.user_agent.ok", &[(HTTP_USER_AGENT, "ios"), manager]);
}
