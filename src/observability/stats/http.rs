//! Statistics of HTTP: connection managers and the router in them.

use crate::stats;

stats! {
    /// A connection manager: `http.<stat_prefix>.`; of the admin interface: `http.admin.`
    pub struct HttpStats {
        gauge downstream_cx_active;
        counter downstream_cx_delayed_close_timeout;
        counter downstream_cx_destroy;
        counter downstream_cx_destroy_active_rq;
        counter downstream_cx_destroy_local;
        counter downstream_cx_destroy_local_active_rq;
        counter downstream_cx_destroy_remote;
        counter downstream_cx_destroy_remote_active_rq;
        counter downstream_cx_drain_close;
        gauge downstream_cx_http1_active;
        gauge downstream_cx_http1_soft_drain;
        counter downstream_cx_http1_total;
        gauge downstream_cx_http2_active;
        counter downstream_cx_http2_total;
        gauge downstream_cx_http3_active;
        counter downstream_cx_http3_total;
        counter downstream_cx_idle_timeout;
        counter downstream_cx_max_duration_reached;
        counter downstream_cx_max_requests_reached;
        counter downstream_cx_overload_disable_keepalive;
        counter downstream_cx_protocol_error;
        gauge downstream_cx_rx_bytes_buffered;
        counter downstream_cx_rx_bytes_total;
        gauge downstream_cx_ssl_active;
        counter downstream_cx_ssl_total;
        counter downstream_cx_total;
        gauge downstream_cx_tx_bytes_buffered;
        counter downstream_cx_tx_bytes_total;
        gauge downstream_cx_upgrades_active;
        counter downstream_cx_upgrades_total;
        counter downstream_flow_control_paused_reading_total;
        counter downstream_flow_control_resumed_reading_total;
        counter downstream_rq_1xx;
        counter downstream_rq_2xx;
        counter downstream_rq_3xx;
        counter downstream_rq_4xx;
        counter downstream_rq_5xx;
        gauge downstream_rq_active;
        counter downstream_rq_completed;
        counter downstream_rq_failed_path_normalization;
        counter downstream_rq_header_timeout;
        counter downstream_rq_http1_total;
        counter downstream_rq_http2_total;
        counter downstream_rq_http3_total;
        counter downstream_rq_idle_timeout;
        counter downstream_rq_max_duration_reached;
        counter downstream_rq_non_relative_path;
        counter downstream_rq_overload_close;
        counter downstream_rq_redirected_with_normalized_path;
        counter downstream_rq_rejected_via_ip_detection;
        counter downstream_rq_response_before_rq_complete;
        counter downstream_rq_rx_reset;
        counter downstream_rq_timeout;
        counter downstream_rq_too_large;
        counter downstream_rq_too_many_premature_resets;
        counter downstream_rq_total;
        counter downstream_rq_tx_reset;
        counter downstream_rq_ws_on_non_ws_route;
        histogram downstream_cx_length_ms (Milliseconds);
        histogram downstream_rq_time (Milliseconds);
        counter rs_too_large;
    }
}

stats! {
    /// How routes were looked for, once for each stream: under the prefix of the connection manager.
    pub struct RouteResolutionStats {
        histogram downstream_rq_route_resolution_time_us (Microseconds);
        histogram downstream_rq_route_resolutions (Unspecified);
    }
}

stats! {
    /// Connections of one kind of user agents: `http.<stat_prefix>.user_agent.<kind>.`
    pub struct UserAgentStats {
        counter downstream_cx_destroy_remote_active_rq;
        counter downstream_cx_total;
        counter downstream_rq_total;
        histogram downstream_cx_length_ms (Milliseconds);
    }
}

stats! {
    /// The router filter: under the prefix of its connection manager.
    pub struct RouterStats {
        counter no_cluster;
        counter no_route;
        counter passthrough_internal_redirect_bad_location;
        counter passthrough_internal_redirect_no_route;
        counter passthrough_internal_redirect_predicate;
        counter passthrough_internal_redirect_too_many_redirects;
        counter passthrough_internal_redirect_unsafe_scheme;
        counter rq_direct_response;
        counter rq_overload_local_reply;
        counter rq_redirect;
        counter rq_reset_after_downstream_response_started;
        counter rq_total;
    }
}

