//! `dragoman demo`: everything around the proxy, so that it can be tried with one command.
//!
//! Two upstreams and a management server run on a thread of their own; the proxy itself is an ordinary one,
//! with a bootstrap that leads to that server. What is served is a directory that people can edit.

mod files;
mod guide;
mod upstream;

use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use dragoman_xds::{Address, Handle, Server};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::options::Options;
use files::Directory;

/// The clusters of `testdata/demo/clusters.yaml` and the addresses in `endpoints.yaml`.
const UPSTREAMS: [(&str, &str); 2] = [("blue", "127.0.0.1:10001"), ("green", "127.0.0.1:10002")];
/// The listener in `testdata/demo/listeners.yaml`.
const PROXY: &str = "127.0.0.1:10000";
const ADMIN_PORT: u16 = 9901;
/// Nobody wants to wait ten minutes for a demo to end.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A configuration was given.
    #[error("the demo brings its own configuration: leave out --config-path and --config-yaml")]
    HasConfiguration,
    /// An upstream's port is taken.
    #[error("cannot listen on {address}, which is an upstream in {}", directory.join("endpoints.yaml").display())]
    Listen {
        /// The address.
        address: &'static str,
        /// The directory that is served.
        directory: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The management server does not start.
    #[error("cannot serve the configuration")]
    Serve(#[from] dragoman_xds::StartError),
    /// The system refuses a thread, or a directory for the files.
    #[error("cannot set up the demo")]
    Setup(#[from] io::Error),
}

/// What runs around the proxy.
#[derive(Debug)]
pub struct Demo {
    options: Options,
    surroundings: JoinHandle<()>,
    /// Dropped to end them.
    stop: oneshot::Sender<()>,
    /// Removed last, when it was made for the demo.
    _directory: Directory,
}

impl Demo {
    /// Starts the upstreams and the management server. Once the proxy, which is started elsewhere with
    /// [`options`](Self::options), has its configuration, a guide is printed.
    ///
    /// # Errors
    ///
    /// When `options` name a configuration, or something cannot be started.
    pub fn start(options: Options) -> Result<Self, DemoError> {
        if options.config_path.is_some() || options.config_yaml.is_some() {
            return Err(DemoError::HasConfiguration);
        }
        let directory = Directory::find()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let started = runtime.block_on(Surroundings::start(directory.path()))?;
        let bootstrap = bootstrap(started.port());
        let surroundings = std::thread::Builder::new()
            .name("demo".to_owned())
            .spawn(move || runtime.block_on(started.run(stopped)))?;
        let options = Options {
            config_yaml: Some(bootstrap),
            drain_time: DRAIN_TIME.min(options.drain_time),
            ..options
        };
        Ok(Self { options, surroundings, stop, _directory: directory })
    }

    /// What to start the proxy with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Ends what runs around the proxy; to be called when the proxy has ended.
    pub fn stop(self) {
        drop(self.stop);
        // A panic there has been reported on its thread, and the demo is over anyway.
        self.surroundings.join().unwrap_or_default();
    }
}

/// What runs on the demo's own thread.
struct Surroundings {
    upstreams: JoinSet<()>,
    plane: Handle,
    directory: PathBuf,
}

impl Surroundings {
    async fn start(directory: &Path) -> Result<Self, DemoError> {
        let mut upstreams = JoinSet::new();
        for (name, address) in UPSTREAMS {
            let failed = |source| DemoError::Listen { address, directory: directory.to_owned(), source };
            let listener = TcpListener::bind(address).await.map_err(failed)?;
            upstreams.spawn(upstream::serve(name, listener));
        }
        let plane = Server::builder()
            .directory(directory)
            .listen(Address::LOOPBACK)
            .status(Address::LOOPBACK)
            .start()
            .await?;
        Ok(Self { upstreams, plane, directory: directory.to_owned() })
    }

    /// The port of the management server.
    fn port(&self) -> u16 {
        self.plane.port()
    }

    async fn run(mut self, stopped: oneshot::Receiver<()>) {
        tokio::select! {
            // The other half is only ever dropped.
            _ = stopped => {}
            () = guide::print(&self.plane, &self.directory) => {}
        }
        self.plane.shutdown().await;
        self.upstreams.shutdown().await;
    }
}

/// A bootstrap whose only cluster is the management server on `port`.
fn bootstrap(port: u16) -> String {
    format!(
        r#"
node: {{id: demo, cluster: demo}}
admin:
  address: {{socket_address: {{address: 127.0.0.1, port_value: {ADMIN_PORT}}}}}
dynamic_resources:
  ads_config:
    api_type: GRPC
    transport_api_version: V3
    grpc_services: [{{envoy_grpc: {{cluster_name: xds}}}}]
  cds_config: {{ads: {{}}, resource_api_version: V3}}
  lds_config: {{ads: {{}}, resource_api_version: V3}}
static_resources:
  clusters:
  - name: xds
    type: STATIC
    connect_timeout: 1s
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

#[cfg(test)]
mod tests {
    use dragoman_proto::{encode, tree};

    use super::*;

    #[test]
    fn the_bootstrap_is_a_valid_one() {
        let document = tree::parse_yaml(&bootstrap(18000)).unwrap();
        encode(&document.root, "envoy.config.bootstrap.v3.Bootstrap", &encode::Options::default()).unwrap();
    }

    #[test]
    fn the_files_agree_with_what_the_demo_starts() {
        let files = files::FILES.map(|(_, content)| content).concat();
        for (name, address) in UPSTREAMS {
            let port = address.rsplit(':').next().unwrap();
            assert!(files.contains(&format!("cluster_name: {name}\n")), "{name}");
            assert!(files.contains(&format!("port_value: {port}}}")), "{port}");
        }
        assert!(files.contains(&format!("port_value: {}}}", PROXY.rsplit(':').next().unwrap())));
    }
}
