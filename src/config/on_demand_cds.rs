//! Where clusters come from that requests ask for: `envoy.extensions.filters.http.on_demand.v3.OnDemandCds`.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::filters::http::on_demand::v3;

use super::field::{Scope, open};
use super::source::{ApiType, ConfigSource, SourceKind};

/// How long a request waits for its cluster when nothing else is configured.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// A source of clusters that are asked for by name.
#[derive(Clone, Debug, PartialEq)]
pub struct OnDemandCds {
    /// `source`: ADS, or a service that speaks incremental xDS.
    pub source: ConfigSource,
    /// `timeout`: how long the first request for a cluster waits for it, and with it those that come meanwhile; when
    /// absent 5 s, and 60 s for connections.
    pub timeout: Duration,
}

impl OnDemandCds {
    /// From its proto.
    pub fn from_proto(message: v3::OnDemandCds, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::OnDemandCds = message;
            implemented { source, timeout }
            rejected { resources_locator: "collections of xdstp resources are not served: give a source alone" }
        }
        let source = at.required("source", source)?;
        Self::of("source", source, timeout, DEFAULT_TIMEOUT, at)
    }

    /// From its parts: the source, which stands in `field`, and the time, which is `default` when absent.
    pub fn of(
        field: &'static str,
        source: core::ConfigSource,
        timeout: Option<envoy_types::pb::google::protobuf::Duration>,
        default: Duration,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        let source = at.message(field, Some(source), ConfigSource::from_proto)?;
        let incremental = match &source.from {
            SourceKind::Ads => true,
            SourceKind::Api(api) => api.api_type == ApiType::Delta,
            SourceKind::SelfSource | SourceKind::Path { .. } => false,
        };
        if !incremental {
            at.field(field)
                .error("clusters are asked for by name over incremental xDS: give ads or DELTA_GRPC");
            return None;
        }
        Some(OnDemandCds { source, timeout: at.duration("timeout", timeout).unwrap_or(default) })
    }
}
