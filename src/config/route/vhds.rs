//! Where virtual hosts come from that do not stand in their route table: `envoy.config.route.v3.Vhds`.

use envoy_types::pb::envoy::config::route::v3;

use super::RouteConfiguration;
use crate::config::field::{Scope, open};
use crate::config::source::{ApiType, ConfigSource, SourceKind};

/// The source of virtual hosts, which speaks incremental xDS or is ADS.
pub(super) fn source(message: v3::Vhds, at: &mut Scope<'_>) -> Option<ConfigSource> {
    open! { at, v3::Vhds = message; implemented { config_source } }
    let config_source = at.required("config_source", config_source);
    let source = at.message("config_source", config_source, ConfigSource::from_proto)?;
    let incremental = match &source.from {
        SourceKind::Ads => true,
        SourceKind::Api(api) => api.api_type == ApiType::Delta,
        SourceKind::SelfSource | SourceKind::Path { .. } => false,
    };
    if !incremental {
        at.field("config_source")
            .error("vhds: only 'DELTA_GRPC' or 'ADS' (which uses Delta xDS) is supported as a config source");
        return None;
    }
    Some(source)
}

impl RouteConfiguration {
    /// From the proto of a table that stands in another resource. Its virtual hosts have to stand in it.
    pub fn inline_from_proto(message: v3::RouteConfiguration, at: &mut Scope<'_>) -> Option<Self> {
        if message.vhds.is_some() {
            at.reject("vhds", "virtual hosts are discovered of tables that come over RDS");
        }
        Self::from_proto(message, at)
    }
}
