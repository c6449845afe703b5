//! The bootstrap of a topic: the usual listener, routes and clusters for each case, with what the case changes.
//!
//! Every name in a case's configuration that statistics or logs show gets the case's tag in front, so that the cases
//! of a topic can share a process; [`untag`] takes it off again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::case::host::Upstream;
use crate::case::{Case, Topic};
use crate::fields;

/// What the access log of a case says of each request, unless the case says otherwise.
pub(crate) const LOG_FORMAT: &str = "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL% %RESPONSE_CODE% \
    %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \
    rx=%BYTES_RECEIVED% tx=%BYTES_SENT% cluster=%UPSTREAM_CLUSTER% route=%ROUTE_NAME%\n";

/// The same of a case with a TCP proxy, of each connection.
pub(crate) const TCP_LOG_FORMAT: &str = "%ACCESS_LOG_TYPE% %RESPONSE_FLAGS% %CONNECTION_TERMINATION_DETAILS% \
    rx=%BYTES_RECEIVED% tx=%BYTES_SENT% cluster=%UPSTREAM_CLUSTER% host=%UPSTREAM_HOST% \
    local=%UPSTREAM_LOCAL_ADDRESS% attempts=%UPSTREAM_REQUEST_ATTEMPT_COUNT% \
    wire=%DOWNSTREAM_WIRE_BYTES_RECEIVED%,%DOWNSTREAM_WIRE_BYTES_SENT%,%UPSTREAM_WIRE_BYTES_SENT%,%UPSTREAM_WIRE_BYTES_RECEIVED% \
    closed=%DOWNSTREAM_LOCAL_CLOSE_REASON%,%UPSTREAM_LOCAL_CLOSE_REASON%,%DOWNSTREAM_DETECTED_CLOSE_TYPE%,%UPSTREAM_DETECTED_CLOSE_TYPE% \
    failure=%UPSTREAM_TRANSPORT_FAILURE_REASON%,%DOWNSTREAM_TRANSPORT_FAILURE_REASON% \
    server=%REQUESTED_SERVER_NAME% chain=%FILTER_CHAIN_NAME%\n";

/// The same of a case with a UDP proxy, of each session.
pub(crate) const UDP_LOG_FORMAT: &str = "%ACCESS_LOG_TYPE% %RESPONSE_FLAGS% rx=%BYTES_RECEIVED% tx=%BYTES_SENT% \
    from=%DOWNSTREAM_REMOTE_ADDRESS% to=%DOWNSTREAM_LOCAL_ADDRESS% cluster=%UPSTREAM_CLUSTER% host=%UPSTREAM_HOST% \
    local=%UPSTREAM_LOCAL_ADDRESS% protocol=%PROTOCOL% details=%RESPONSE_CODE_DETAILS% \
    session=%DYNAMIC_METADATA(udp.proxy.session)% stream=%STREAM_ID%\n";

/// The statistics that every case with a UDP proxy compares.
pub(crate) const UDP_STATS: [&str; 20] = [
    "udp.ingress.downstream_sess_active",
    "udp.ingress.downstream_sess_no_route",
    "udp.ingress.downstream_sess_rx_bytes",
    "udp.ingress.downstream_sess_rx_datagrams",
    "udp.ingress.downstream_sess_rx_errors",
    "udp.ingress.downstream_sess_total",
    "udp.ingress.downstream_sess_tx_bytes",
    "udp.ingress.downstream_sess_tx_datagrams",
    "udp.ingress.downstream_sess_tx_errors",
    "udp.ingress.idle_timeout",
    "listener.downstream.udp.downstream_rx_datagram_dropped",
    "cluster.up.udp.sess_rx_datagrams",
    "cluster.up.udp.sess_rx_datagrams_dropped",
    "cluster.up.udp.sess_tx_datagrams",
    "cluster.up.upstream_cx_active",
    "cluster.up.upstream_cx_none_healthy",
    "cluster.up.upstream_cx_overflow",
    "cluster.up.upstream_cx_rx_bytes_total",
    "cluster.up.upstream_cx_total",
    "cluster.up.upstream_cx_tx_bytes_total",
];

