//! What is known of a request, for access logs and headers: Envoy's `StreamInfo`.
//!
//! Plain data that the data path fills as it goes. Making one allocates nothing; names that many requests share
//! are `Arc`s or `Rc`s made when the configuration was compiled or the connection accepted.

mod ending;
mod flags;
mod notes;
mod refusal;
mod tls;

use std::any::Any;
use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::net::SocketAddr;
use std::ops::Add;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::config;
use crate::config::bootstrap::Node;
use crate::config::endpoint::Locality;
use crate::config::listener::TrafficDirection;
use crate::config::metadata::Metadata;

pub use ending::{CloseType, Ending};
pub use flags::ResponseFlags;
pub use notes::{Notes, StateObject};
pub use refusal::Refusal;
pub use tls::{CertificateInfo, Texts, TlsInfo};

/// The HTTP version of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `HTTP/1.0`
    Http10,
    /// `HTTP/1.1`
    #[default]
    Http11,
    /// `HTTP/2`
    Http2,
}

impl Protocol {
    /// As access logs write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::Http10 => "HTTP/1.0",
            Protocol::Http11 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
        }
    }
}

/// An end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Ip(SocketAddr),
    /// A Unix socket: its path, `@name` if it is abstract, empty if it has none.
    Pipe(Arc<str>),
    /// A listener within the process, or who connected to one.
    Internal {
        /// The listener's name.
        listener: Arc<str>,
        /// Which of its endpoints it is; empty if none is named.
        endpoint_id: Arc<str>,
    },
}

impl Address {
    /// The end of a connection within the process that is no listener's.
    pub fn internal_client() -> Self {
        Address::Internal { listener: "internal_client_address".into(), endpoint_id: "".into() }
    }
}

impl From<&config::address::Address> for Address {
    fn from(address: &config::address::Address) -> Self {
        use config::address::Address as Configured;
        match address {
            Configured::Ip(address) => Address::Ip(*address),
            Configured::Internal { listener, endpoint_id } => {
                let (listener, endpoint_id) = (listener.as_str().into(), endpoint_id.as_str().into());
                Address::Internal { listener, endpoint_id }
            }
            Configured::Pipe { .. } | Configured::Name { .. } => Address::Pipe(address.to_string().into()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Ip(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Pipe(path) => f.write_str(path),
            Address::Internal { listener, endpoint_id } => write!(f, "envoy://{listener}/{endpoint_id}"),
        }
    }
}

/// What all requests of a downstream connection have in common.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// Number of the connection, unique in the process.
    pub id: u64,
    /// Whether there is one: not for a request that no client has sent.
    pub is_there: bool,
    /// The peer, as the socket says.
    pub direct_remote: Address,
    /// The peer after listener filters (PROXY protocol, original source).
    pub remote: Address,
    /// Our end; where the client wanted to go if that was restored.
    pub local: Address,
    /// Our end, as the socket says.
    pub direct_local: Address,
    /// When it was accepted.
    pub start: Instant,
    /// Name of the listener.
    pub listener_name: Option<Arc<str>>,
    /// Name of the filter chain, if it has one.
    pub filter_chain_name: Option<Arc<str>>,
    /// Name that the client asked for (SNI); empty if none.
    pub requested_server_name: Box<str>,
    /// Why a network filter has closed it; nothing where none has.
    pub refusal: OnceCell<Refusal>,
    /// Why the handshake failed, if it did.
    pub transport_failure_reason: OnceCell<String>,
    /// Whether TLS is spoken.
    pub encrypted: bool,
    /// What is known of TLS; nothing on plain connections and before the handshake is done.
    pub tls: OnceCell<Box<TlsInfo>>,
    /// What is configured of the listener beside what it does; `None` where that is nothing.
    pub listener_metadata: Option<Arc<Metadata>>,
    /// Which way the listener's traffic goes.
    pub direction: TrafficDirection,
    /// Who this proxy is, for expressions; `None` of connections that nobody accepted.
    pub node: Option<Arc<Node>>,
    /// What a filter keeps as long as it lasts.
    pub kept: Kept,
    /// What listener and network filters noted of it; none until one does.
    pub notes: RefCell<Option<Box<Notes>>>,
    /// Whether [`local`](Self::local) is where the client wanted to go, as a listener filter found out.
    pub local_restored: bool,
}

/// What a filter keeps for as long as a connection lasts. What is put in first stays.
#[derive(Clone, Default)]
pub struct Kept(OnceCell<Rc<dyn Any>>);

impl Kept {
    /// What is kept; `make` makes it if there is nothing. `None` where it is something else.
    pub fn get_or_init<T: Any>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.0.get_or_init(|| Rc::new(make())).downcast_ref()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "Kept" } else { "Nothing" })
    }
}

