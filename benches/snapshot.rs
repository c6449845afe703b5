//! What a response with 10,000 clusters costs the control plane, from its bytes to the snapshot in force, when one of
//! them is new to the proxy, or a hundred, or all. State of the world: all of them come each time.
//!
//! `cargo bench --bench snapshot`

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use divan::Bencher;
use dragoman::config;
use dragoman::config::extension::Extensions;
use dragoman::control::clusters::Clusters;
use dragoman::control::{Ticket, push};
use dragoman::observability::stats::Registry;
use dragoman::snapshot::{Published, Snapshot};
use dragoman::upstream::Manager;
use dragoman::xds::sotw::Sotw;
use dragoman::xds::variant::{Received, Variant};
use dragoman::xds::{Interest, Verdict, type_url};
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType};
use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{Address, SocketAddress};
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
};
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse;
use envoy_types::pb::google::protobuf::{Any, Duration};
use prost::Message;
use tokio::runtime::Runtime;

const CLUSTERS: usize = 10_000;

fn main() {
    divan::main();
}

/// A cluster with two endpoints; versions differ in the connect timeout.
fn cluster(number: usize, version: u32) -> Any {
    let name = format!("cluster-{number}");
    let endpoints = LocalityLbEndpoints {
        lb_endpoints: [80, 81].map(endpoint).to_vec(),
        ..LocalityLbEndpoints::default()
    };
    let assignment = ClusterLoadAssignment {
        cluster_name: name.clone(),
        endpoints: vec![endpoints],
        ..ClusterLoadAssignment::default()
    };
    let cluster = Cluster {
        name,
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into())),
        connect_timeout: Some(Duration { seconds: i64::from(version), nanos: 0 }),
        load_assignment: Some(assignment),
        ..Cluster::default()
    };
    Any { type_url: type_url::CLUSTER.to_owned(), value: cluster.encode_to_vec() }
}

fn endpoint(port: u32) -> LbEndpoint {
    let socket = SocketAddress {
        address: "10.0.0.1".to_owned(),
        port_specifier: Some(PortSpecifier::PortValue(port)),
        ..SocketAddress::default()
    };
    let address = Some(Address { address: Some(AddressKind::SocketAddress(socket)) });
    LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(Endpoint { address, ..Endpoint::default() })),
        ..LbEndpoint::default()
    }
}

/// The server's side.
struct Server {
    clusters: Vec<Any>,
    version: u32,
}

impl Server {
    fn new() -> Self {
        Server { clusters: (0..CLUSTERS).map(|number| cluster(number, 1)).collect(), version: 1 }
    }

    /// The next response, in which so many clusters are others, evenly spread.
    fn next(&mut self, changed: usize) -> Vec<u8> {
        self.version += 1;
        for number in (0..CLUSTERS).step_by(CLUSTERS / changed) {
            self.clusters[number] = cluster(number, self.version);
        }
        self.response()
    }

    fn response(&self) -> Vec<u8> {
        let response = DiscoveryResponse {
            version_info: self.version.to_string(),
            nonce: self.version.to_string(),
            type_url: type_url::CLUSTER.to_owned(),
            resources: self.clusters.clone(),
            ..DiscoveryResponse::default()
        };
        response.encode_to_vec()
    }
}

/// The proxy's side.
struct Client {
    runtime: Runtime,
    stream: Sotw,
    clusters: Clusters,
    published: Published,
    responses: u64,
}

impl Client {
    fn new() -> Self {
        let mut stream = Sotw::new(type_url::CLUSTER, Interest::Wildcard);
        stream.connect();
        Client {
            runtime: tokio::runtime::Builder::new_current_thread().build().expect("a runtime"),
            stream,
            clusters: Clusters::new(Manager::new(Registry::new(1)), None),
            published: Published::default(),
            responses: 0,
        }
    }

    /// From the bytes to the acknowledgement.
    fn take(&mut self, response: &[u8]) {
        let response = DiscoveryResponse::decode(response).expect("a response");
        let Received::Delivered(response) = self.stream.receive(response, Instant::now()) else {
            panic!("nothing but clusters");
        };
        let token = response.token;
        let current = |name: &str, value: &[u8]| self.clusters.resources().is_current(name, value);
        let read =
            push::read::<config::Cluster>(response, Extensions::BUILT_IN, SystemTime::UNIX_EPOCH, current);
        let mut push = self.runtime.block_on(read);
        let gone = push.gone(self.clusters.resources().names());
        let changes = push.take_some(usize::MAX).unwrap_or_default();
        let problems = self.clusters.update(changes, Instant::now());
        self.responses += 1;
        self.clusters.finish(&gone, &problems, Ticket(self.responses));
        let clusters = Arc::clone(self.clusters.manager().active());
        assert_eq!((clusters.len(), problems.len()), (CLUSTERS, 0));
        self.published.publish(Snapshot { clusters, ..Snapshot::default() });
        self.stream.settle(token, Verdict::Ack);
    }
}

#[divan::bench(args = [1, 100, CLUSTERS], sample_count = 20, sample_size = 1)]
fn ten_thousand_clusters_of_which_change(bencher: Bencher<'_, '_>, changed: usize) {
    let (mut server, client) = (Server::new(), RefCell::new(Client::new()));
    client.borrow_mut().take(&server.response());
    bencher
        .with_inputs(|| server.next(changed))
        .bench_local_values(|response| client.borrow_mut().take(&response));
}

/// What of the above is the search for unknown fields, violated constraints and deprecated fields, all being new.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn field_checks_of_ten_thousand_clusters(bencher: Bencher<'_, '_>) {
    let clusters = Server::new().clusters;
    bencher.bench_local(|| {
        for cluster in &clusters {
            let found = dragoman_proto::inspect(&cluster.value, "envoy.config.cluster.v3.Cluster");
            assert!(found.is_ok_and(|found| found.violations.is_empty()));
        }
    });
}