/// The statistics that every case with a TCP proxy compares.
pub(crate) const TCP_STATS: [&str; 24] = [
    "tcp.ingress.downstream_cx_total",
    "tcp.ingress.downstream_cx_no_route",
    "tcp.ingress.downstream_cx_rx_bytes_total",
    "tcp.ingress.downstream_cx_tx_bytes_total",
    "tcp.ingress.idle_timeout",
    "tcp.ingress.max_downstream_connection_duration",
    "tcp.ingress.upstream_flush_total",
    "tcp.ingress.upstream_flush_active",
    "listener.downstream.downstream_cx_total",
    "listener.downstream.downstream_cx_active",
    "listener.downstream.downstream_cx_destroy",
    "listener.downstream.no_filter_chain_match",
    "cluster.up.upstream_cx_total",
    "cluster.up.upstream_cx_active",
    "cluster.up.upstream_cx_connect_fail",
    "cluster.up.upstream_cx_connect_attempts_exceeded",
    "cluster.up.upstream_cx_destroy_local_with_active_rq",
    "cluster.up.upstream_cx_destroy_remote_with_active_rq",
    "cluster.up.upstream_cx_none_healthy",
    "cluster.up.upstream_cx_overflow",
    "cluster.up.upstream_cx_rx_bytes_total",
    "cluster.up.upstream_cx_tx_bytes_total",
    "cluster.up.upstream_rq_total",
    "cluster.up.upstream_rq_pending_total",
];

/// The statistics that every case compares.
pub(crate) const USUAL_STATS: [&str; 12] = [
    "http.ingress.downstream_rq_total",
    "http.ingress.downstream_rq_completed",
    "http.ingress.downstream_rq_1xx",
    "http.ingress.downstream_rq_2xx",
    "http.ingress.downstream_rq_3xx",
    "http.ingress.downstream_rq_4xx",
    "http.ingress.downstream_rq_5xx",
    "http.ingress.downstream_cx_protocol_error",
    "http.ingress.no_route",
    "cluster.up.upstream_rq_total",
    "cluster.up.upstream_rq_2xx",
    "cluster.up.upstream_rq_5xx",
];

/// The tag of the case at `index` in its topic.
pub(crate) fn tag(index: usize) -> String {
    format!("k{index}_")
}

/// The name that statistic `name` of a case has in the subject.
pub(crate) fn tagged_stat(name: &str, tag: &str) -> String {
    match name.split_once('.') {
        // Those of session filters, which have prefixes of their own.
        Some(("udp", rest)) if rest.starts_with("session.") => name.to_owned(),
        Some((scope @ ("cluster" | "http" | "listener" | "tcp" | "udp" | "proxy_proto"), rest)) => {
            format!("{scope}.{tag}{rest}")
        }
        _ => name.to_owned(),
    }
}

/// Takes the tag off whatever carries it.
pub(crate) fn untag(text: &str, tag: &str) -> String {
    text.replace(tag, "")
}

/// Addresses of the upstreams of a case by cluster; a cluster that is not in it has no host.
pub(crate) type Hosts = BTreeMap<String, SocketAddr>;

/// The whole bootstrap. `hosts` are those of each case; access logs go to `<tag>access.log` in `directory`.
pub(crate) fn build(
    topic: &Topic,
    cases: &[(usize, &Case, &Hosts)],
    dns: Option<SocketAddr>,
    directory: &Path,
) -> Value {
    let listeners: Vec<Value> = cases
        .iter()
        .flat_map(|(index, case, hosts)| {
            let mut listeners = listeners(case, &tag(*index), directory);
            listeners.iter_mut().for_each(|listener| fill_ports(listener, hosts));
            listeners
        })
        .collect();
    let clusters: Vec<Value> = cases
        .iter()
        .flat_map(|(index, case, hosts)| clusters(case, &tag(*index), hosts, directory))
        .collect();
    let mut bootstrap = json!({
        "admin": { "address": address("127.0.0.1:0".parse().expect("an address")) },
        "static_resources": { "listeners": listeners, "clusters": clusters },
    });
    if let Some(server) = dns {
        bootstrap["typed_dns_resolver_config"] = resolver(server);
    }
    merge(&mut bootstrap, &topic.bootstrap);
    fill(&mut bootstrap, "dns", &|_| dns.map(|server| server.port().into()));
    fill(&mut bootstrap, "pem", &pem);
    let first = cases.first().map_or(0, |(index, ..)| *index);
    fill(&mut bootstrap, "log", &|name| Some(log_path(directory, &tag(first), name)));
    if let Some(field) = &topic.without {
        fields::take_out(&mut bootstrap, fields::BOOTSTRAP, field);
    }
    bootstrap
}

