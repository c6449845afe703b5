//! A small xDS management server: resources in, ADS and one service for each type out, in both variants of
//! the protocol, to Envoy, gRPC, dragoman or anything else that speaks xDS v3.
//!
//! The `dragoman-xds` command serves a directory. A program serves what it makes:
//!
//! ```
//! use dragoman_xds::{Resource, Server};
//! use envoy_types::pb::envoy::config::cluster::v3::Cluster;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let cluster = |name: &str| Resource::from(Cluster { name: name.into(), ..Default::default() });
//! let plane = Server::builder().resources([cluster("app")]).start().await?;
//! println!("clients connect to {}", plane.addresses()[0]);
//! plane.publish([cluster("app"), cluster("more")]);
//! // `plane.set(…).await` would wait for the clients' verdicts as well.
//! plane.shutdown().await;
//! # Ok::<(), dragoman_xds::StartError>(()) }).unwrap();
//! ```
//!
//! # The modules, from top to bottom
//!
//! | | |
//! |---|---|
//! | `server`, `control` | start and stop; what a program does meanwhile |
//! | `status` | who is connected, over HTTP |
//! | `source`, `watch`, `load` | the directory: where changes come from, when it is read, how |
//! | `service`, `fetch`, `stream` | gRPC: the methods, and the task that drives a stream |
//! | `load_reports` | what clients tell of their load |
//! | `settle` | waiting for clients' verdicts |
//! | `hub` | what all streams share |
//! | `variant`, `sotw`, `delta` | the protocol's two variants; they decide, without I/O |
//! | `sequence`, `subscription` | what goes out in which order; what a client wants and has |
//! | `check`, `snapshot`, `resource`, `references`, `version` | values |

mod address;
mod check;
mod control;
mod delta;
mod fetch;
mod hub;
mod kind;
mod load;
mod load_reports;
mod load_service;
mod references;
mod refusal;
mod resource;
mod sequence;
mod server;
mod service;
mod settle;
#[cfg(test)]
mod simulation;
mod snapshot;
mod sotw;
mod source;
mod status;
mod stream;
mod subscription;
#[cfg(test)]
mod testing;
mod variant;
mod version;
mod watch;

pub use address::Address;
pub use check::check;
pub use control::Control;
pub use kind::{
    CLUSTER, ENDPOINTS, EXTENSION, KINDS, Kind, LISTENER, ROUTE, RUNTIME, SCOPED_ROUTE, SECRET, VIRTUAL_HOST,
};
pub use load::load_str;
pub use load_reports::{ClusterLoad, Load, LoadReports, Metric, NodeLoad};
pub use references::Reference;
pub use resource::{Origin, Resource};
pub use server::{Builder, Handle, Server, StartError};
pub use settle::Nack;
pub use snapshot::{Audience, Catalog, Collection, Problem, Snapshot};
pub use source::{LoadError, load_directory};
pub use status::{NodeStatus, ResourceStatus, Status, StreamStatus, SubscriptionStatus, VerdictStatus};
