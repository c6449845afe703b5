//! The components that log, under Envoy's logger names.

/// Envoy 1.40's loggers in the order in which `/logging` lists them.
///
/// All of them are there, so that `--component-log-level` and `/logging` accept what they accept in
/// Envoy; the ones of features that this program lacks never log.
#[rustfmt::skip]
pub const COMPONENTS: [&str; 73] = [
    "a2a", "admin", "ai_protocol_manager", "alternate_protocols_cache", "aws", "assert", "backtrace",
    "basic_auth", "cache_filter", "client", "config", "connection", "conn_handler", "compression",
    "credential_injector", "decompression", "dns", "dubbo", "envoy_bug", "ext_authz", "ext_proc",
    "rocketmq", "file", "filter", "forward_proxy", "geolocation", "grpc", "happy_eyeballs", "hc",
    "health_checker", "http", "http2", "hystrix", "init", "io", "jwt", "json_rpc", "kafka",
    "key_value_store", "lua", "local_rate_limit", "main", "matcher", "mcp", "misc", "mongo",
    "multi_connection", "notification", "oauth2", "quic", "quic_stream", "pool", "rate_limit_quota",
    "rbac", "rds", "redis", "router", "runtime", "stats", "secret", "sse", "tap", "testing", "thrift",
    "tracing", "upstream", "udp", "wasm", "websocket", "golang", "stats_sinks", "dynamic_modules",
    "ip_tagging",
];

/// Where lines without a target of their own belong: the longest matching prefix of the module path.
const MODULES: [(&str, &str); 21] = [
    ("dragoman::server", "main"),
    ("dragoman::admin", "admin"),
    ("dragoman::bootstrap", "config"),
    ("dragoman::xds", "config"),
    ("dragoman::listener", "conn_handler"),
    ("dragoman::network", "filter"),
    ("dragoman::http", "http"),
    ("dragoman::upstream", "upstream"),
    ("dragoman::upstream::pool", "pool"),
    ("dragoman::upstream::discovery::dns", "dns"),
    ("dragoman::route", "router"),
    ("dragoman::tls", "connection"),
    ("dragoman::observability", "stats"),
    ("dragoman::snapshot", "config"),
    ("dragoman::config", "config"),
    ("dragoman_xds", "config"),
    ("hyper", "http"),
    ("h2", "http2"),
    ("tonic", "grpc"),
    ("hickory", "dns"),
    ("rustls", "connection"),
];

/// Index into [`COMPONENTS`] of the logger called `name`, if there is one.
pub fn by_name(name: &str) -> Option<usize> {
    COMPONENTS.iter().position(|component| *component == name)
}

/// Index into [`COMPONENTS`] of the logger for a `tracing` target.
///
/// A target that is a logger's name stands for itself; a module path (the default target) is looked up
/// by its longest known prefix; the rest is `misc`.
pub(super) fn by_target(target: &str) -> usize {
    by_name(target).or_else(|| by_name(by_module(target)?)).unwrap_or(MISC)
}

const MISC: usize = 44;

fn by_module(target: &str) -> Option<&'static str> {
    let matching = MODULES.iter().filter(|(prefix, _)| is_below(target, prefix));
    matching.max_by_key(|(prefix, _)| prefix.len()).map(|(_, component)| *component)
}

/// Whether the module `path` is `prefix` or inside it; `hickory` covers its family of crates.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| {
        rest.is_empty() || rest.starts_with("::") || (rest.starts_with('_') && !prefix.contains("::"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: &str, expected: &str) {
        assert_eq!(COMPONENTS[by_target(target)], expected, "{target}");
    }

    #[test]
    fn a_target_that_names_a_logger_is_that_logger() {
        for component in COMPONENTS {
            check(component, component);
        }
    }

    #[test]
    fn a_module_belongs_to_the_longest_known_prefix() {
        check("dragoman::upstream", "upstream");
        check("dragoman::upstream::pool::http1", "pool");
        check("dragoman::upstream::poolish", "upstream");
        check("dragoman::server::signal", "main");
        check("hickory_resolver::lookup", "dns");
        check("dragoman", "misc");
        check("somewhere::else", "misc");
    }

    #[test]
    fn every_module_maps_to_a_logger_of_envoys() {
        for (module, component) in MODULES {
            assert!(by_name(component).is_some(), "{module} maps to {component}");
        }
    }
}
