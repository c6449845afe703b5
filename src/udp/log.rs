//! Lines of access logs about sessions, and about the proxy as a whole.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use serde_json::{Map, Value};

use crate::base::headers::Headers;
use crate::base::{connection_id, uuid};
use crate::config::runtime::Draw;
use crate::http::{Worker, shown, stream_address};
use crate::observability::access_log::AccessLog;
use crate::observability::format::{Context, LogType};
use crate::observability::stream_info::{
    Address, ConnectionInfo, ResponseFlags, StateObject, StreamInfo, UpstreamInfo,
};
use crate::upstream::Cluster;

use super::datagrams::{Origin, Shared};
use super::session::{Counts, Session, Way};
use super::sessions::Key;

/// The dynamic metadata in which a session is told of.
const SESSION: &str = "udp.proxy.session";
/// That in which the proxy is.
const PROXY: &str = "udp.proxy.proxy";
/// The objects of the filter state that tell headers and trailers of a tunnel's answer.
const HEADERS: &str = "envoy.udp_proxy.propagate_response_headers";
const TRAILERS: &str = "envoy.udp_proxy.propagate_response_trailers";

/// What lines about a session need beside it.
#[derive(Debug)]
pub(super) struct Logged {
    pub(super) worker: Rc<Worker>,
    origin: Arc<Origin>,
    /// What is known of it as of a connection, and its id, the same in all lines; made for the first.
    known: OnceCell<(Rc<ConnectionInfo>, Box<str>)>,
}

impl Logged {
    pub(super) fn new(shared: &Shared) -> Self {
        let (worker, origin) = (Rc::clone(&shared.worker), Arc::clone(&shared.origin));
        Logged { worker, origin, known: OnceCell::new() }
    }

    fn known(&self, key: &Key, start: Instant) -> &(Rc<ConnectionInfo>, Box<str>) {
        self.known.get_or_init(|| {
            let connection = ConnectionInfo {
                start,
                listener_name: Some(Arc::clone(&self.origin.name)),
                ..ConnectionInfo::new(connection_id::next(), key.peer.into(), key.local.into())
            };
            (Rc::new(connection), uuid::fresh().into_boxed_str())
        })
    }

    fn info(
        &self,
        key: &Key,
        (start, start_time): (tokio::time::Instant, SystemTime),
        cluster: Option<&Cluster>,
        counts: &Counts,
    ) -> StreamInfo {
        let start = start.into_std();
        let (connection, stream_id) = self.known(key, start);
        let mut info = StreamInfo::new(start, start_time, Rc::clone(connection));
        info.follow_connection();
        info.stream_id = Some(stream_id.clone());
        info.bytes_received = counts.bytes_received.get();
        info.bytes_sent = counts.bytes_sent.get();
        info.notes_mut().set_metadata(SESSION, fields(cluster, counts));
        info
    }
}

impl Session {
    /// What is known of it as of a connection.
    pub(super) fn connection(&self) -> &Rc<ConnectionInfo> {
        &self.logged.known(&self.key, self.began.0.into_std()).0
    }

    /// What is known of it.
    pub(super) fn info(&self) -> StreamInfo {
        // As in Envoy none is told before the filters let it on.
        let cluster = self.destination().map(|to| &*to.cluster);
        let mut info = self.logged.info(&self.key, self.began, cluster, &self.counts);
        info.response_flags = self.flags.get();
        // As in Envoy it has one once filters see it.
        if self.lacks_filter {
            info.stream_id = None;
        }
        match self.way() {
            Some(Way::Direct(direct)) => {
                info.upstream = Some(UpstreamInfo {
                    host: Some(Address::Ip(direct.address)),
                    // Datagrams go there, though there is no connection.
                    remote_address: Some(Address::Ip(direct.address)),
                    hostname: Arc::clone(&direct.host.hostname),
                    local_address: direct.local().map(Address::Ip),
                    ..nowhere()
                });
            }
            Some(Way::Tunnel(tunnel)) => {
                let facts = tunnel.facts();
                info.upstream_attempts = facts.attempts;
                info.upstream_wire = facts.wire;
                info.upstream = Some(UpstreamInfo {
                    host: facts.host.as_deref().map(stream_address),
                    hostname: facts.host.map(|host| Arc::clone(&host.hostname)).unwrap_or_default(),
                    connection_id: facts.connection_id,
                    tells_remote: false,
                    transport_failure_reason: facts.failure,
                    ..nowhere()
                });
            }
            None => {}
        }
        info
    }

