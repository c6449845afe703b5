//! The extensions that this module reads itself.

use super::extension::{Extensions, RegexLevels};
use super::{http_connection_manager, router, upstream_codec};

impl Extensions {
    /// Those whose configuration is read by this module: the HTTP connection manager and what ends chains of HTTP filters.
    pub const BUILT_IN: Extensions = Extensions {
        reject_unknown_fields: false,
        allow_disallowed_features: false,
        regex_levels: RegexLevels::DEFAULT,
        local_cluster: None,
        management_servers: None,
        listener_filters: &[],
        udp_listener_filters: &[],
        udp_session_filters: &[],
        network_filters: &[http_connection_manager::EXTENSION],
        http_filters: &[router::EXTENSION],
        upstream_http_filters: &[upstream_codec::EXTENSION],
        early_header_mutations: &[],
        tracers: &[],
    };
}