/// The listeners of a case, its own first.
pub(crate) fn listeners(case: &Case, tag: &str, directory: &Path) -> Vec<Value> {
    let internal = case.internal_listeners.iter().map(|(name, config)| {
        further_listener(name, json!({ "internal_listener": {} }), config, tag, directory)
    });
    let unbound = case.unbound_listeners.iter().map(|(name, config)| {
        further_listener(name, json!({ "bind_to_port": false }), config, tag, directory)
    });
    std::iter::once(listener(case, tag, directory)).chain(internal).chain(unbound).collect()
}

/// All names are asked of this server.
fn resolver(server: SocketAddr) -> Value {
    json!({
        "name": "envoy.network.dns_resolver.cares",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
            "resolvers": [address(server)],
            "dns_resolver_options": { "no_default_search_domain": true },
        },
    })
}

/// Where the log of this name is written; what is in `access` is compared.
fn log_path(directory: &Path, tag: &str, name: &str) -> Value {
    path(directory, tag, &format!("{name}.log")).display().to_string().into()
}

fn listener(case: &Case, tag: &str, directory: &Path) -> Value {
    let log_format = case.log_format.clone();
    let mut log = json!({
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        "path": directory.join(format!("{tag}access.log")),
    });
    match log_format {
        Some(Value::Null) => {}
        Some(format) => log["log_format"] = format,
        None => {
            let format = match (&case.tcp_proxy, &case.udp_proxy) {
                (Some(_), _) => TCP_LOG_FORMAT,
                (None, Some(_)) => UDP_LOG_FORMAT,
                (None, None) => LOG_FORMAT,
            };
            log["log_format"] = json!({ "text_format_source": { "inline_string": format } });
        }
    }
    let mut access_log = json!({ "name": "envoy.access_loggers.file", "typed_config": log });
    merge(&mut access_log, &json!({ "filter": case.log_filter }));
    let mut listener = json!({
        "name": format!("{tag}listener"),
        "stat_prefix": format!("{tag}downstream"),
        "address": address("127.0.0.1:0".parse().expect("an address")),
    });
    if let Some(change) = &case.udp_proxy {
        listener["address"]["socket_address"]["protocol"] = "UDP".into();
        listener["listener_filters"] = json!([udp_proxy(change, access_log, tag)]);
    } else {
        let filter = match &case.tcp_proxy {
            Some(change) => tcp_proxy(change, access_log, tag),
            None => connection_manager(case, access_log, tag),
        };
        let filters: Vec<_> = case.network_filters.iter().cloned().chain([filter]).collect();
        listener["filter_chains"] = json!([{ "filters": filters }]);
        if let Some(context) = &case.listener_tls {
            listener["filter_chains"][0]["transport_socket"] = tls_socket("DownstreamTlsContext", context);
        }
        merge(&mut listener["filter_chains"][0], &case.filter_chain);
    }
    merge(&mut listener, &case.listener);
    named(listener, tag, directory)
}

/// A listener beside that of the case.
fn further_listener(name: &str, mut listener: Value, config: &Value, tag: &str, directory: &Path) -> Value {
    merge(&mut listener, &json!({ "name": format!("{tag}{name}"), "stat_prefix": format!("{tag}{name}") }));
    merge(&mut listener, config);
    named(listener, tag, directory)
}

/// The same with the names and the files of the case.
fn named(mut listener: Value, tag: &str, directory: &Path) -> Value {
    fill(&mut listener, "cluster", &|name| Some(format!("{tag}{name}").into()));
    fill(&mut listener, "file", &|name| Some(path(directory, tag, name).display().to_string().into()));
    fill(&mut listener, "pem", &pem);
    fill(&mut listener, "log", &|name| Some(log_path(directory, tag, name)));
    listener
}

fn tcp_proxy(change: &Value, access_log: Value, tag: &str) -> Value {
    let mut proxy = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": format!("{tag}ingress"),
        "access_log": [access_log],
        "cluster": "{cluster:up}",
    });
    merge(&mut proxy, change);
    json!({ "name": "envoy.filters.network.tcp_proxy", "typed_config": proxy })
}