/// Where a request went.
#[derive(Clone, Debug)]
pub struct UpstreamInfo {
    /// The cluster's name; empty if there is none of the route that was found last.
    pub cluster: Arc<str>,
    /// The cluster's name as observability shows it (`alt_stat_name`); the name when `None`.
    pub cluster_observability_name: Option<Arc<str>>,
    /// The host's address; `None` before one is chosen.
    pub host: Option<Address>,
    /// The host's name; empty if it has none.
    pub hostname: Arc<str>,
    /// Our end of the connection; `None` before it is there.
    pub local_address: Option<Address>,
    /// The host's end of the connection where that is another address than [`host`](Self::host).
    pub remote_address: Option<Address>,
    /// The connection's protocol; `None` before it is there.
    pub protocol: Option<Protocol>,
    /// Number of the connection; `None` before it is there.
    pub connection_id: Option<u64>,
    /// Why connecting failed.
    pub transport_failure_reason: Option<Cow<'static, str>>,
    /// Why the upstream connection was closed under the request (`%UPSTREAM_DETECTED_CLOSE_TYPE%` and such).
    pub local_close_reason: Option<Cow<'static, str>>,
    /// How long the request waited for a connection, from the moment it asked for one.
    pub pool_ready: Option<Duration>,
    /// What is known of the connection's TLS; `None` where it is plain or there is none.
    pub tls: Option<Rc<TlsInfo>>,
    /// What is configured of the cluster beside what it does; `None` where that is nothing.
    pub cluster_metadata: Option<Arc<Metadata>>,
    /// What is configured of the host, likewise.
    pub host_metadata: Option<Arc<Metadata>>,
    /// Where the host is; `None` where it does not say.
    pub locality: Option<Arc<Locality>>,
}

impl UpstreamInfo {
    /// Whether there was a connection to the host.
    pub fn is_connected(&self) -> bool {
        self.connection_id.is_some()
    }
}

impl ConnectionInfo {
    /// The scheme of URIs that come on it.
    pub fn scheme(&self) -> &'static [u8] {
        if self.encrypted { b"https" } else { b"http" }
    }

    /// For a listener filter to note something.
    pub fn notes_mut(&mut self) -> &mut Notes {
        self.notes.get_mut().get_or_insert_default()
    }

    /// For a network filter to note something.
    pub fn note(&self, note: impl FnOnce(&mut Notes)) {
        note(self.notes.borrow_mut().get_or_insert_default());
    }

    /// Why it ended.
    pub fn termination_details(&self) -> Option<&str> {
        self.refusal.get().and_then(|refusal| refusal.termination_details.as_deref())
    }

    /// A connection that was accepted just now, before anything more is known of it.
    pub fn new(id: u64, remote: Address, local: Address) -> Self {
        ConnectionInfo {
            id,
            is_there: true,
            direct_remote: remote.clone(),
            remote,
            direct_local: local.clone(),
            local,
            start: Instant::now(),
            listener_name: None,
            filter_chain_name: None,
            requested_server_name: Box::default(),
            refusal: OnceCell::new(),
            transport_failure_reason: OnceCell::new(),
            encrypted: false,
            tls: OnceCell::new(),
            listener_metadata: None,
            direction: TrafficDirection::default(),
            node: None,
            kept: Kept::default(),
            notes: RefCell::default(),
            local_restored: false,
        }
    }
}

