"""The bootstrap of dragoman and Envoy."""

TYPE = "type.googleapis.com/envoy.extensions."


def bootstrap(scenario, port, admin, upstream):
    protocol = "http2_protocol_options" if scenario.up_h2 else "http_protocol_options"
    chain = {"filters": [tcp_proxy() if scenario.tcp else manager(scenario)]}
    if scenario.tls:
        chain["transport_socket"] = tls(upstream.certificate)
    return {
        "admin": {"address": address(admin)},
        "static_resources": {
            "listeners": [{"name": "main", "address": address(port), "filter_chains": [chain]}],
            "clusters": [{
                "name": "up", "type": "STATIC",
                "load_assignment": {"cluster_name": "up", "endpoints": [{"lb_endpoints": [{"endpoint": {
                    "address": address(upstream.h2 if scenario.up_h2 else upstream.h1)}}]}]},
                "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": TYPE + "upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {protocol: {}}}},
            }],
        },
    }


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def tcp_proxy():
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": {
        "@type": TYPE + "filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "tcp", "cluster": "up"}}


def tls(certificate):
    versions = {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"}
    files = {"certificate_chain": {"filename": certificate["chain"]}, "private_key": {"filename": certificate["key"]}}
    return {"name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": TYPE + "transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {"tls_params": versions, "tls_certificates": [files]}}}


def manager(scenario):
    routes = [{"match": {"prefix": f"/r{number:04d}/"}, "route": {"cluster": "up"}}
              for number in range(scenario.routes + 1)] if scenario.routes else [
                  {"match": {"prefix": "/"}, "route": {"cluster": "up"}}]
    config = {
        "@type": TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "http",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "envoy.filters.http.router",
                          "typed_config": {"@type": TYPE + "filters.http.router.v3.Router"}}],
    }
    if scenario.scrape:
        operators = {"method": "%REQ(:METHOD)%", "path": "%REQ(:PATH)%", "code": "%RESPONSE_CODE%",
                     "flags": "%RESPONSE_FLAGS%", "duration": "%DURATION%", "host": "%UPSTREAM_HOST%",
                     "time": "%START_TIME%", "sent": "%BYTES_SENT%"}
        config["access_log"] = [{"name": "envoy.access_loggers.file", "typed_config": {
            "@type": TYPE + "access_loggers.file.v3.FileAccessLog", "path": "access.log",
            "log_format": {"json_format": operators}}}]
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": config}