fn udp_proxy(change: &Value, access_log: Value, tag: &str) -> Value {
    let mut proxy = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig",
        "stat_prefix": format!("{tag}ingress"),
        "access_log": [access_log],
    });
    merge(&mut proxy, change);
    if proxy.get("cluster").is_none() && proxy.get("matcher").is_none() {
        proxy["cluster"] = "{cluster:up}".into();
    }
    json!({ "name": "envoy.filters.udp_listener.udp_proxy", "typed_config": proxy })
}

fn connection_manager(case: &Case, access_log: Value, tag: &str) -> Value {
    let mut hcm = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": format!("{tag}ingress"),
        "delayed_close_timeout": "0.05s",
        "access_log": [access_log],
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
        }],
        "route_config": route_config(case, tag),
    });
    merge(&mut hcm, &case.hcm);
    json!({ "name": "envoy.filters.network.http_connection_manager", "typed_config": hcm })
}

fn route_config(case: &Case, tag: &str) -> Value {
    let mut action = json!({ "cluster": "up" });
    merge(&mut action, &case.action);
    let routes =
        case.routes.clone().unwrap_or_else(|| json!([{ "match": { "prefix": "/" }, "route": action }]));
    let mut virtual_host = json!({ "name": "all", "domains": ["*"], "routes": routes });
    merge(&mut virtual_host, &case.virtual_host);
    let virtual_hosts = case.virtual_hosts.clone().unwrap_or_else(|| json!([virtual_host]));
    let mut route_config = json!({ "name": "routes", "virtual_hosts": virtual_hosts });
    merge(&mut route_config, &case.route_config);
    tag_clusters(&mut route_config, &cluster_names(case), tag);
    route_config
}

/// The clusters that `case` configures.
pub(crate) fn cluster_names(case: &Case) -> Vec<String> {
    if case.clusters.is_empty() { vec!["up".to_owned()] } else { case.clusters.keys().cloned().collect() }
}

/// The names of everything that a host is started for: the clusters, and other upstreams that endpoints refer to.
pub(crate) fn host_names(case: &Case) -> Vec<String> {
    let mut names = cluster_names(case);
    names.extend(case.upstreams.keys().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
    names
}

/// Replaces each text `{port:NAME}` by the port of the host of that name.
fn fill_ports(value: &mut Value, hosts: &Hosts) {
    fill(value, "port", &|name| hosts.get(name).map(|host| host.port().into()));
}

fn tls_socket(message: &str, context: &Value) -> Value {
    let kind = format!("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{message}");
    let mut config = json!({ "@type": kind });
    merge(&mut config, context);
    json!({ "name": "envoy.transport_sockets.tls", "typed_config": config })
}

/// The file of a certificate or a key of the tests.
fn pem(name: &str) -> Option<Value> {
    Some(crate::tls::path(name).display().to_string().into())
}

/// Replaces each text `{KIND:NAME}` by what `found` has for that name, keys of maps too.
fn fill(value: &mut Value, kind: &str, found: &dyn Fn(&str) -> Option<Value>) {
    let new = |text: &str| {
        let name = text.strip_prefix('{').and_then(|rest| rest.strip_prefix(kind)?.strip_prefix(':'));
        name.and_then(|rest| rest.strip_suffix('}')).and_then(found)
    };
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, kind, found)),
        Value::Object(fields) => {
            for (key, mut field) in std::mem::take(fields) {
                fill(&mut field, kind, found);
                let renamed = new(&key).and_then(|new| new.as_str().map(str::to_owned));
                fields.insert(renamed.unwrap_or(key), field);
            }
        }
        Value::String(text) => {
            if let Some(new) = new(text) {
                *value = new;
            }
        }
        _ => {}
    }
}

/// Puts the tag before each reference to one of `names` in a route configuration.
fn tag_clusters(value: &mut Value, names: &[String], tag: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| tag_clusters(item, names, tag)),
        Value::Object(fields) => {
            for (key, field) in fields {
                if key == "weighted_clusters" {
                    let clusters = field.get_mut("clusters").and_then(Value::as_array_mut);
                    clusters.into_iter().flatten().for_each(|item| tag_name(&mut item["name"], names, tag));
                }
                if key == "cluster" {
                    tag_name(field, names, tag);
                } else {
                    tag_clusters(field, names, tag);
                }
            }
        }
        _ => {}
    }
}

fn tag_name(name: &mut Value, names: &[String], tag: &str) {
    if let Value::String(text) = name
        && names.contains(text)
    {
        *text = format!("{tag}{text}");
    }
}