/// Bytes of a message as counted on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireBytes {
    /// Bytes received, framing and headers counted.
    pub received: u64,
    /// Of those, headers with their framing.
    pub header_received: u64,
    /// Headers as they were before HPACK packed them.
    pub decompressed_header_received: u64,
    /// Bytes sent, framing and headers counted.
    pub sent: u64,
    /// Of those, headers with their framing.
    pub header_sent: u64,
    /// Headers as they were before HPACK packed them.
    pub decompressed_header_sent: u64,
}

impl Add for WireBytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        WireBytes {
            received: self.received + other.received,
            header_received: self.header_received + other.header_received,
            decompressed_header_received: self.decompressed_header_received
                + other.decompressed_header_received,
            sent: self.sent + other.sent,
            header_sent: self.header_sent + other.header_sent,
            decompressed_header_sent: self.decompressed_header_sent + other.decompressed_header_sent,
        }
    }
}

/// Moments of a stream, each as the time since its start; `None` as long as it has not come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// `DS_RX_END`: last byte of the request received.
    pub downstream_rx_end: Option<Duration>,
    /// `US_CX_BEG`: connecting to the host began.
    pub upstream_connect_start: Option<Duration>,
    /// How long connecting took, whenever that was: from `US_CX_BEG` to `US_CX_END`.
    pub upstream_connect: Option<Duration>,
    /// `US_HS_END`: TLS handshake with the host done.
    pub upstream_handshake_end: Option<Duration>,
    /// `US_TX_BEG`: first byte of the request sent upstream.
    pub upstream_tx_start: Option<Duration>,
    /// `US_TX_END`: last byte of the request sent upstream.
    pub upstream_tx_end: Option<Duration>,
    /// `US_RX_BEG`: first byte of the response received.
    pub upstream_rx_start: Option<Duration>,
    /// `US_RX_BODY_BEG`: first byte of the response's body received.
    pub upstream_rx_body_start: Option<Duration>,
    /// `US_RX_END`: last byte of the response received.
    pub upstream_rx_end: Option<Duration>,
    /// `DS_TX_BEG`: first byte of the response sent.
    pub downstream_tx_start: Option<Duration>,
    /// `DS_TX_END`: last byte of the response sent.
    pub downstream_tx_end: Option<Duration>,
    /// The stream's end: what `%DURATION%` shows.
    pub complete: Option<Duration>,
}

/// What is known of a request.
#[derive(Clone, Debug)]
pub struct StreamInfo {
    /// When it began, for measuring.
    pub start: Instant,
    /// When it began, for showing.
    pub start_time: SystemTime,
    /// Its HTTP version; `None` before it is known.
    pub protocol: Option<Protocol>,
    /// The response's status; 0 if there was none.
    pub response_code: u16,
    /// What went wrong.
    pub response_flags: ResponseFlags,
    /// Why the response is what it is, such as `via_upstream`; empty if unknown.
    pub response_code_details: Cow<'static, str>,
    /// Bytes of the request's body.
    pub bytes_received: u64,
    /// Bytes of the response's body.
    pub bytes_sent: u64,
    /// Bytes on the downstream wire.
    pub downstream_wire: WireBytes,
    /// Bytes on the upstream wire, of the last attempt.
    pub upstream_wire: WireBytes,
    /// Those of the attempts before; `None` where there was none.
    pub upstream_wire_before: Option<Box<WireBytes>>,
    /// Its moments.
    pub timing: Timing,
    /// Name of the route; empty if it has none, `None` if there is no route.
    pub route_name: Option<Arc<str>>,
    /// Name of the virtual cluster that it counts in; `None` where that has none.
    pub virtual_cluster_name: Option<Arc<str>>,
    /// What is configured of its route beside what that does; `None` where that is nothing.
    pub route_metadata: Option<Arc<Metadata>>,
    /// What is configured of its virtual host, likewise.
    pub virtual_host_metadata: Option<Arc<Metadata>>,
    /// The virtual host, whether one of its routes took the request or not; `None` where there is none.
    #[expect(
        clippy::redundant_allocation,
        reason = "counting the outer pointer writes nothing that other threads read"
    )]
    pub virtual_host_name: Option<Rc<Arc<str>>>,
    /// Whether a route was found, which may have no name.
    pub has_route: bool,
    /// What filters noted of it; none until one does.
    pub notes: Option<Box<Notes>>,
    /// How its connections ended; `None` where that was in the usual way.
    pub ending: Option<Box<Ending>>,
    /// Where it went; `None` if nowhere.
    pub upstream: Option<UpstreamInfo>,
    /// The name of the cluster that the route leads to, where there is no such cluster.
    pub missing_cluster: Option<Box<str>>,
    /// How often a route was looked for.
    pub route_resolutions: u32,
    /// Hosts that were tried, this one counted.
    pub upstream_attempts: u32,
    /// The connection it came on.
    pub connection: Rc<ConnectionInfo>,
    /// The client, after `x-forwarded-for`; the connection's when `None`.
    pub remote: Option<Address>,
    /// The stream's id, the `x-request-id` where there is one.
    pub stream_id: Option<Box<str>>,
    /// Whether this is a health check.
    pub health_check: bool,
}

