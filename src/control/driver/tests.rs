//! The whole control thread, fed from files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;

use super::*;
use crate::config::dns_resolver::DnsResolver;
use crate::config::extension::Extensions;
use crate::config::source::SourceKind;
use crate::control::Quiet;
use crate::control::testing::Recorder;
use crate::observability::stats::Registry;
use crate::upstream::discovery::SystemResolver;
use crate::xds;

/// A directory of resources and the control thread that takes them.
struct Plane {
    directory: PathBuf,
    registry: Registry,
    published: Arc<Published>,
    state: Rc<RefCell<State<Recorder>>>,
    phase: watch::Receiver<Phase>,
}

impl Plane {
    /// Starts with these files in place.
    fn start(name: &str, files: &[(&str, &str)]) -> Self {
        let directory = std::env::temp_dir().join(format!("dragoman-control-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let registry = Registry::new(0);
        let published = Arc::new(Published::default());
        let source = |file: &str| {
            let from = SourceKind::Path { path: directory.join(file), watched_directory: None };
            Some(ConfigSource { from, initial_fetch_timeout: Duration::from_secs(15) })
        };
        let (client, notices) = xds::Client::new(xds::Setup {
            secrets: Default::default(),
            node: Node::default(),
            clusters: Vec::new(),
            ads: None,
            registry: registry.clone(),
            unknown_fields: xds::UnknownFields::default(),
            rng: Rng::seeded(1),
        });
        for (file, content) in files {
            write(&directory, file, content);
        }
        let control = Control::new(Setup {
            secrets: crate::transport::tls::Secrets::default(),
            server: Recorder::default(),
            published: Arc::clone(&published),
            clusters: Vec::new(),
            local: None,
            locality: Default::default(),
            bind: None,
            listeners: Vec::new(),
            cds: source("cds.yaml"),
            lds: source("lds.yaml"),
            extensions: Extensions::BUILT_IN,
            quiet: Quiet::default(),
            client,
            notices,
            resolver: Rc::new(SystemResolver::new(DnsResolver::default(), &registry)),
            rng: Rng::seeded(2),
            outlier_log: None,
            open_log: Box::new(|_| None),
            linger: Duration::from_secs(600),
            registry: registry.clone(),
        });
        let control = control.expect("no listener of the bootstrap can fail");
        let (state, phase) = (control.state(), control.phase());
        tokio::task::spawn_local(control.run());
        Plane { directory, registry, published, state, phase }
    }

    fn write(&self, file: &str, content: &str) {
        write(&self.directory, file, content);
    }

    async fn serving(&mut self) {
        self.phase.wait_for(|phase| *phase == Phase::Serving).await.expect("the task lives");
    }

    /// Waits until something is true, while everything else goes on.
    async fn until(&self, mut what: impl FnMut(&Self) -> bool) {
        let waiting = async {
            while !what(self) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it becomes true");
    }

    fn cluster(&self, name: &str) -> Option<Arc<crate::upstream::Cluster>> {
        self.published.load().clusters.get(name).cloned()
    }

    fn stat(&self, prefix: &str) -> crate::observability::stats::control_plane::SubscriptionStats {
        crate::observability::stats::control_plane::SubscriptionStats::new(&self.registry, prefix)
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        // A directory left behind harms nothing.
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// Moves a file into place, as those have to who change a file that is watched.
fn write(directory: &Path, file: &str, content: &str) {
    let (new, place) = (directory.join(format!("{file}.new")), directory.join(file));
    let content = content.replace("DIRECTORY", &directory.display().to_string());
    std::fs::write(&new, content).and_then(|()| std::fs::rename(new, place)).expect("a file");
}

const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";

fn clusters(version: &str, clusters: &str) -> String {
    format!("version_info: {version}\nresources:\n{}", clusters.replace("TYPE", CLUSTER))
}

const EDS_CLUSTER: &str = "- {'@type': TYPE, name: app, connect_timeout: 1s, type: EDS, eds_cluster_config: {eds_config: \
                           {path_config_source: {path: DIRECTORY/eds.yaml}}}}\n";
const BAD_CLUSTER: &str = "- {'@type': TYPE, name: app, type: STATIC, filters: [{name: a}]}\n";
const STATIC_CLUSTER: &str = "- {'@type': TYPE, name: other, type: STATIC}\n";

fn endpoints(port: u16) -> String {
    format!(
        "version_info: e{port}\nresources:\n- '@type': type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment\n  \
         cluster_name: app\n  endpoints:\n  - lb_endpoints:\n    - endpoint: {{address: {{socket_address: \
         {{address: 127.0.0.1, port_value: {port}}}}}}}\n"
    )
}

const LISTENER: &str = "version_info: l1
resources:
- '@type': type.googleapis.com/envoy.config.listener.v3.Listener
  name: web
  address: {socket_address: {address: 127.0.0.1, port_value: 0}}
  filter_chains:
  - filters:
    - name: http
      typed_config:
        '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: web
        rds: {route_config_name: main, config_source: {path_config_source: {path: DIRECTORY/rds.yaml}}}
        http_filters:
        - {name: router, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
";

fn table(version: &str, cluster: &str) -> String {
    format!(
        "version_info: {version}\nresources:\n- '@type': type.googleapis.com/envoy.config.route.v3.RouteConfiguration\n  \
         name: main\n  virtual_hosts: [{{name: all, domains: ['*'], routes: [{{match: {{prefix: /}}, route: {{cluster: \
         {cluster}}}}}]}}]\n"
    )
}

async fn local(test: impl Future<Output = ()>) {
    tokio::task::LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn a_start_takes_clusters_endpoints_listeners_and_routes_in_turn() {
    local(async {
        let (cds, eds, rds) = (clusters("c1", EDS_CLUSTER), endpoints(80), table("r1", "app"));
        let files = [("cds.yaml", &*cds), ("eds.yaml", &*eds), ("lds.yaml", LISTENER), ("rds.yaml", &*rds)];
        let mut plane = Plane::start("start", &files);
        plane.serving().await;
        assert_eq!(plane.cluster("app").map(|cluster| cluster.hosts().len()), Some(1));
        let from = SourceKind::Path { path: plane.directory.join("rds.yaml"), watched_directory: None };
        assert!(plane.published.load().routes.find(&from, "main").is_some());
        assert_eq!(plane.state.borrow_mut().listeners.server().serving.len(), 1);
        assert_eq!(&*plane.stat("cluster_manager.cds.").version_text().value(), "c1");
        assert_eq!(plane.stat("http.web.rds.main.").update_success().value(), 1);
        assert_eq!(plane.stat("cluster.app.").update_success().value(), 1);
    })
    .await;
}

#[tokio::test]
async fn endpoints_and_routes_change_without_touching_anything_else() {
    local(async {
        let (cds, eds, rds) = (clusters("c1", EDS_CLUSTER), endpoints(80), table("r1", "app"));
        let files = [("cds.yaml", &*cds), ("eds.yaml", &*eds), ("lds.yaml", LISTENER), ("rds.yaml", &*rds)];
        let mut plane = Plane::start("change", &files);
        plane.serving().await;
        let cluster = plane.cluster("app");
        let served = |plane: &Plane| Arc::clone(&plane.state.borrow_mut().listeners.server().serving["web"]);
        let listener = served(&plane);
        plane.write("eds.yaml", &endpoints(81));
        let moved = |plane: &Plane| {
            let cluster = plane.cluster("app").expect("it serves on");
            cluster.hosts().iter().any(|host| host.address_text.ends_with(":81"))
        };
        plane.until(moved).await;
        plane.write("rds.yaml", &table("r2", "other"));
        plane.until(|plane| plane.stat("http.web.rds.main.").update_success().value() == 2).await;
        assert_eq!(plane.cluster("app").map(|cluster| cluster.id), cluster.map(|cluster| cluster.id));
        assert!(Arc::ptr_eq(&served(&plane), &listener));
    })
    .await;
}

#[tokio::test]
async fn a_nack_keeps_the_last_good_version() {
    local(async {
        let (cds, eds) = (clusters("c1", EDS_CLUSTER), endpoints(80));
        let mut plane = Plane::start(
            "nack",
            &[("cds.yaml", &cds), ("eds.yaml", &eds), ("lds.yaml", "version_info: l0\n")],
        );
        plane.serving().await;
        let good = plane.cluster("app").map(|cluster| cluster.id);
        plane.write("cds.yaml", &clusters("c2", &format!("{BAD_CLUSTER}{STATIC_CLUSTER}")));
        plane.until(|plane| plane.cluster("other").is_some()).await;
        assert_eq!(plane.cluster("app").map(|cluster| cluster.id), good);
        let state = plane.state.borrow();
        let error = state.clusters.resources().find("app").and_then(|states| states.error.clone());
        assert!(error.is_some_and(|error| error.details.starts_with("filters")));
        assert_eq!(state.clusters.resources().version, "c1");
        assert_eq!(plane.stat("cluster_manager.cds.").update_rejected().value(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_removed_cluster_is_gone_and_the_others_stay() {
    local(async {
        let cds = clusters("c1", &format!("{EDS_CLUSTER}{STATIC_CLUSTER}"));
        let eds = endpoints(80);
        let mut plane = Plane::start(
            "remove",
            &[("cds.yaml", &cds), ("eds.yaml", &eds), ("lds.yaml", "version_info: l0\n")],
        );
        plane.serving().await;
        let other = plane.cluster("other").map(|cluster| cluster.id);
        plane.write("cds.yaml", &clusters("c2", STATIC_CLUSTER));
        plane.until(|plane| plane.cluster("app").is_none()).await;
        assert_eq!(plane.cluster("other").map(|cluster| cluster.id), other);
    })
    .await;
}

#[tokio::test]
async fn a_source_that_fails_is_waited_for_no_longer() {
    local(async {
        let mut plane = Plane::start("missing", &[("lds.yaml", LISTENER), ("rds.yaml", "[")]);
        plane.serving().await;
        assert_eq!(plane.stat("cluster_manager.cds.").update_rejected().value(), 1);
        assert_eq!(plane.state.borrow_mut().listeners.server().serving.len(), 1, "without its route table");
    })
    .await;
}
