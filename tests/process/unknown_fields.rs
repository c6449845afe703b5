//! What becomes of fields that the API does not have, with each flag that says something of them, beside Envoy.

use std::path::{Path, PathBuf};

use crate::common::{self, Proxy};

/// A route table with unknown fields, in a file.
const TABLE: &str = r#"
version_info: "1"
resources:
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: table
  a_new_field: 1
  virtual_hosts: [{name: all, domains: ["*"], another: {x: 1}}]
"#;

/// Flags, whether the bootstrap has an unknown field too, and the statistics of [`NAMES`].
const CASES: [(&[&str], bool, [u64; 4]); 6] = [
    (&[], false, [1, 0, 1, 0]),
    (&["--reject-unknown-dynamic-fields"], false, [0, 1, 0, 0]),
    (&["--ignore-unknown-dynamic-fields"], false, [1, 0, 0, 0]),
    (&["--allow-unknown-fields"], false, [1, 0, 1, 0]),
    (&["--allow-unknown-static-fields"], true, [1, 0, 1, 1]),
    (&["--allow-unknown-fields"], true, [1, 0, 1, 1]),
];

const NAMES: [&str; 4] = [
    "http.web.rds.table.update_success",
    "http.web.rds.table.update_rejected",
    "server.dynamic_unknown_fields",
    "server.static_unknown_fields",
];

fn bootstrap(directory: &Path, unknown: bool) -> PathBuf {
    let table = directory.join("table.yaml");
    std::fs::write(&table, TABLE).unwrap();
    let table = table.display();
    let more = if unknown { "future_field: 1" } else { "" };
    let bootstrap = format!(
        r#"
node: {{id: test, cluster: test}}
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
static_resources:
  listeners:
  - name: web
    {more}
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          rds: {{route_config_name: table, config_source: {{path_config_source: {{path: "{table}"}}}}}}
          http_filters: [{{name: router, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}]
"#
    );
    let path = directory.join("bootstrap.yaml");
    std::fs::write(&path, bootstrap).unwrap();
    path
}

fn statistics(proxy: &Proxy) -> [u64; 4] {
    let text = String::from_utf8(proxy.get("/stats").unwrap().body).unwrap();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    };
    NAMES.map(value)
}

#[test]
fn unknown_fields_are_refused_told_or_passed_over_as_the_flags_say() {
    let programs = [Some(PathBuf::from(env!("CARGO_BIN_EXE_dragoman"))), common::envoy()];
    for program in programs.into_iter().flatten() {
        for (flags, unknown, expected) in CASES {
            let directory = tempfile::tempdir().unwrap();
            let config = bootstrap(directory.path(), unknown);
            let args = [&["--concurrency", "1", "--disable-hot-restart"], flags].concat();
            let proxy = Proxy::start(&program, &config, &args, directory.path());
            let proxy = proxy.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
            assert_eq!(statistics(&proxy), expected, "{} {flags:?}", program.display());
        }
    }
}
