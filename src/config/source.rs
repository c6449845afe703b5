//! Where resources come from: `envoy.config.core.v3.ConfigSource`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3;

use super::field::{Scope, open};
use super::watched::WatchedDirectory;

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
        /// The directory that is watched instead of the file.
        watched_directory: Option<WatchedDirectory>,
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
}

impl ConfigSource {
    /// Whether it is a file.
    pub fn is_file(&self) -> bool {
        matches!(self.from, SourceKind::Path { .. })
    }

    /// From its proto.
    pub fn from_proto(message: v3::ConfigSource, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::ConfigSource = message;
            implemented { config_source_specifier, initial_fetch_timeout, resource_api_version }
            rejected { authorities: "xdstp authorities are not served" }
        }
        api_version("resource_api_version", resource_api_version, at);
        let timeout = at.duration("initial_fetch_timeout", initial_fetch_timeout);
        Some(ConfigSource {
            from: SourceKind::from_proto(
                at.required("config_source_specifier", config_source_specifier)?,
                at,
            )?,
            initial_fetch_timeout: timeout.unwrap_or(DEFAULT_INITIAL_FETCH_TIMEOUT),
        })
    }
}

impl ConfigSource {
    /// The same for what is asked for as soon as it is referred to: its server has to be there from the beginning.
    ///
    /// Envoy does not ask that of the sources of secrets, of virtual hosts, of the route tables of scopes, and of clusters
    /// that requests ask for.
    pub fn of_known_server(message: v3::ConfigSource, at: &mut Scope<'_>) -> Option<Self> {
        let source = Self::from_proto(message, at)?;
        source.check_server("", at);
        Some(source)
    }

    /// Notes a server that cannot be one, `lead_in` before what is said of it.
    pub(super) fn check_server(&self, lead_in: &str, at: &mut Scope<'_>) {
        if let SourceKind::Api(api) = &self.from {
            api.check_servers(lead_in, &mut at.field("api_config_source"));
        }
    }
}

impl SourceKind {
    fn from_proto(specifier: v3::config_source::ConfigSourceSpecifier, at: &mut Scope<'_>) -> Option<Self> {
        use v3::config_source::ConfigSourceSpecifier as Specifier;
        #[expect(deprecated, reason = "the older path is still accepted, as by Envoy")]
        match specifier {
            Specifier::Ads(source) => {
                open! { at, v3::AggregatedConfigSource = source; implemented {} }
                Some(SourceKind::Ads)
            }
            Specifier::Self_(source) => {
                let mut at = at.field("self");
                open! { at, v3::SelfConfigSource = source; implemented { transport_api_version } }
                api_version("transport_api_version", transport_api_version, &mut at);
                Some(SourceKind::SelfSource)
            }
            Specifier::Path(path) => {
                let path = existing(path, &mut at.field("path"));
                Some(SourceKind::Path { path, watched_directory: None })
            }
            Specifier::PathConfigSource(source) => path_source(source, &mut at.field("path_config_source")),
            Specifier::ApiConfigSource(source) => {
                ApiSource::from_proto(source, &mut at.field("api_config_source")).map(SourceKind::Api)
            }
        }
    }
}

fn path_source(message: v3::PathConfigSource, at: &mut Scope<'_>) -> Option<SourceKind> {
    open! { at, v3::PathConfigSource = message;
        implemented { path, watched_directory }
        rejected { poll_interval: "files are watched, not polled" }
    }
    let path = at.required_string("path", path);
    let path = existing(path, &mut at.field("path"));
    let watched_directory = at.message("watched_directory", watched_directory, WatchedDirectory::from_proto);
    Some(SourceKind::Path { path, watched_directory })
}

/// A file that can be watched has to be there from the beginning.
fn existing(path: String, at: &mut Scope<'_>) -> PathBuf {
    if !path.is_empty() && !Path::new(&path).exists() {
        at.error(format!("paths must refer to an existing path in the system: '{path}' does not exist"));
    }
    path.into()
}

/// Envoy knows v3 only, and so do we; AUTO means v3 too.
#[expect(deprecated, reason = "the older version has to be refused")]
fn api_version(name: &str, version: i32, at: &mut Scope<'_>) {
    if at.enumeration::<v3::ApiVersion>(name, version) == v3::ApiVersion::V2 {
        at.field(name).error("V2 xDS transport protocol version is deprecated; set V3");
    }
}

impl ApiSource {
    /// From its proto.
    pub fn from_proto(message: v3::ApiConfigSource, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::ApiConfigSource = message;
            implemented { api_type, transport_api_version, grpc_services, set_node_on_first_message_only }
            rejected {
                cluster_names: "clusters are named in grpc_services; REST is not served",
                refresh_delay: "REST is not served",
                request_timeout: "REST is not served",
                rate_limit_settings: "requests to management servers are not limited",
                config_validators: "no validator extensions are known",
            }
        }
        api_version("transport_api_version", transport_api_version, at);
        let api_type = ApiType::from_proto(api_type, at);
        let services = at.list("grpc_services", grpc_services, GrpcService::from_proto);
        if services.is_empty() {
            at.field("grpc_services")
                .error("API configs must have either a gRPC service or a cluster name defined");
        }
        if services.len() > 1 {
            at.field("grpc_services").error(
                "envoy.config.core.v3.ApiConfigSource::(AGGREGATED_)(DELTA_)GRPC must have no more than 1 gRPC \
                 services specified",
            );
        }
        Some(ApiSource { api_type: api_type?, services, set_node_on_first_message_only })
    }
}

impl ApiSource {
    /// The same for a server that has to be there from the beginning.
    pub fn of_known_server(message: v3::ApiConfigSource, at: &mut Scope<'_>) -> Option<Self> {
        let source = Self::from_proto(message, at)?;
        source.check_servers("", at);
        Some(source)
    }

