//! Lines of access logs about sessions, and about the proxy as a whole.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use serde_json::{Map, Value};

use crate::base::{connection_id, uuid};
use crate::config::runtime::Draw;
use crate::http::Worker;
use crate::observability::access_log::AccessLog;
use crate::observability::format::{Context, LogType};
use crate::observability::stream_info::{Address, ConnectionInfo, ResponseFlags, StreamInfo, UpstreamInfo};
use crate::upstream::Cluster;

use super::datagrams::{Origin, Shared};
use super::session::{Counts, Session};
use super::sessions::Key;

/// The dynamic metadata in which a session is told of.
const SESSION: &str = "udp.proxy.session";
/// That in which the proxy is.
const PROXY: &str = "udp.proxy.proxy";

/// What lines about a session need beside it.
#[derive(Debug)]
pub(super) struct Logged {
    pub(super) worker: Rc<Worker>,
    origin: Arc<Origin>,
    /// Its number and its id, the same in all lines; made for the first.
    ids: OnceCell<(u64, Box<str>)>,
}

impl Logged {
    pub(super) fn new(shared: &Shared) -> Self {
        let (worker, origin) = (Rc::clone(&shared.worker), Arc::clone(&shared.origin));
        Logged { worker, origin, ids: OnceCell::new() }
    }
}

/// What is told of a session.
struct Told<'a> {
    key: &'a Key,
    began: (tokio::time::Instant, SystemTime),
    cluster: &'a Cluster,
    counts: &'a Counts,
    upstream: Option<UpstreamInfo>,
}

impl Logged {
    fn info(&self, told: Told<'_>) -> StreamInfo {
        let (id, stream_id) =
            self.ids.get_or_init(|| (connection_id::next(), uuid::fresh().into_boxed_str()));
        let (start, start_time) = (told.began.0.into_std(), told.began.1);
        let connection = ConnectionInfo {
            start,
            listener_name: Some(Arc::clone(&self.origin.name)),
            listener_metadata: self.origin.metadata.clone(),
            ..ConnectionInfo::new(*id, told.key.peer.into(), told.key.local.into())
        };
        let mut info = StreamInfo::new(start, start_time, Rc::new(connection));
        info.stream_id = Some(stream_id.clone());
        info.bytes_received = told.counts.bytes_received.get();
        info.bytes_sent = told.counts.bytes_sent.get();
        info.upstream = told.upstream;
        info.notes_mut().set_metadata(SESSION, fields(told.cluster, told.counts));
        info
    }
}

impl Session {
    /// Writes a line in each access log.
    pub(super) fn log(&self, worker: &Worker, log_type: LogType) {
        if self.proxy.access_log.is_empty() {
            return;
        }
        let mut info = self.logged.info(Told {
            key: &self.key,
            began: self.began,
            cluster: &self.cluster,
            counts: &self.counts,
            upstream: Some(self.upstream_info()),
        });
        if log_type == LogType::UdpSessionEnd {
            info.timing.complete = Some(info.start.elapsed());
        }
        write(&self.proxy.access_log, &info, log_type, worker);
    }

    fn upstream_info(&self) -> UpstreamInfo {
        UpstreamInfo {
            // Envoy tells the cluster in the metadata alone.
            cluster: Arc::default(),
            host: Some(Address::Ip(self.address)),
            hostname: Arc::clone(&self.host.hostname),
            local_address: self.upstream_local().map(Address::Ip),
            remote_address: None,
            protocol: None,
            connection_id: None,
            transport_failure_reason: None,
            local_close_reason: None,
            pool_ready: None,
            tls: None,
            state: None,
            host_metadata: None,
            locality_metadata: None,
            locality: None,
        }
    }
}

fn fields(cluster: &Cluster, counts: &Counts) -> Map<String, Value> {
    let numbers = [
        ("bytes_received", &counts.bytes_received),
        ("bytes_sent", &counts.bytes_sent),
        ("datagrams_received", &counts.datagrams_received),
        ("datagrams_sent", &counts.datagrams_sent),
        ("errors_sent", &counts.errors_sent),
    ];
    let numbers = numbers.into_iter().map(|(name, count)| (name.to_owned(), count.get().into()));
    numbers.chain([("cluster_name".to_owned(), cluster.name.as_ref().into())]).collect()
}

impl Shared {
    /// Writes a line about a session that its cluster has no room for.
    pub(super) fn log_overflow(&self, key: &Key, cluster: &Cluster) {
        if self.proxy.access_log.is_empty() {
            return;
        }
        let began = (tokio::time::Instant::now(), SystemTime::now());
        let told = Told { key, began, cluster, counts: &Counts::default(), upstream: None };
        let mut info = Logged::new(self).info(told);
        info.response_flags.insert(ResponseFlags::UO);
        info.timing.complete = Some(info.start.elapsed());
        write(&self.proxy.access_log, &info, LogType::UdpSessionEnd, &self.worker);
    }

    /// Writes a line about the proxy, which began then and ends now, in each of its logs.
    pub(super) fn log_proxy(&self, (start, start_time): (Instant, SystemTime)) {
        if self.proxy.proxy_access_log.is_empty() {
            return;
        }
        let nowhere = || Address::Pipe(Arc::from(""));
        let connection = ConnectionInfo { start, ..ConnectionInfo::new(0, nowhere(), nowhere()) };
        let mut info = StreamInfo::new(start, start_time, Rc::new(connection));
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