    /// Writes a line in each access log.
    pub(super) fn log(&self, log_type: LogType) {
        if self.proxy.access_log.is_empty() {
            return;
        }
        let mut info = self.info();
        if log_type == LogType::UdpSessionEnd {
            info.timing.complete = Some(info.start.elapsed());
        }
        write(&self.proxy.access_log, &info, log_type, &self.logged.worker);
    }

    /// Notes headers of its tunnel in the filter state.
    pub(super) fn note_headers(&self, headers: &Headers) {
        self.note(HEADERS, headers);
    }

    /// Notes trailers of its tunnel there.
    pub(super) fn note_trailers(&self, trailers: &Headers) {
        self.note(TRAILERS, trailers);
    }

    fn note(&self, name: &str, headers: &Headers) {
        let object = StateObject::Message { json: shown(headers).into(), text: Box::default() };
        self.connection().note(|notes| notes.set_state(name, object));
    }
}

/// An upstream of which nothing is known; Envoy tells the cluster in the metadata alone.
fn nowhere() -> UpstreamInfo {
    UpstreamInfo::of(Arc::default())
}

fn fields(cluster: Option<&Cluster>, counts: &Counts) -> Map<String, Value> {
    let numbers = [
        ("bytes_received", &counts.bytes_received),
        ("bytes_sent", &counts.bytes_sent),
        ("datagrams_received", &counts.datagrams_received),
        ("datagrams_sent", &counts.datagrams_sent),
        ("errors_sent", &counts.errors_sent),
    ];
    let numbers = numbers.into_iter().map(|(name, count)| (name.to_owned(), count.get().into()));
    let cluster = cluster.map(|cluster| ("cluster_name".to_owned(), cluster.name.as_ref().into()));
    numbers.chain(cluster).collect()
}

impl Shared {
    /// Writes a line about a session that its cluster has no room for.
    pub(super) fn log_overflow(&self, key: &Key, cluster: &Cluster) {
        if self.proxy.access_log.is_empty() {
            return;
        }
        let began = (tokio::time::Instant::now(), SystemTime::now());
        let mut info = Logged::new(self).info(key, began, Some(cluster), &Counts::default());
        info.response_flags.insert(ResponseFlags::UO);
        info.timing.complete = Some(info.start.elapsed());
        write(&self.proxy.access_log, &info, LogType::UdpSessionEnd, &self.worker);
    }

    /// Writes a line about the proxy, which began then and ends now, in each of its logs.
    pub(super) fn log_proxy(&self, (start, start_time): (Instant, SystemTime)) {
        if self.proxy.proxy_access_log.is_empty() {
            return;
        }
        let none = || Address::Pipe(Arc::from(""));
        let connection = ConnectionInfo { start, is_there: false, ..ConnectionInfo::new(0, none(), none()) };
        let mut info = StreamInfo::new(start, start_time, Rc::new(connection));
        info.bytes_received = self.sockets.iter().map(|socket| socket.received.get()).sum();
        info.bytes_sent = self.sockets.iter().map(|socket| socket.sent.get()).sum();
        info.timing.complete = Some(start.elapsed());
        let stats = &self.proxy.stats;
        let numbers = [
            ("bytes_received", stats.downstream_sess_rx_bytes()),
            ("bytes_sent", stats.downstream_sess_tx_bytes()),
            ("datagrams_received", stats.downstream_sess_rx_datagrams()),
            ("datagrams_sent", stats.downstream_sess_tx_datagrams()),
            ("errors_received", stats.downstream_sess_rx_errors()),
            ("errors_sent", stats.downstream_sess_tx_errors()),
            ("idle_timeout", stats.idle_timeout()),
            ("no_route", stats.downstream_sess_no_route()),
            ("session_total", stats.downstream_sess_total()),
        ];
        let fields = numbers.into_iter().map(|(name, count)| (name.to_owned(), count.value().into()));
        info.notes_mut().set_metadata(PROXY, fields.collect());
        write(&self.proxy.proxy_access_log, &info, LogType::NotSet, &self.worker);
    }
}

fn write(logs: &[AccessLog], info: &StreamInfo, log_type: LogType, worker: &Worker) {
    let context = Context { log_type, ..Context::without_headers(info) };
    let snapshot = worker.snapshot();
    let draw = Draw { random: worker.random(), runtime: &snapshot.runtime };
    for log in logs {
        log.write(&context, draw);
    }
}
