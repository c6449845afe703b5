//! The management server of `run.py`: many clusters with endpoints and one virtual host with as many routes, made
//! in memory, so that nothing but the proxy is slow.
//!
//! Commands come line by line on the standard input; each is answered with one line when it is done.
//!
//! | command | |
//! |---|---|
//! | `prepare` | makes the next version, and serves it not yet: a hundredth of what there was changes |
//! | `publish` | serves it, and waits until the client has answered everything |
//! | `move RATE SECONDS` | moves endpoints of one cluster after the other, so many a second for so long, each in a response of incremental xDS of its own that is waited for; answers with how many there were a second |

use std::error::Error;
use std::time::{Duration, Instant};

use clap::Parser;
use dragoman_xds::{Control, Resource, Server};
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, EdsClusterConfig,
};
use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{
    Address, AggregatedConfigSource, ApiVersion, ConfigSource, SocketAddress,
};
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
};
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{
    Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost,
};
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryResponse;
use envoy_types::pb::google::protobuf::{Any, Duration as ProtoDuration};
use prost::Message as _;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// Of so many resources one changes with each version.
const SHARE: u32 = 100;

/// The type of what moves.
const ENDPOINTS: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";

/// The clusters of the version that is served before the first `publish`.
const FIRST: u32 = 1;

/// Serves many clusters and routes to a proxy, for benches/scale/run.py
#[derive(Debug, Parser)]
struct Arguments {
    /// How many clusters, and routes
    #[arg(long, default_value_t = 10_000)]
    clusters: u32,

    /// The port of 127.0.0.1 to 127.0.0.3 that all endpoints have
    #[arg(long)]
    upstream: u32,
}

/// What there is to be served, at one version.
#[derive(Debug)]
struct World {
    arguments: Arguments,
    /// 0: only the first clusters; after that each changes another hundredth.
    version: u32,
    /// How often an endpoint has moved beside that, one cluster after the other.
    moves: u32,
}

impl World {
    fn count(&self) -> u32 {
        if self.version == 0 { FIRST } else { self.arguments.clusters }
    }

    /// How often the resource of this number has changed.
    fn changes(&self, number: u32) -> u32 {
        (self.version + number) / SHARE
    }

    fn resources(&self) -> Vec<Resource> {
        let clusters = (0..self.count()).map(|number| Resource::from(self.cluster(number)));
        let endpoints = (0..self.count()).map(|number| Resource::from(self.endpoints(number)));
        clusters.chain(endpoints).chain([Resource::from(self.routes())]).collect()
    }

