//! Where resources come from: `envoy.config.core.v3.ConfigSource`.

use std::path::PathBuf;
use std::time::Duration;

/// Time waited for the first resource when nothing else is configured.
pub const DEFAULT_INITIAL_FETCH_TIMEOUT: Duration = Duration::from_secs(15);

/// Where a kind of resource comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigSource {
    /// The way there.
    pub from: SourceKind,
    /// How long to wait for the first answer; zero means for ever.
    pub initial_fetch_timeout: Duration,
}

/// `ConfigSource.config_source_specifier`
#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    /// `ads`
    Ads,
    /// `self`: the source that the referring resource came from.
    SelfSource,
    /// `path_config_source`
    Path {
        /// A file that holds a `DiscoveryResponse`.
        path: PathBuf,
        /// The directory whose moves are watched instead of the file.
        watched_directory: Option<PathBuf>,
    },
    /// `api_config_source`
    Api(ApiSource),
}

/// `envoy.config.core.v3.ApiConfigSource`
#[derive(Clone, Debug, PartialEq)]
pub struct ApiSource {
    /// Which variant of the protocol.
    pub api_type: ApiType,
    /// The services to ask, in their order of preference.
    pub services: Vec<GrpcService>,
    /// Send the node only with the first request of a stream.
    pub set_node_on_first_message_only: bool,
}

/// `ApiConfigSource.ApiType`, those that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApiType {
    /// `GRPC` and `AGGREGATED_GRPC`: state of the world.
    Sotw,
    /// `DELTA_GRPC` and `AGGREGATED_DELTA_GRPC`: incremental.
    Delta,
}

/// `envoy.config.core.v3.GrpcService` with `envoy_grpc`.
#[derive(Clone, Debug, PartialEq)]
pub struct GrpcService {
    /// A cluster of the bootstrap.
    pub cluster_name: String,
    /// Value of `:authority`; the cluster's name when empty.
    pub authority: String,
    /// Headers sent with each call.
    pub initial_metadata: Vec<(String, String)>,
    /// Time a call may take; zero means no limit. Streams have none.
    pub timeout: Duration,
}
