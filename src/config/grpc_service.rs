//! A gRPC service that requests are asked about: `envoy.config.core.v3.GrpcService` with `envoy_grpc`.
//!
//! Management servers are services too, whose streams know other settings: see `source`.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::envoy::config::ratelimit::v3::RateLimitServiceConfig;

use super::call_retry;
use super::field::{Scope, open};
use super::route::{HeaderValueOption, RetryPolicy};

/// How a service is called.
#[derive(Clone, Debug, PartialEq)]
pub struct GrpcService {
    /// The cluster; it need not be there.
    pub cluster_name: String,
    /// Value of `:authority`; the cluster's name when empty.
    pub authority: String,
    /// Headers that each call has, in place of those that it would have.
    pub initial_metadata: Vec<HeaderValueOption>,
    /// Leave out what Envoy adds to requests of its own: `x-envoy-internal` and `x-forwarded-for`.
    pub skip_envoy_headers: bool,
    /// Bytes that an answer may have; `None` means as many as are read of any.
    pub max_receive_message_length: Option<u32>,
    /// When calls are tried again; `None` means never, unless their headers ask for it.
    pub retry_policy: Option<Arc<RetryPolicy>>,
}

/// Reads a header that each call has.
type ReadHeader = fn(v3::HeaderValue, &mut Scope<'_>) -> Option<HeaderValueOption>;

impl GrpcService {
    /// From its proto.
    pub fn from_proto(message: v3::GrpcService, at: &mut Scope<'_>) -> Option<Self> {
        Self::with(HeaderValueOption::overwriting, message, at)
    }

    /// The same of a service whose calls are about no request: as in Envoy they have `initial_metadata` as it is
    /// written.
    pub fn about_nothing(message: v3::GrpcService, at: &mut Scope<'_>) -> Option<Self> {
        Self::with(HeaderValueOption::as_written, message, at)
    }

    fn with(read: ReadHeader, message: v3::GrpcService, at: &mut Scope<'_>) -> Option<Self> {
        use v3::grpc_service::TargetSpecifier;
        open! { at, v3::GrpcService = message;
            implemented { target_specifier, initial_metadata, retry_policy }
            ignored { timeout: "who makes calls has a timeout of its own, or none, as in Envoy" }
        }
        let retry_policy = at.message("retry_policy", retry_policy, call_retry::retry_policy).map(Arc::new);
        let initial_metadata = at.list("initial_metadata", initial_metadata, read);
        match at.required("target_specifier", target_specifier)? {
            TargetSpecifier::EnvoyGrpc(target) => {
                let target = envoy_grpc(target, &mut at.field("envoy_grpc"));
                Some(GrpcService { initial_metadata, retry_policy, ..target })
            }
            TargetSpecifier::GoogleGrpc(_) => {
                at.reject("google_grpc", "there is one gRPC client: use envoy_grpc and a cluster");
                None
            }
        }
    }
}

impl GrpcService {
    /// That of rate limits: `envoy.config.ratelimit.v3.RateLimitServiceConfig`.
    pub fn of_rate_limits(message: RateLimitServiceConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, RateLimitServiceConfig = message; implemented { grpc_service, transport_api_version } }
        check_version(transport_api_version, at);
        let grpc_service = at.required("grpc_service", grpc_service);
        at.message("grpc_service", grpc_service, Self::from_proto)
    }
}

/// Notes an error where `transport_api_version` is one that is there no more.
pub fn check_version(transport_api_version: i32, at: &mut Scope<'_>) {
    #[expect(deprecated, reason = "the older version has to be refused")]
    if at.enumeration::<v3::ApiVersion>("transport_api_version", transport_api_version) == v3::ApiVersion::V2
    {
        at.field("transport_api_version").error("the v2 xDS major version has been removed; set V3");
    }
}

fn envoy_grpc(message: v3::grpc_service::EnvoyGrpc, at: &mut Scope<'_>) -> GrpcService {
    use v3::grpc_service::EnvoyGrpc;
    open! { at, EnvoyGrpc = message;
        implemented { cluster_name, authority, skip_envoy_headers, max_receive_message_length }
        ignored { retry_policy: "it is for streams of discovery, in Envoy too" }
    }
    GrpcService {
        cluster_name: at.required_string("cluster_name", cluster_name),
        authority,
        initial_metadata: Vec::new(),
        retry_policy: None,
        skip_envoy_headers,
        max_receive_message_length: max_receive_message_length.map(|length| length.value),
    }
}