    fn cluster(&self, number: u32) -> Cluster {
        let source = ConfigSource {
            resource_api_version: ApiVersion::V3.into(),
            config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource::default())),
            ..ConfigSource::default()
        };
        let nanos = i32::try_from(self.changes(number)).unwrap_or(0);
        Cluster {
            name: name(number),
            cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
            eds_cluster_config: Some(EdsClusterConfig { eds_config: Some(source), ..Default::default() }),
            connect_timeout: Some(ProtoDuration { seconds: 5, nanos }),
            ..Cluster::default()
        }
    }

    /// Two endpoints, of which a change moves one.
    fn endpoints(&self, number: u32) -> ClusterLoadAssignment {
        let clusters = self.arguments.clusters.max(1);
        let moved = (self.moves + clusters - 1 - number) / clusters;
        let changes = self.changes(number + SHARE / 3) + moved;
        let second = ["127.0.0.2", "127.0.0.3"][changes as usize % 2];
        let lb_endpoints = ["127.0.0.1", second].map(|host| self.endpoint(host)).to_vec();
        ClusterLoadAssignment {
            cluster_name: name(number),
            endpoints: vec![LocalityLbEndpoints { lb_endpoints, ..Default::default() }],
            ..ClusterLoadAssignment::default()
        }
    }

    /// Moves endpoints for a while; returns how many there were a second.
    async fn move_on(
        &mut self,
        server: &Control,
        rate: f64,
        how_long: Duration,
    ) -> Result<f64, Box<dyn Error>> {
        let (begun, mut moved) = (Instant::now(), 0.0);
        while begun.elapsed() < how_long {
            let number = self.moves % self.arguments.clusters.max(1);
            self.moves += 1;
            let endpoints = self.endpoints(number);
            let resource = envoy_types::pb::envoy::service::discovery::v3::Resource {
                name: endpoints.cluster_name.clone(),
                version: self.moves.to_string(),
                resource: Some(Any { type_url: ENDPOINTS.to_owned(), value: endpoints.encode_to_vec() }),
                ..Default::default()
            };
            let response = DeltaDiscoveryResponse {
                type_url: ENDPOINTS.to_owned(),
                resources: vec![resource],
                ..DeltaDiscoveryResponse::default()
            };
            server.inject_delta(response).await.map_err(|nack| format!("rejected: {nack:?}"))?;
            moved += 1.0;
            tokio::time::sleep_until((begun + Duration::from_secs_f64(moved / rate)).into()).await;
        }
        Ok(moved / begun.elapsed().as_secs_f64())
    }

    fn endpoint(&self, host: &str) -> LbEndpoint {
        let socket = SocketAddress {
            address: host.to_owned(),
            port_specifier: Some(PortSpecifier::PortValue(self.arguments.upstream)),
            ..SocketAddress::default()
        };
        let address = Some(Address { address: Some(AddressKind::SocketAddress(socket)) });
        LbEndpoint {
            host_identifier: Some(HostIdentifier::Endpoint(Endpoint { address, ..Default::default() })),
            ..LbEndpoint::default()
        }
    }

    fn routes(&self) -> RouteConfiguration {
        let routes = (0..self.count()).map(|number| self.route(number)).collect();
        let host = VirtualHost {
            name: "all".to_owned(),
            domains: vec!["*".to_owned()],
            routes,
            ..VirtualHost::default()
        };
        RouteConfiguration {
            name: "table".to_owned(),
            virtual_hosts: vec![host],
            ..RouteConfiguration::default()
        }
    }

    fn route(&self, number: u32) -> Route {
        let seconds = i64::from(15 + self.changes(number + 2 * SHARE / 3));
        let action = RouteAction {
            cluster_specifier: Some(ClusterSpecifier::Cluster(name(number))),
            timeout: Some(ProtoDuration { seconds, nanos: 0 }),
            ..RouteAction::default()
        };
        let path = PathSpecifier::Prefix(format!("/{}/", name(number)));
        Route {
            r#match: Some(RouteMatch { path_specifier: Some(path), ..RouteMatch::default() }),
            action: Some(Action::Route(action)),
            ..Route::default()
        }
    }
}

fn name(number: u32) -> String {
    format!("c{number:06}")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut world = World { arguments: Arguments::parse(), version: 0, moves: 0 };
    // A client that warms its clusters first must not be overtaken.
    let server =
        Server::builder().resources(world.resources()).patience(Duration::from_secs(600)).start().await?;
    say(&format!("port {}", server.port())).await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut next = Vec::new();
    while let Some(line) = lines.next_line().await? {
        match line.trim() {
            "prepare" => {
                world.version += 1;
                next = world.resources();
            }
            "publish" => publish(&server, std::mem::take(&mut next)).await?,
            line => {
                let rest = line.strip_prefix("move ").and_then(|rest| rest.split_once(' '));
                let numbers =
                    rest.and_then(|(rate, seconds)| Some((rate.parse().ok()?, seconds.parse().ok()?)));
                let (rate, seconds) = numbers.ok_or_else(|| format!("no such command: {line}"))?;
                say(&world.move_on(&server, rate, Duration::from_secs_f64(seconds)).await?.to_string())
                    .await?;
                continue;
            }
        }
        say("done").await?;
    }
    Ok(())
}

async fn publish(control: &Control, resources: Vec<Resource>) -> Result<(), Box<dyn Error>> {
    control.set(resources).await.map_err(|nack| format!("rejected: {nack:?}").into())
}

/// Prints a line that the script waits for.
async fn say(line: &str) -> std::io::Result<()> {
    let mut out = tokio::io::stdout();
    out.write_all(format!("{line}\n").as_bytes()).await?;
    out.flush().await
}
