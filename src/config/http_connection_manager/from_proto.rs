//! `HttpConnectionManager` to [`HttpConnectionManager`].

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3;

use super::client_cert::ForwardClientCert;
use super::http_filters::{self, Side, upgrade_configs as from_upgrade_configs};
use super::{
    AccessLogMoments, CodecType, DrainTimeout, EscapedSlashesAction, ForwardProto, HttpConnectionManager,
    InternalAddresses, LocalReplyConfig, OriginalIpDetection, ProxyStatus, RouteSpecifier,
    SchemeTransformation, ServerHeaderTransformation, StripPort, UnderscoresAction, UuidRequestId,
    client_cert, original_ip,
};
use crate::config::access_log::AccessLog;
use crate::config::extension::ExtensionConfig;
use crate::config::field::{Scope, open};
use crate::config::matcher::CidrRange;
use crate::config::protocol::{
    DEFAULT_IDLE_TIMEOUT, DEFAULT_MAX_HEADERS_COUNT, DEFAULT_MAX_HEADERS_KB, Http1Options, Http2Options,
    LongestLife, MAX_HEADERS_KB,
};
use crate::config::tracing::Tracing;

/// Time without bytes on a stream when nothing else is configured.
const DEFAULT_STREAM_IDLE_TIMEOUT: Duration = Duration::from_mins(5);

/// Time for the peer to take what was written before a close when nothing else is configured.
const DEFAULT_DELAYED_CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The value of `server` when nothing else is configured.
const DEFAULT_SERVER_NAME: &str = "envoy";

