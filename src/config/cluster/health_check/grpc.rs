//! `envoy.config.core.v3.HealthCheck.GrpcHealthCheck`, as the request that it is.

use envoy_types::pb::envoy::config::core::v3::health_check::GrpcHealthCheck;

use super::http::{Codec, HttpHealthCheck, StatusRange};
use super::payload::Payload;
use crate::config::field::{Scope, open};
use crate::config::route::HeaderValueOption;

/// The call `grpc.health.v1.Health/Check` for the service that is configured.
pub(super) fn from_proto(message: GrpcHealthCheck, at: &mut Scope<'_>) -> Option<HttpHealthCheck> {
    open! { at, GrpcHealthCheck = message; implemented { service_name, authority, initial_metadata } }
    Some(HttpHealthCheck {
        host: authority,
        path: "/grpc.health.v1.Health/Check".to_owned(),
        method: "POST",
        send: request(&service_name),
        receive: Payload::default(),
        // All of it, as far as answers are kept.
        response_buffer_size: 0,
        request_add: at.list("initial_metadata", initial_metadata, HeaderValueOption::from_proto),
        request_remove: Vec::new(),
        expected: vec![StatusRange { start: 200, end: 201 }],
        retriable: Vec::new(),
        codec: Codec::Http2,
        use_alpn_protocol: false,
        service_name: None,
    })
}

/// A framed `grpc.health.v1.HealthCheckRequest`.
fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        prost::encoding::string::encode(1, &service.to_owned(), &mut message);
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(&message);
    framed
}

#[cfg(test)]
mod tests {
    use super::request;

    #[test]
    fn a_request_names_the_service_unless_it_is_the_whole_server() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("ab"), [0, 0, 0, 0, 4, 10, 2, b'a', b'b']);
    }
}
