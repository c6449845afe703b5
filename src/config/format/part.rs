//! Commands that stand for themselves, by what they ask about.

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponsePart {
    /// `RESPONSE_CODE`
    Code,
    /// `RESPONSE_CODE_DETAILS`
    CodeDetails {
        /// Keep white space, which otherwise becomes `_`.
        white_space: bool,
    },
    /// `RESPONSE_FLAGS`
    Flags,
    /// `RESPONSE_FLAGS_LONG`
    FlagsLong,
}

/// What is known of the connection that a request came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownstreamPart {
    /// `CONNECTION_ID`
    ConnectionId,
    /// `CONNECTION_TERMINATION_DETAILS`
    TerminationDetails,
    /// `DOWNSTREAM_TRANSPORT_FAILURE_REASON`
    TransportFailureReason,
    /// `DOWNSTREAM_DETECTED_CLOSE_TYPE`
    DetectedCloseType,
    /// `DOWNSTREAM_LOCAL_CLOSE_REASON`
    LocalCloseReason,
    /// `LISTENER_NAME`
    ListenerName,
    /// `FILTER_CHAIN_NAME`
    FilterChainName,
    /// `TLS_JA3_FINGERPRINT`
    Ja3Fingerprint,
    /// `TLS_JA4_FINGERPRINT`
    Ja4Fingerprint,
}

/// What is known of a request's host, and of the connection to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamPart {
    /// `UPSTREAM_CLUSTER`: as observability names it.
    Cluster,
    /// `UPSTREAM_CLUSTER_RAW`: as the configuration names it.
    ClusterRaw,
    /// `UPSTREAM_HOST_NAME` and `…_WITHOUT_PORT`: the name, or the address where there is none.
    HostName {
        /// With the address's port.
        port: bool,
    },
    /// `UPSTREAM_HOSTS_ATTEMPTED`, `UPSTREAM_HOST_NAMES_ATTEMPTED` and `…_WITHOUT_PORT`
    HostsAttempted {
        /// By name where they have one.
        names: bool,
        /// With the address's port.
        port: bool,
    },
    /// `UPSTREAM_REQUEST_ATTEMPT_COUNT`
    Attempts,
    /// `UPSTREAM_PROTOCOL`
    Protocol,
    /// `UPSTREAM_CONNECTION_POOL_READY_DURATION`
    PoolReadyDuration,
    /// `UPSTREAM_CONNECTION_ID`
    ConnectionId,
    /// `UPSTREAM_CONNECTION_IDS_ATTEMPTED`
    ConnectionIdsAttempted,
    /// `UPSTREAM_TRANSPORT_FAILURE_REASON`
    TransportFailureReason,
    /// `UPSTREAM_LOCAL_CLOSE_REASON`
    LocalCloseReason,
    /// `UPSTREAM_DETECTED_CLOSE_TYPE`
    DetectedCloseType,
}

impl ResponsePart {
    /// By the name of the command.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RESPONSE_CODE" => ResponsePart::Code,
            "RESPONSE_FLAGS" => ResponsePart::Flags,
            "RESPONSE_FLAGS_LONG" => ResponsePart::FlagsLong,
            _ => return None,
        })
    }
}

impl DownstreamPart {
    /// By the name of the command.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "CONNECTION_ID" => DownstreamPart::ConnectionId,
            "CONNECTION_TERMINATION_DETAILS" => DownstreamPart::TerminationDetails,
            "DOWNSTREAM_TRANSPORT_FAILURE_REASON" => DownstreamPart::TransportFailureReason,
            "DOWNSTREAM_DETECTED_CLOSE_TYPE" => DownstreamPart::DetectedCloseType,
            "DOWNSTREAM_LOCAL_CLOSE_REASON" => DownstreamPart::LocalCloseReason,
            "LISTENER_NAME" => DownstreamPart::ListenerName,
            "FILTER_CHAIN_NAME" => DownstreamPart::FilterChainName,
            "TLS_JA3_FINGERPRINT" => DownstreamPart::Ja3Fingerprint,
            "TLS_JA4_FINGERPRINT" => DownstreamPart::Ja4Fingerprint,
            _ => return None,
        })
    }
}

impl UpstreamPart {
    /// By the name of the command.
    pub(super) fn named(name: &str) -> Option<Self> {
        let attempted = |names, port| UpstreamPart::HostsAttempted { names, port };
        Some(match name {
            "UPSTREAM_CLUSTER" => UpstreamPart::Cluster,
            "UPSTREAM_CLUSTER_RAW" => UpstreamPart::ClusterRaw,
            "UPSTREAM_HOST_NAME" => UpstreamPart::HostName { port: true },
            "UPSTREAM_HOST_NAME_WITHOUT_PORT" => UpstreamPart::HostName { port: false },
            "UPSTREAM_HOSTS_ATTEMPTED" => attempted(false, true),
            "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT" => attempted(false, false),
            "UPSTREAM_HOST_NAMES_ATTEMPTED" => attempted(true, true),
            "UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT" => attempted(true, false),
            "UPSTREAM_REQUEST_ATTEMPT_COUNT" => UpstreamPart::Attempts,
            "UPSTREAM_PROTOCOL" => UpstreamPart::Protocol,
            "UPSTREAM_CONNECTION_POOL_READY_DURATION" => UpstreamPart::PoolReadyDuration,
            "UPSTREAM_CONNECTION_ID" => UpstreamPart::ConnectionId,
            "UPSTREAM_CONNECTION_IDS_ATTEMPTED" => UpstreamPart::ConnectionIdsAttempted,
            "UPSTREAM_TRANSPORT_FAILURE_REASON" => UpstreamPart::TransportFailureReason,
            "UPSTREAM_LOCAL_CLOSE_REASON" => UpstreamPart::LocalCloseReason,
            "UPSTREAM_DETECTED_CLOSE_TYPE" => UpstreamPart::DetectedCloseType,
            _ => return None,
        })
    }
}