impl HttpConnectionManager {
    /// From its proto.
    pub fn from_proto(message: v3::HttpConnectionManager, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::HttpConnectionManager = message;
            implemented {
                codec_type, stat_prefix, route_specifier, http_filters,
                common_http_protocol_options, http_protocol_options, http2_protocol_options, server_name,
                server_header_transformation, scheme_header_transformation, max_request_headers_kb,
                stream_idle_timeout, request_timeout, request_headers_timeout, delayed_close_timeout,
                access_log, use_remote_address, xff_num_trusted_hops, internal_address_config, skip_xff_append, via, generate_request_id, preserve_external_request_id,
                always_set_request_id_in_response, forward_client_cert_details, set_current_client_cert_details, proxy_100_continue,
                upgrade_configs, normalize_path, merge_slashes, path_with_escaped_slashes_action,
                strip_matching_host_port, strip_port_mode, stream_error_on_invalid_http_message,
                strip_trailing_host_dot, append_x_forwarded_port, local_reply_config,
                add_user_agent, original_ip_detection_extensions, early_header_mutation_extensions,
                request_id_extension, proxy_status_config, access_log_options, access_log_flush_interval,
                flush_access_log_on_new_request, http1_safe_max_connection_duration, drain_timeout,
                drain_timeout_jitter, stream_flush_timeout, forward_client_cert_matcher,
                add_proxy_protocol_connection_state, forward_proto_config, tracing,
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
        let routes = at.required("route_specifier", route_specifier);
        let routes = routes.and_then(|routes| RouteSpecifier::from_proto(routes, at));
        let common = common_http_protocol_options.unwrap_or_default();
        let common = Common::from_proto(common, &mut at.field("common_http_protocol_options"))?;
        original_ip::check_alone(
            &original_ip_detection_extensions,
            use_remote_address.is_some_and(|value| value.value),
            xff_num_trusted_hops,
            at,
        );
        let has_older_moments = flush_access_log_on_new_request || access_log_flush_interval.is_some();
        if has_older_moments && access_log_options.is_some() {
            at.error("Only one of access_log_options or the deprecated access log fields can be specified.");
        }
        let older_moments =
            AccessLogMoments::of_older_fields(access_log_flush_interval, flush_access_log_on_new_request, at);
        let moments = at
            .message("access_log_options", access_log_options, AccessLogMoments::from_proto)
            .unwrap_or(older_moments);
        let field_kb =
            http2_protocol_options.as_ref().and_then(|options| options.max_header_field_size_kb.as_ref());
        let most_kb = max_request_headers_kb.as_ref().map_or(DEFAULT_MAX_HEADERS_KB, |most| most.value);
        if field_kb.is_some_and(|field| field.value > most_kb) {
            at.field("http2_protocol_options")
                .field("max_header_field_size_kb")
                .error("max_header_field_size_kb must not exceed max_request_headers_kb");
        }
        Some(HttpConnectionManager {
            stat_prefix: at.required_string("stat_prefix", stat_prefix),
            codec_type: codec(codec_type, at),
            http_filters: http_filters::from_proto(Side::Downstream, "http_filters", http_filters, at),
            http1: at
                .message("http_protocol_options", http_protocol_options, Http1Options::from_proto)
                .unwrap_or_default(),
            http2: at
                .message("http2_protocol_options", http2_protocol_options, Http2Options::from_proto)
                .unwrap_or_default(),
            idle_timeout: common.idle_timeout,
            max_connection_duration: common.max_connection_duration,
            http1_safe_max_connection_duration,
            max_requests_per_connection: common.max_requests_per_connection,
            max_stream_duration: common.max_stream_duration,
            max_headers_count: common.max_headers_count,
            headers_with_underscores_action: common.headers_with_underscores_action,
            stream_idle_timeout: at.timeout(
                "stream_idle_timeout",
                stream_idle_timeout,
                Some(DEFAULT_STREAM_IDLE_TIMEOUT),
            ),
            request_timeout: at.timeout("request_timeout", request_timeout, None),
            request_headers_timeout: at.timeout("request_headers_timeout", request_headers_timeout, None),
            stream_flush_timeout: stream_flush_timeout
                .map(|timeout| at.timeout("stream_flush_timeout", Some(timeout), None)),
            drain_timeout: DrainTimeout::from_proto(drain_timeout, drain_timeout_jitter, at),
            delayed_close_timeout: at.timeout(
                "delayed_close_timeout",
                delayed_close_timeout,
                Some(DEFAULT_DELAYED_CLOSE_TIMEOUT),
            ),
            max_request_headers_kb: at
                .within("max_request_headers_kb", max_request_headers_kb, 1..=MAX_HEADERS_KB)
                .unwrap_or(DEFAULT_MAX_HEADERS_KB),
            server_name: if server_name.is_empty() { DEFAULT_SERVER_NAME.to_owned() } else { server_name },
            server_header_transformation: server_header(server_header_transformation, at),
            scheme_header_transformation: at
                .message(
                    "scheme_header_transformation",
                    scheme_header_transformation,
                    SchemeTransformation::from_proto,
                )
                .unwrap_or_default(),
            use_remote_address: use_remote_address.is_some_and(|value| value.value),
            xff_num_trusted_hops,
            skip_xff_append,
            original_ip_detection: OriginalIpDetection::list(
                original_ip_detection_extensions,
                xff_num_trusted_hops,
                at,
            ),
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
            internal_addresses: at
                .message("internal_address_config", internal_address_config, InternalAddresses::from_proto)
                .unwrap_or_default(),
            via,
            generate_request_id: generate_request_id.is_none_or(|value| value.value),
            request_id: at
                .message("request_id_extension", request_id_extension, UuidRequestId::from_proto)
                .unwrap_or_default(),
            preserve_external_request_id,
            always_set_request_id_in_response,
            normalize_path: normalize_path.is_some_and(|value| value.value),
            merge_slashes,
            path_with_escaped_slashes_action: escaped_slashes(path_with_escaped_slashes_action, at),
            strip_port: strip_port(strip_matching_host_port, strip_port_mode, at),
            strip_trailing_host_dot,
            upgrade_configs: from_upgrade_configs(upgrade_configs, at),
            proxy_100_continue,
            tells_hosts_of_clients: add_proxy_protocol_connection_state.is_none_or(|add| add.value),
            forward_proto: at
                .message("forward_proto_config", forward_proto_config, ForwardProto::from_proto)
                .unwrap_or_default(),
            append_x_forwarded_port,
            stream_error_on_invalid_http_message: stream_error_on_invalid_http_message
                .is_some_and(|value| value.value),
            local_reply_config: at.message(
                "local_reply_config",
                local_reply_config,
                LocalReplyConfig::from_proto,
            ),
            access_log: at.list("access_log", access_log, AccessLog::from_proto),
            access_log_moments: moments,
            tracing: at.message("tracing", tracing, Tracing::from_proto),
            routes: routes?,
        })
    }
}

/// What `common_http_protocol_options` says of downstream connections.
struct Common {
    idle_timeout: Option<Duration>,
    max_connection_duration: Option<LongestLife>,
    max_requests_per_connection: Option<u32>,
    max_stream_duration: Option<Duration>,
    max_headers_count: u32,
    headers_with_underscores_action: UnderscoresAction,
}

impl Common {
    fn from_proto(message: core::HttpProtocolOptions, at: &mut Scope<'_>) -> Option<Self> {
        use core::http_protocol_options::HeadersWithUnderscoresAction as Action;
        open! { at, core::HttpProtocolOptions = message;
            implemented {
                idle_timeout, max_connection_duration, max_connection_duration_jitter, max_headers_count,
                max_stream_duration, headers_with_underscores_action, max_requests_per_connection,
            }
            ignored { max_response_headers_kb: "as in Envoy it concerns responses from upstream only" }
        }
        Some(Common {
            idle_timeout: at.timeout("idle_timeout", idle_timeout, Some(DEFAULT_IDLE_TIMEOUT)),
            max_connection_duration: LongestLife::from_proto(
                max_connection_duration,
                max_connection_duration_jitter,
                at,
            ),
            max_requests_per_connection: max_requests_per_connection
                .map(|max| max.value)
                .filter(|max| *max > 0),
            max_stream_duration: at.timeout("max_stream_duration", max_stream_duration, None),
            max_headers_count: at
                .within("max_headers_count", max_headers_count, 1..=u32::MAX)
                .unwrap_or(DEFAULT_MAX_HEADERS_COUNT),
            headers_with_underscores_action: match at
                .enumeration("headers_with_underscores_action", headers_with_underscores_action)
            {
                Action::Allow => UnderscoresAction::Allow,
                Action::RejectRequest => UnderscoresAction::RejectRequest,
                Action::DropHeader => UnderscoresAction::DropHeader,
            },
        })
    }
}

impl InternalAddresses {
    fn from_proto(
        message: v3::http_connection_manager::InternalAddressConfig,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        use v3::http_connection_manager::InternalAddressConfig;
        open! { at, InternalAddressConfig = message;
            implemented { unix_sockets, cidr_ranges }
        }
        let cidr_ranges = at.list("cidr_ranges", cidr_ranges, CidrRange::from_proto);
        Some(InternalAddresses { unix_sockets, cidr_ranges })
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

fn escaped_slashes(value: i32, at: &mut Scope<'_>) -> EscapedSlashesAction {
    use v3::http_connection_manager::PathWithEscapedSlashesAction as Message;
    match at.enumeration("path_with_escaped_slashes_action", value) {
        Message::ImplementationSpecificDefault | Message::KeepUnchanged => {
            EscapedSlashesAction::KeepUnchanged
        }
        Message::RejectRequest => EscapedSlashesAction::RejectRequest,
        Message::UnescapeAndRedirect => EscapedSlashesAction::UnescapeAndRedirect,
        Message::UnescapeAndForward => EscapedSlashesAction::UnescapeAndForward,
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