impl StreamInfo {
    /// Bytes on the upstream wire, of all attempts.
    pub fn all_upstream_wire(&self) -> WireBytes {
        self.upstream_wire + self.upstream_wire_before.as_deref().copied().unwrap_or_default()
    }

    /// Another attempt begins.
    pub fn begin_upstream_wire(&mut self) {
        let all = self.all_upstream_wire();
        self.upstream_wire_before = (all != WireBytes::default()).then(|| Box::new(all));
        self.upstream_wire = WireBytes::default();
    }

    /// A request that begins at `start` on this connection.
    pub fn new(start: Instant, start_time: SystemTime, connection: Rc<ConnectionInfo>) -> Self {
        let notes = connection.notes.borrow().as_deref().and_then(Notes::inherited);
        StreamInfo {
            start,
            start_time,
            protocol: None,
            response_code: 0,
            response_flags: ResponseFlags::default(),
            response_code_details: Cow::Borrowed(""),
            bytes_received: 0,
            bytes_sent: 0,
            downstream_wire: WireBytes::default(),
            upstream_wire: WireBytes::default(),
            upstream_wire_before: None,
            timing: Timing::default(),
            route_name: None,
            virtual_cluster_name: None,
            route_metadata: None,
            virtual_host_metadata: None,
            notes,
            virtual_host_name: None,
            has_route: false,
            ending: None,
            upstream: None,
            missing_cluster: None,
            route_resolutions: 0,
            upstream_attempts: 0,
            connection,
            remote: None,
            stream_id: None,
            health_check: false,
        }
    }

    /// A connection as a stream of bytes, which begins when it is accepted.
    pub fn of_connection(connection: Rc<ConnectionInfo>) -> Self {
        let started = connection.start;
        let mut stream = Self::new(started, SystemTime::now() - started.elapsed(), connection);
        stream.follow_connection();
        stream
    }

    /// Takes over what network filters noted of the connection since, and why one has closed it. For streams of bytes.
    pub fn follow_connection(&mut self) {
        let connection = Rc::clone(&self.connection);
        if let Some(notes) = &*connection.notes.borrow() {
            self.notes = Some(notes.clone());
        }
        if let Some(refusal) = connection.refusal.get() {
            self.response_flags.insert(refusal.flags);
            if !refusal.response_code_details.is_empty() {
                self.response_code_details = refusal.response_code_details.into();
            }
            self.ending_mut().downstream_local_close_reason = Some(refusal.local_close_reason);
        }
    }

    /// What filters noted of the request, if any did.
    pub fn notes(&self) -> Option<&Notes> {
        self.notes.as_deref()
    }

    /// For a filter to note something.
    pub fn notes_mut(&mut self) -> &mut Notes {
        self.notes.get_or_insert_default()
    }

    /// To note how connections ended.
    pub fn ending_mut(&mut self) -> &mut Ending {
        self.ending.get_or_insert_default()
    }

    /// The client, after `x-forwarded-for`.
    pub fn remote(&self) -> &Address {
        self.remote.as_ref().unwrap_or(&self.connection.remote)
    }
}
