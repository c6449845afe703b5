//! What is configured: `envoy.config.trace.v3.OpenTelemetryConfig`.

use envoy_types::pb::envoy::config::trace::v3;
use envoy_types::pb::google::protobuf::BoolValue;

use crate::config::field::{Scope, open};
use crate::config::grpc_service::GrpcService;
use crate::config::http_service::HttpService;

use super::extensions;
use super::resource::Settings;
use super::sampler::Sampler;

/// Spans that wait at most where `max_cache_size` says nothing.
const DEFAULT_MAX_CACHE_SIZE: usize = 1024;

/// `envoy.config.trace.v3.OpenTelemetryConfig`
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http::tracing) struct Config {
    /// Who is told.
    pub(super) service: Service,
    /// What is said of who tells.
    pub(super) resource: Settings,
    /// Which spans are told of; `None` leaves it to the connection manager and to those who send requests.
    pub(super) sampler: Option<Sampler>,
    /// Spans that a worker keeps at most until they are told of; 1024 by default.
    pub(super) max_cache_size: usize,
    /// Say what made the spans (`set_instrumentation_scope`); true by default.
    pub(super) set_instrumentation_scope: bool,
}

/// Who is told of spans.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Service {
    /// `grpc_service`
    Grpc(GrpcService),
    /// `http_service`
    Http(HttpService),
}

impl Config {
    /// From its proto.
    pub(super) fn from_proto(message: v3::OpenTelemetryConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::OpenTelemetryConfig = message;
            implemented {
                grpc_service, http_service, service_name, resource_detectors, sampler, max_cache_size,
                set_telemetry_sdk_resource_attributes, set_service_name_resource_attribute,
                set_instrumentation_scope,
            }
            rejected { exporter: "there are no extensions that tell of spans: use grpc_service or http_service" }
        }
        if grpc_service.is_some() == http_service.is_some() {
            at.error("OpenTelemetry Tracer must have exactly one of gRPC, HTTP, or custom exporter configured.");
        }
        let grpc = at.message("grpc_service", grpc_service, GrpcService::about_nothing).map(Service::Grpc);
        let http = at.message("http_service", http_service, HttpService::from_proto).map(Service::Http);
        let detectors = at.list("resource_detectors", resource_detectors, extensions::detector);
        let sampler = at.message("sampler", sampler, extensions::sampler);
        let set = |value: Option<_>| value.is_none_or(|set: BoolValue| set.value);
        Some(Config {
            service: grpc.or(http)?,
            resource: Settings {
                service_name,
                set_service_name: set(set_service_name_resource_attribute),
                set_telemetry_sdk: set(set_telemetry_sdk_resource_attributes),
                detectors,
            },
            sampler,
            max_cache_size: max_cache_size.map_or(DEFAULT_MAX_CACHE_SIZE, |size| size.value as usize),
            set_instrumentation_scope: set(set_instrumentation_scope),
        })
    }
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::core::v3 as core;

    use super::*;
    use crate::config::extension::Extensions;
    use crate::config::field::{Error, Findings};

    fn read(message: v3::OpenTelemetryConfig) -> Result<Config, Vec<Error>> {
        let mut findings = Findings::new(&Extensions::default());
        let config = Config::from_proto(message, &mut findings.scope());
        findings.finish(config).map(|(config, _)| config)
    }

    fn to_collector() -> v3::OpenTelemetryConfig {
        use envoy_types::pb::envoy::config::core::v3::grpc_service::{EnvoyGrpc, TargetSpecifier};
        let target = EnvoyGrpc { cluster_name: "collector".to_owned(), ..EnvoyGrpc::default() };
        let target_specifier = Some(TargetSpecifier::EnvoyGrpc(target));
        let grpc_service = Some(core::GrpcService { target_specifier, ..core::GrpcService::default() });
        v3::OpenTelemetryConfig { grpc_service, ..v3::OpenTelemetryConfig::default() }
    }

    #[test]
    fn what_is_not_said_is_as_in_envoy() {
        let config = read(to_collector()).expect("it is right");
        assert_eq!(
            (config.max_cache_size, config.set_instrumentation_scope, config.sampler),
            (1024, true, None)
        );
        assert!(config.resource.set_service_name && config.resource.set_telemetry_sdk);
    }

    #[test]
    fn there_is_one_collector() {
        let none = read(v3::OpenTelemetryConfig::default()).expect_err("there is none");
        let http_service = Some(core::HttpService::default());
        let both =
            read(v3::OpenTelemetryConfig { http_service, ..to_collector() }).expect_err("there are two");
        for errors in [none, both] {
            assert!(errors[0].to_string().contains("must have exactly one of"), "{errors:?}");
        }
    }
}