    fn check_servers(&self, lead_in: &str, at: &mut Scope<'_>) {
        let Some(known) = at.extensions().management_servers.clone() else { return };
        for (index, service) in self.services.iter().enumerate() {
            let name = &service.cluster_name;
            if name.is_empty() || known.contains(name) {
                continue;
            }
            let nearest = dragoman_proto::nearest(name, known.iter().map(String::as_str));
            let hint = nearest.map(|nearest| format!("; did you mean '{nearest}'?")).unwrap_or_default();
            at.index("grpc_services", index).field("envoy_grpc").field("cluster_name").error(format!(
                "{lead_in}envoy.config.core.v3.ApiConfigSource must have a statically defined non-EDS cluster: \
                 '{name}' does not exist, was added via api, or is an EDS cluster{hint}"
            ));
        }
    }
}

impl ApiType {
    fn from_proto(value: i32, at: &mut Scope<'_>) -> Option<Self> {
        use v3::api_config_source::ApiType as Type;
        #[expect(deprecated, reason = "the enumeration's first value has to be answered")]
        match at.enumeration("api_type", value) {
            Type::Grpc | Type::AggregatedGrpc => Some(ApiType::Sotw),
            Type::DeltaGrpc | Type::AggregatedDeltaGrpc => Some(ApiType::Delta),
            Type::Rest => {
                at.reject("api_type", "REST is not served; GRPC and DELTA_GRPC are");
                None
            }
            Type::DeprecatedAndUnavailableDoNotUse => {
                at.field("api_type").error("must be GRPC or DELTA_GRPC");
                None
            }
        }
    }
}

impl GrpcService {
    /// From its proto.
    pub fn from_proto(message: v3::GrpcService, at: &mut Scope<'_>) -> Option<Self> {
        use v3::grpc_service::TargetSpecifier;
        open! { at, v3::GrpcService = message;
            implemented { target_specifier, initial_metadata }
            rejected { retry_policy: "the back-off of streams is fixed" }
            ignored { timeout: "a stream of discovery has no end, in Envoy either" }
        }
        let initial_metadata = at.list("initial_metadata", initial_metadata, initial_metadata_entry);
        match at.required("target_specifier", target_specifier)? {
            TargetSpecifier::EnvoyGrpc(target) => {
                let (cluster_name, authority) = envoy_grpc(target, &mut at.field("envoy_grpc"));
                Some(GrpcService { cluster_name, authority, initial_metadata })
            }
            TargetSpecifier::GoogleGrpc(_) => {
                at.reject("google_grpc", "there is one gRPC client: use envoy_grpc and a cluster");
                None
            }
        }
    }
}

/// The cluster and the authority.
fn envoy_grpc(message: v3::grpc_service::EnvoyGrpc, at: &mut Scope<'_>) -> (String, String) {
    use v3::grpc_service::EnvoyGrpc;
    open! { at, EnvoyGrpc = message;
        implemented { cluster_name, authority }
        rejected {
            retry_policy: "the back-off of streams is fixed",
            max_receive_message_length: "the limit of messages is fixed",
        }
        ignored { skip_envoy_headers: "no such headers are sent on these streams" }
    }
    (at.required_string("cluster_name", cluster_name), authority)
}

fn initial_metadata_entry(message: v3::HeaderValue, at: &mut Scope<'_>) -> Option<(String, String)> {
    open! { at, v3::HeaderValue = message;
        implemented { key, value }
        rejected { raw_value: "give a value" }
    }
    Some((at.required_string("key", key), value))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::config::extension::Extensions;
    use crate::config::field::{Error, read};

    fn api(cluster: &str) -> v3::ConfigSource {
        use v3::config_source::ConfigSourceSpecifier as Specifier;
        use v3::grpc_service::{EnvoyGrpc, TargetSpecifier};
        let grpc = EnvoyGrpc { cluster_name: cluster.to_owned(), ..EnvoyGrpc::default() };
        let service = v3::GrpcService {
            target_specifier: Some(TargetSpecifier::EnvoyGrpc(grpc)),
            ..v3::GrpcService::default()
        };
        let api = v3::ApiConfigSource {
            api_type: v3::api_config_source::ApiType::Grpc.into(),
            grpc_services: vec![service],
            ..v3::ApiConfigSource::default()
        };
        v3::ConfigSource {
            config_source_specifier: Some(Specifier::ApiConfigSource(api)),
            ..v3::ConfigSource::default()
        }
    }

    /// What is said of a source, where these clusters may be management servers.
    fn said(cluster: &str, servers: Option<&[&str]>) -> Vec<String> {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
        let management_servers = servers.map(names).map(Arc::new);
        let extensions = Extensions { management_servers, ..Extensions::BUILT_IN };
        let read = read(&extensions, |at| ConfigSource::of_known_server(api(cluster), at));
        read.err().unwrap_or_default().iter().map(Error::to_string).collect()
    }

    #[test]
    fn a_management_server_is_a_cluster_of_the_bootstrap() {
        assert_eq!(said("xds", Some(&["app", "xds"])), Vec::<String>::new());
        assert_eq!(
            said("xdz", Some(&["app", "xds"])),
            ["api_config_source.grpc_services[0].envoy_grpc.cluster_name: \
              envoy.config.core.v3.ApiConfigSource must have a statically defined non-EDS cluster: 'xdz' does not \
              exist, was added via api, or is an EDS cluster; did you mean 'xds'?"]
        );
    }

    #[test]
    fn without_a_bootstrap_any_cluster_may_be_one() {
        assert_eq!(said("xds", None), Vec::<String>::new());
    }
}
