//! `ORIGINAL_DST` clusters: each request goes where it, or the connection that it came over, says.

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::extensions::clusters::original_dst::v3::OriginalDstCluster;
use envoy_types::pb::envoy::r#type::metadata::v3::MetadataKey;
use envoy_types::pb::google::protobuf as pb;

use super::lb;
use crate::config::extension;
use crate::config::field::{Scope, open};

/// Time between two looks for hosts that are used no more, when nothing else is configured.
const DEFAULT_CLEANUP_INTERVAL: Duration = Duration::from_secs(5);

/// The header that names a request's host when none is configured.
const DEFAULT_HEADER: &str = "x-envoy-original-dst-host";

/// What an `ORIGINAL_DST` cluster asks for the address of a request's host: `Cluster.OriginalDstLbConfig`, or
/// `envoy.extensions.clusters.original_dst.v3.OriginalDstCluster`.
///
/// The filter state `envoy.network.transport_socket.original_dst_address` is asked first.
#[derive(Clone, Debug, PartialEq)]
pub struct OriginalDst {
    /// How often hosts go that are used no more; 5 s by default.
    pub cleanup_interval: Duration,
    /// The dynamic metadata that is asked next: its name, then the keys that lead to the value.
    pub metadata_key: Option<Vec<String>>,
    /// The request header that is asked last, in lower case.
    pub http_header_name: Option<String>,
    /// The port of all hosts, whatever was asked says.
    pub upstream_port_override: Option<u16>,
}

/// How a cluster says that it is of this kind.
pub(super) enum Said {
    /// By its `type`.
    Type,
    /// By the name of an extension.
    Name,
    /// By the configuration of one.
    Config(OriginalDstCluster),
}

/// Fields that both ways of saying it have.
struct Asked {
    use_http_header: bool,
    http_header_name: String,
    upstream_port_override: Option<pb::UInt32Value>,
    metadata_key: Option<MetadataKey>,
}

/// Fields of a cluster that concern this kind alone.
pub(super) struct Given {
    pub(super) lb_config: Option<v3::cluster::OriginalDstLbConfig>,
    pub(super) cleanup_interval: Option<pb::Duration>,
}

impl Given {
    /// What they say of a cluster of this kind, perhaps with endpoints `assigned`.
    pub(super) fn read(self, said: Said, assigned: bool, at: &mut Scope<'_>) -> OriginalDst {
        if assigned {
            at.field("load_assignment")
                .error("ORIGINAL_DST clusters must have no load assignment configured");
        }
        let cleanup_interval = at.positive_duration("cleanup_interval", self.cleanup_interval);
        let plain = OriginalDst {
            cleanup_interval: cleanup_interval.unwrap_or(DEFAULT_CLEANUP_INTERVAL),
            metadata_key: None,
            http_header_name: None,
            upstream_port_override: None,
        };
        if !matches!(said, Said::Type) && self.lb_config.is_some() {
            at.ignore(
                "original_dst_lb_config",
                "as in Envoy it concerns the type ORIGINAL_DST, not cluster_type",
            );
        }
        let asked = match said {
            Said::Type => at.message("original_dst_lb_config", self.lb_config, |message, at| {
                Some(plain.asking(Asked::from_proto(message, at), at))
            }),
            Said::Name => None,
            Said::Config(message) => {
                let mut at = at.field("cluster_type");
                let mut at = at.field("typed_config");
                let asked = Asked::of_extension(message, &mut at);
                Some(plain.asking(asked, &mut at))
            }
        };
        asked.unwrap_or(plain)
    }

    /// Notes them where the cluster is of another kind.
    pub(super) fn ignore(&self, at: &mut Scope<'_>) {
        const CONCERNS: &str = "it concerns ORIGINAL_DST clusters only";
        if self.cleanup_interval.is_some() {
            at.ignore("cleanup_interval", CONCERNS);
        }
        if self.lb_config.is_some() {
            at.ignore("original_dst_lb_config", CONCERNS);
        }
    }
}

impl Asked {
    fn from_proto(message: v3::cluster::OriginalDstLbConfig, at: &mut Scope<'_>) -> Self {
        use v3::cluster::OriginalDstLbConfig;
        open! { at, OriginalDstLbConfig = message;
            implemented { use_http_header, http_header_name, upstream_port_override, metadata_key }
        }
        Asked { use_http_header, http_header_name, upstream_port_override, metadata_key }
    }

    fn of_extension(message: OriginalDstCluster, at: &mut Scope<'_>) -> Self {
        open! { at, OriginalDstCluster = message;
            implemented { use_http_header, http_header_name, upstream_port_override, metadata_key }
        }
        Asked { use_http_header, http_header_name, upstream_port_override, metadata_key }
    }
}

impl OriginalDst {
    fn asking(&self, asked: Asked, at: &mut Scope<'_>) -> Self {
        let Asked { use_http_header, http_header_name, upstream_port_override, metadata_key } = asked;
        if !use_http_header && !http_header_name.is_empty() {
            at.error(format!(
                "ORIGINAL_DST cluster: invalid config http_header_name={http_header_name} and use_http_header is false. \
                 Set use_http_header to true if http_header_name is desired."
            ));
        }
        let header = match http_header_name.as_str() {
            "" => DEFAULT_HEADER.to_owned(),
            name => name.to_ascii_lowercase(),
        };
        let port = at.within("upstream_port_override", upstream_port_override, 0..=u16::MAX.into());
        OriginalDst {
            cleanup_interval: self.cleanup_interval,
            metadata_key: at.message("metadata_key", metadata_key, lb::metadata_key),
            http_header_name: use_http_header.then_some(header),
            upstream_port_override: port.and_then(|port| u16::try_from(port).ok()),
        }
    }
}

/// Notes a policy that cannot choose among the hosts of this kind of discovery, for Envoy; whether it can.
pub(super) fn check_policy(
    specifier: Option<&v3::cluster::ClusterDiscoveryType>,
    lb_policy: i32,
    at: &mut Scope<'_>,
) -> bool {
    use v3::cluster::{ClusterDiscoveryType, DiscoveryType, LbPolicy};
    let original_dst = match specifier {
        Some(ClusterDiscoveryType::Type(value)) if *value == i32::from(DiscoveryType::OriginalDst) => {
            Some("ORIGINAL_DST")
        }
        Some(ClusterDiscoveryType::ClusterType(custom)) if is_extension(custom) => Some(&*custom.name),
        Some(_) | None => None,
    };
    if let Ok(policy) = LbPolicy::try_from(lb_policy)
        && let Some(kind) = original_dst
        && policy != LbPolicy::ClusterProvided
    {
        at.field("lb_policy").error(format!(
            "cluster: LB policy {} is not valid for Cluster type {kind}. Only 'CLUSTER_PROVIDED' is allowed with \
             cluster type 'ORIGINAL_DST'",
            policy.as_str_name()
        ));
        return false;
    }
    true
}

fn is_extension(custom: &v3::cluster::CustomClusterType) -> bool {
    match &custom.typed_config {
        Some(any) => extension::contained_type(any) == TYPE,
        None => custom.name == FACTORY,
    }
}

/// The full name of the message that says it by itself.
pub(super) const TYPE: &str = "envoy.extensions.clusters.original_dst.v3.OriginalDstCluster";

/// What Envoy calls this kind among those that clusters name.
pub(super) const FACTORY: &str = "envoy.cluster.original_dst";