stats! {
    /// Whether requests were chosen to be traced: under the prefix of the connection manager.
    pub struct TracingStats {
        counter tracing_client_enabled = "tracing.client_enabled";
        counter tracing_health_check = "tracing.health_check";
        counter tracing_not_traceable = "tracing.not_traceable";
        counter tracing_random_sampling = "tracing.random_sampling";
        counter tracing_service_forced = "tracing.service_forced";
    }
}

stats! {
    /// Responses of a connection manager on one listener: `listener.<address>.http.<stat_prefix>.`
    pub struct ListenerHttpStats {
        counter downstream_rq_1xx;
        counter downstream_rq_2xx;
        counter downstream_rq_3xx;
        counter downstream_rq_4xx;
        counter downstream_rq_5xx;
        counter downstream_rq_completed;
    }
}

/// Counts a response in the classes `1xx` to `5xx` and in `completed`.
macro_rules! responses {
    ($name:ident) => {
        impl $name {
            /// Counts a response with this status: its class and `downstream_rq_completed`.
            #[inline]
            pub fn count_response(&self, status: u16) {
                self.downstream_rq_completed().inc();
                match status {
                    100..200 => self.downstream_rq_1xx().inc(),
                    200..300 => self.downstream_rq_2xx().inc(),
                    300..400 => self.downstream_rq_3xx().inc(),
                    400..500 => self.downstream_rq_4xx().inc(),
                    500..600 => self.downstream_rq_5xx().inc(),
                    _ => {}
                }
            }
        }
    };
}

responses!(HttpStats);
responses!(ListenerHttpStats);

stats! {
    /// The filter that injects faults: `http.<stat_prefix>.fault.`
    pub struct FaultStats {
        counter aborts_injected;
        gauge active_faults;
        counter delays_injected;
        counter faults_overflow;
        counter response_rl_injected;
    }
}

stats! {
    /// What it did to requests of one downstream cluster: `http.<stat_prefix>.fault.<downstream cluster>.`
    pub struct FaultClusterStats {
        lazy_counter aborts_injected;
        lazy_counter delays_injected;
    }
}

stats! {
    /// Filters that conditions lead to: `http.<stat_prefix>.composite.`
    pub struct CompositeStats {
        counter filter_delegation_error;
        counter filter_delegation_success;
    }
}

stats! {
    /// Filters that stand in the place of one: `http.<stat_prefix>.filter_chain.`
    pub struct FilterChainStats {
        counter pass_through;
    }
}

stats! {
    /// The filter of cross-origin requests: `http.<stat_prefix>.cors.`
    pub struct CorsStats {
        counter origin_invalid;
        counter origin_valid;
    }
}

stats! {
    /// The filter of forged requests: `http.<stat_prefix>.csrf.`
    pub struct CsrfStats {
        counter missing_source_origin;
        counter request_invalid;
        counter request_valid;
    }
}

stats! {
    /// A filter that sets metadata: `http.<stat_prefix>.set_metadata.`
    pub struct SetMetadataStats {
        counter overwrite_denied;
    }
}

stats! {
    /// A filter that makes metadata of bodies, for one direction: `json_to_metadata.rq.` or `json_to_metadata.resp.`
    pub struct JsonToMetadataStats {
        counter invalid_json_body;
        counter mismatched_content_type;
        counter no_body;
        counter success;
    }
}

stats! {
    /// A filter that makes metadata of headers and has a prefix for its statistics: `http_filter_name.<stat_prefix>.`
    pub struct HeaderToMetadataStats {
        counter base64_decode_failed;
        counter header_value_too_long;
        counter regex_substitution_failed;
        counter request_header_not_found;
        counter request_metadata_added;
        counter request_rules_processed;
        counter response_header_not_found;
        counter response_metadata_added;
        counter response_rules_processed;
    }
}

stats! {
    /// A filter that limits requests: `<stat_prefix>.http_local_rate_limit.`
    pub struct LocalRateLimitStats {
        counter enabled;
        counter enforced;
        counter ok;
        counter rate_limited;
        counter shadow_mode;
    }
}
