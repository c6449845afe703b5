//! What is known of a request, for access logs and headers: Envoy's `StreamInfo`.
//!
//! Plain data that the data path fills as it goes. Making one allocates nothing; names that many requests share
//! are `Arc`s or `Rc`s made when the configuration was compiled or the connection accepted.

mod address;
mod connection;
mod ending;
mod fields;
mod flags;
mod notes;
mod refusal;
mod timing;
mod tls;
mod trace;
mod upstream;

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::config::metadata::Metadata;

pub use address::Address;
pub use connection::{ConnectionInfo, Fingerprints, Kept, ProxiedValues};
pub use ending::{CloseType, Ending};
pub use fields::Fields;
pub use flags::ResponseFlags;
pub use notes::{Notes, Sharing, StateObject, UPSTREAM_ADDRESS, UpstreamSource};
pub use refusal::Refusal;
pub use timing::{Timing, WireBytes};
pub use tls::{CertificateInfo, Texts, TlsInfo};
pub use trace::{TraceIds, TraceReason};
pub use upstream::{ClusterInfo, UpstreamInfo};

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
    /// How long that took in all; `None` where nobody asks for it, or none was looked for.
    pub route_resolution_time: Option<Duration>,
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
    /// Why it is traced, or that it is not.
    pub trace_reason: TraceReason,
    /// The numbers of its span; `None` where it has none.
    pub trace_ids: Option<Rc<TraceIds>>,
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
            route_resolution_time: None,
            upstream_attempts: 0,
            connection,
            remote: None,
            stream_id: None,
            health_check: false,
            trace_reason: TraceReason::NotTraceable,
            trace_ids: None,
        }
    }

    /// A connection as a stream of bytes, which begins when it is accepted.
    pub fn of_connection(connection: Rc<ConnectionInfo>) -> Self {
        let started = connection.start;
        let mut stream = Self::new(started, SystemTime::now() - started.elapsed(), connection);
        stream.follow_connection();
        stream
    }

    /// What the program does by itself, now: no client is there, and nothing is known of any.
    pub fn of_nobody() -> Self {
        let nobody = Address::Pipe("".into());
        let connection = ConnectionInfo { is_there: false, ..ConnectionInfo::new(0, nobody.clone(), nobody) };
        Self::new(Instant::now(), SystemTime::now(), Rc::new(connection))
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
            let reason = Some(refusal.local_close_reason).filter(|reason| !reason.is_empty());
            self.ending_mut().downstream_local_close_reason = reason;
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
