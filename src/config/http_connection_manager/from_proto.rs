//! `HttpConnectionManager` to [`HttpConnectionManager`].

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3;
use envoy_types::pb::google::protobuf as pb;

use super::client_cert::ForwardClientCert;
use super::http_filters::{self, Side, upgrade_configs as from_upgrade_configs};
use super::{
    CodecType, CommonHttpOptions, ForwardProto, HttpConnectionManager, LocalReplyConfig, ProxyStatus,
    RouteSpecifier, SchemeTransformation, ServerHeaderTransformation, StripPort, client_address, client_cert,
    log_moments, path, request_id, timeouts,
};
use crate::config::access_log::AccessLog;
use crate::config::extension::ExtensionConfig;
use crate::config::field::{Scope, open};
use crate::config::newer::envoy::extensions::filters::network::http_connection_manager::v3 as newer;
use crate::config::protocol::{DEFAULT_MAX_HEADERS_KB, Http1Options, Http2Options, MAX_HEADERS_KB};
use crate::config::tracing::Tracing;

/// The value of `server` when nothing else is configured.
const DEFAULT_SERVER_NAME: &str = "envoy";

impl HttpConnectionManager {
    /// From its proto.
    pub fn from_proto(message: v3::HttpConnectionManager, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::HttpConnectionManager = message;
            implemented {
                stat_prefix, codec_type, route_specifier, http_filters, upgrade_configs, early_header_mutation_extensions,
                common_http_protocol_options, http_protocol_options, http2_protocol_options, max_request_headers_kb,
                http1_safe_max_connection_duration, stream_error_on_invalid_http_message, proxy_100_continue,
                server_name, server_header_transformation, via, proxy_status_config, local_reply_config,
                scheme_header_transformation, forward_proto_config, add_user_agent, add_proxy_protocol_connection_state,
                strip_matching_host_port, strip_port_mode, strip_trailing_host_dot,
                forward_client_cert_details, set_current_client_cert_details, forward_client_cert_matcher,
                access_log, tracing,
            }
            grouped {
                timeouts: timeouts::Given {
                    stream_idle_timeout, request_timeout, request_headers_timeout, stream_flush_timeout, drain_timeout,
                    drain_timeout_jitter, delayed_close_timeout,
                },
                client_address: client_address::Given {
                    use_remote_address, xff_num_trusted_hops, skip_xff_append, original_ip_detection_extensions,
                    internal_address_config, append_x_forwarded_port,
                },
                path: path::Given { normalize_path, merge_slashes, path_with_escaped_slashes_action },
                request_ids: request_id::Given {
                    generate_request_id, request_id_extension, preserve_external_request_id,
                    always_set_request_id_in_response,
                },
                access_log_moments: log_moments::Given {
                    access_log_options, access_log_flush_interval, flush_access_log_on_new_request,
                },
            }
            rejected {
                typed_header_validation_config: "as in Envoy's releases header validators are not built in",
            }
            ignored {
                http3_protocol_options: "no connection speaks HTTP/3",
                path_normalization_options: "as in Envoy it has no effect; normalize_path and merge_slashes have",
                represent_ipv4_remote_address_as_ipv4_mapped_ipv6: "as in Envoy it has no effect",
                append_local_overload: "no answer is given for an overload that it would be added to",
            }
        }
        open! { at, newer::HttpConnectionManager = at.newer(); implemented { record_route_resolution_stats } }
        let routes = at.required("route_specifier", route_specifier);
        let routes = routes.and_then(|routes| RouteSpecifier::from_proto(routes, at));
        let common = CommonHttpOptions::from_proto(
            common_http_protocol_options.unwrap_or_default(),
            &mut at.field("common_http_protocol_options"),
        );
        let client_address = client_address.read(at);
        let access_log_moments = access_log_moments.read(at);
        check_field_size(http2_protocol_options.as_ref(), max_request_headers_kb.as_ref(), at);
        Some(HttpConnectionManager {
            stat_prefix: at.required_string("stat_prefix", stat_prefix),
            codec_type: codec(codec_type, at),
            http_filters: http_filters::from_proto(Side::Downstream, "http_filters", http_filters, at),
            common,
            http1: at.or_default("http_protocol_options", http_protocol_options, Http1Options::from_proto),
            http2: at.or_default("http2_protocol_options", http2_protocol_options, Http2Options::from_proto),
            http1_safe_max_connection_duration,
            timeouts: timeouts.read(at),
            record_route_resolution_stats,
            max_request_headers_kb: at
                .within("max_request_headers_kb", max_request_headers_kb, 1..=MAX_HEADERS_KB)
                .unwrap_or(DEFAULT_MAX_HEADERS_KB),
            server_name: if server_name.is_empty() { DEFAULT_SERVER_NAME.to_owned() } else { server_name },
            server_header_transformation: server_header(server_header_transformation, at),
            scheme_header_transformation: at.or_default(
                "scheme_header_transformation",
                scheme_header_transformation,
                SchemeTransformation::from_proto,
            ),
            client_address,
            early_header_mutations: early_mutations(early_header_mutation_extensions, at),
            forward_client_cert: ForwardClientCert::from_proto(
                forward_client_cert_details,
                set_current_client_cert_details,
                at,
            ),
            forward_client_cert_matcher: at.message(
                "forward_client_cert_matcher",
                forward_client_cert_matcher,
                client_cert::matcher,
            ),
            add_user_agent: add_user_agent.is_some_and(|value| value.value),
            proxy_status: at.message("proxy_status_config", proxy_status_config, ProxyStatus::from_proto),
            via,
            request_ids: request_ids.read(at),
            path: path.read(at),
            strip_port: strip_port(strip_matching_host_port, strip_port_mode, at),
            strip_trailing_host_dot,
            upgrade_configs: from_upgrade_configs(upgrade_configs, at),
            proxy_100_continue,
            tells_hosts_of_clients: add_proxy_protocol_connection_state.is_none_or(|add| add.value),
            forward_proto: at.or_default(
                "forward_proto_config",
                forward_proto_config,
                ForwardProto::from_proto,
            ),
            stream_error_on_invalid_http_message: stream_error_on_invalid_http_message
                .is_some_and(|value| value.value),
            local_reply_config: at.message(
                "local_reply_config",
                local_reply_config,
                LocalReplyConfig::from_proto,
            ),
            access_log: at.list("access_log", access_log, AccessLog::from_proto),
            access_log_moments,
            tracing: at.message("tracing", tracing, Tracing::from_proto),
            routes: routes?,
            // All formats have been read.
            times_routes: at.take_route_timing(),
        })
    }
}

