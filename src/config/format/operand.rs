//! What commands of format strings are about: sides, ends, moments, sources.

/// How an object of the filter state is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateForm {
    /// `TYPED`: as JSON.
    Typed,
    /// `PLAIN`: as it is.
    Plain,
    /// `FIELD`: the field of this name.
    Field(String),
}

/// Whose headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderSource {
    /// The request's headers.
    Request,
    /// The response's headers.
    Response,
    /// The response's trailers.
    ResponseTrailers,
}

/// Whose metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataOf {
    /// What filters noted of the request.
    Dynamic,
    /// The cluster's.
    Cluster,
    /// The route's.
    Route,
    /// The upstream host's.
    UpstreamHost,
    /// The listener's.
    Listener,
    /// The filter chain's.
    FilterChain,
    /// The virtual host's.
    VirtualHost,
}

/// Where `PATH` looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathSource {
    /// `x-envoy-original-path`, or else `:path`.
    OriginalOrPath,
    /// `x-envoy-original-path`
    Original,
    /// `:path`
    Path,
}

/// How `GRPC_STATUS` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcStatusFormat {
    /// `NotFound`
    CamelString,
    /// `NOT_FOUND`
    SnakeString,
    /// `5`
    Number,
}

/// Where `REQUESTED_SERVER_NAME` looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerName {
    /// The name in the TLS handshake.
    SniOnly,
    /// That, or else the request's host.
    SniFirst,
    /// The request's host, or else the name in the TLS handshake.
    HostFirst,
}

/// Which header is the request's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostSource {
    /// `x-envoy-original-host`, or else `:authority`.
    OriginalOrHost,
    /// `x-envoy-original-host`
    Original,
    /// `:authority`
    Host,
}

/// Which end of which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// `DOWNSTREAM_REMOTE_…`: the client, after `x-forwarded-for`.
    DownstreamRemote,
    /// `DOWNSTREAM_DIRECT_REMOTE_…`: the peer of the socket.
    DownstreamDirectRemote,
    /// `DOWNSTREAM_LOCAL_…`
    DownstreamLocal,
    /// `DOWNSTREAM_DIRECT_LOCAL_…`
    DownstreamDirectLocal,
    /// `UPSTREAM_HOST`: the host that was chosen.
    UpstreamHost,
    /// `UPSTREAM_REMOTE_…`: the host as far as there is a connection to it.
    UpstreamRemote,
    /// `UPSTREAM_LOCAL_…`
    UpstreamLocal,
}

/// What of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressOf {
    /// Address and port.
    Whole,
    /// The address alone, or the network of so many bits that it is in.
    WithoutPort(Option<u8>),
    /// A network of fewer bits than none, which is as empty as in Envoy.
    NoNetwork,
    /// The port, a number.
    Port,
    /// The endpoint id: empty for IP addresses.
    EndpointId,
}

impl AddressOf {
    /// The network of so many bits; those beyond what an address has are all.
    pub(super) fn network(bits: i32) -> Self {
        match u32::try_from(bits) {
            Ok(bits) => AddressOf::WithoutPort(Some(u8::try_from(bits).unwrap_or(u8::MAX))),
            Err(_) => AddressOf::NoNetwork,
        }
    }
}

/// Which bytes are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bytes {
    /// Body bytes of the request.
    Received,
    /// Body bytes of the response.
    Sent,
    /// Bytes with their framing.
    Wire {
        /// On which side.
        side: Side,
        /// Those that were sent, not those that were received.
        sent: bool,
        /// Of what.
        of: WireCount,
    },
}

/// A side of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where requests come from.
    Downstream,
    /// Where requests go to.
    Upstream,
}

/// What is counted with its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireCount {
    /// `WIRE_BYTES`: everything.
    All,
    /// `HEADER_BYTES`: headers and trailers.
    Headers,
    /// `DECOMPRESSED_HEADER_BYTES`: the same as before HPACK packed them.
    DecompressedHeaders,
}

/// A moment of a stream, as `COMMON_DURATION` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimePoint {
    /// `DS_CX_BEG`: the connection was accepted.
    DownstreamConnectStart,
    /// `DS_CX_END`: the connection's end, of connections that carry no HTTP.
    DownstreamConnectEnd,
    /// `DS_RX_BEG`: the stream's start.
    DownstreamRxStart,
    /// `DS_RX_END`
    DownstreamRxEnd,
    /// `US_CX_BEG`
    UpstreamConnectStart,
    /// `US_CX_END`
    UpstreamConnectEnd,
    /// `US_HS_END`
    UpstreamHandshakeEnd,
    /// `US_TX_BEG`
    UpstreamTxStart,
    /// `US_TX_END`
    UpstreamTxEnd,
    /// `US_RX_BEG`
    UpstreamRxStart,
    /// `US_RX_BODY_BEG`
    UpstreamRxBodyStart,
    /// `US_RX_END`
    UpstreamRxEnd,
    /// `DS_TX_BEG`
    DownstreamTxStart,
    /// `DS_TX_END`
    DownstreamTxEnd,
    /// The stream's end, for `DURATION`.
    Complete,
    /// A name that only filters set, and none here does; never there.
    Custom,
}

/// The unit of `COMMON_DURATION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// `ms`
    Milliseconds,
    /// `us`
    Microseconds,
    /// `ns`
    Nanoseconds,
}