fn clusters(case: &Case, tag: &str, hosts: &Hosts, directory: &Path) -> Vec<Value> {
    let cluster = |name: &String| {
        let mut cluster = cluster(case, name, tag, hosts);
        fill(&mut cluster, "cluster", &|name| Some(format!("{tag}{name}").into()));
        fill(&mut cluster, "pem", &pem);
        fill(&mut cluster, "file", &|name| Some(path(directory, tag, name).display().to_string().into()));
        cluster
    };
    cluster_names(case).iter().map(cluster).collect()
}

/// The file of this name of a case; `.` is the directory that it is in.
fn path(directory: &Path, tag: &str, name: &str) -> PathBuf {
    if name == "." { directory.to_owned() } else { directory.join(format!("{tag}{name}")) }
}

/// A text with the port of a host for each `{port:NAME}` in it.
fn with_ports(text: &str, hosts: &Hosts) -> String {
    hosts.iter().fold(text.to_owned(), |text, (name, host)| {
        text.replace(&format!("{{port:{name}}}"), &host.port().to_string())
    })
}

/// Writes the files of a case.
pub(crate) fn write_files(index: usize, case: &Case, hosts: &Hosts, directory: &Path) -> std::io::Result<()> {
    let tag = tag(index);
    for (name, content) in &case.files {
        let mut content = filled(index, content, hosts);
        fill(&mut content, "file", &|name| Some(path(directory, &tag, name).display().to_string().into()));
        fill(&mut content, "log", &|name| Some(log_path(directory, &tag, name)));
        let bytes = match &content {
            Value::String(text) => with_ports(text, hosts).into_bytes(),
            content => content.to_string().into_bytes(),
        };
        std::fs::write(path(directory, &tag, name), bytes)?;
    }
    Ok(())
}

/// What a case has configured outside of its bootstrap, with the ports of its hosts, the names of its clusters and the
/// files of certificates.
pub(crate) fn filled(index: usize, content: &Value, hosts: &Hosts) -> Value {
    let (tag, mut content) = (tag(index), content.clone());
    fill_ports(&mut content, hosts);
    fill(&mut content, "cluster", &|name| Some(format!("{tag}{name}").into()));
    fill(&mut content, "pem", &pem);
    content
}

/// Moves what the file `from` of a case holds into the place of `to`.
pub(crate) fn move_file(index: usize, from: &str, to: &str, directory: &Path) -> std::io::Result<()> {
    let tag = tag(index);
    let moving = path(directory, &tag, &format!("{from}.moving"));
    std::fs::copy(path(directory, &tag, from), &moving)?;
    std::fs::rename(moving, path(directory, &tag, to))
}

fn cluster(case: &Case, name: &str, tag: &str, hosts: &Hosts) -> Value {
    let endpoints: Vec<Value> = hosts
        .get(name)
        .map(|host| json!({ "endpoint": { "address": address(*host) } }))
        .into_iter()
        .collect();
    let tagged = format!("{tag}{name}");
    let mut cluster = json!({
        "name": tagged,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": { "cluster_name": tagged, "endpoints": [{ "lb_endpoints": endpoints }] },
    });
    if matches!(
        case.upstreams.get(name).or(case.upstream.as_ref()),
        Some(Upstream::Http2 { .. } | Upstream::Xds { .. })
    ) {
        cluster["typed_extension_protocol_options"] =
            protocol_options(json!({ "http2_protocol_options": {} }));
    }
    merge(&mut cluster, case.clusters.get(name).unwrap_or(&Value::Null));
    fill_ports(&mut cluster, hosts);
    cluster
}

fn protocol_options(explicit: Value) -> Value {
    json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": explicit,
    }})
}

fn address(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip(), "port_value": address.port() } })
}

/// Lays `change` over `base`: objects are merged, everything else is replaced, null removes.
pub(crate) fn merge(base: &mut Value, change: &Value) {
    match (base, change) {
        (_, Value::Null) => {}
        (Value::Object(base), Value::Object(change)) => merge_fields(base, change),
        (base, change) => *base = change.clone(),
    }
}

fn merge_fields(base: &mut Map<String, Value>, change: &Map<String, Value>) {
    for (key, value) in change {
        if value.is_null() {
            base.remove(key);
        } else {
            merge(base.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