/// Notes it where one header of HTTP/2 may be larger than all of them together.
fn check_field_size(
    http2: Option<&core::Http2ProtocolOptions>,
    max_request_headers_kb: Option<&pb::UInt32Value>,
    at: &mut Scope<'_>,
) {
    let field_kb = http2.and_then(|options| options.max_header_field_size_kb.as_ref());
    let most_kb = max_request_headers_kb.map_or(DEFAULT_MAX_HEADERS_KB, |most| most.value);
    if field_kb.is_some_and(|field| field.value > most_kb) {
        at.field("http2_protocol_options")
            .field("max_header_field_size_kb")
            .error("max_header_field_size_kb must not exceed max_request_headers_kb");
    }
}

impl SchemeTransformation {
    fn from_proto(message: core::SchemeHeaderTransformation, at: &mut Scope<'_>) -> Option<Self> {
        use core::scheme_header_transformation::Transformation;
        open! { at, core::SchemeHeaderTransformation = message; implemented { transformation, match_upstream } }
        let overwrite = transformation.map(|Transformation::SchemeToOverwrite(scheme)| scheme);
        if let Some(scheme) = &overwrite
            && scheme != "http"
            && scheme != "https"
        {
            at.field("scheme_to_overwrite").violation("value must be in list [http https]");
        }
        Some(SchemeTransformation { scheme_to_overwrite: overwrite, match_upstream })
    }
}

fn codec(value: i32, at: &mut Scope<'_>) -> CodecType {
    use v3::http_connection_manager::CodecType as Type;
    match at.enumeration("codec_type", value) {
        Type::Auto => CodecType::Auto,
        Type::Http1 => CodecType::Http1,
        Type::Http2 => CodecType::Http2,
        Type::Http3 => {
            at.reject("codec_type", "HTTP/3 is not served; AUTO, HTTP1 and HTTP2 are");
            CodecType::Auto
        }
    }
}

fn server_header(value: i32, at: &mut Scope<'_>) -> ServerHeaderTransformation {
    use v3::http_connection_manager::ServerHeaderTransformation as Message;
    match at.enumeration("server_header_transformation", value) {
        Message::Overwrite => ServerHeaderTransformation::Overwrite,
        Message::AppendIfAbsent => ServerHeaderTransformation::AppendIfAbsent,
        Message::PassThrough => ServerHeaderTransformation::PassThrough,
    }
}

fn early_mutations(messages: Vec<core::TypedExtensionConfig>, at: &mut Scope<'_>) -> Vec<ExtensionConfig> {
    let known = at.extensions().early_header_mutations;
    at.list("early_header_mutation_extensions", messages, |message, at| {
        ExtensionConfig::from_typed(message, known, at)
    })
}

fn strip_port(
    matching: bool,
    mode: Option<v3::http_connection_manager::StripPortMode>,
    at: &mut Scope<'_>,
) -> StripPort {
    use v3::http_connection_manager::StripPortMode;
    let any = matches!(mode, Some(StripPortMode::StripAnyHostPort(true)));
    match (matching, any) {
        (true, true) => {
            at.error("Error: Only one of `strip_matching_host_port` or `strip_any_host_port` can be set.");
            StripPort::Any
        }
        (_, true) => StripPort::Any,
        (true, _) => StripPort::Matching,
        (false, false) => StripPort::None,
    }
}
