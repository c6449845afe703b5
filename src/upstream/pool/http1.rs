//! HTTP/1.1 connections: one request at a time on each.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use crate::codec::h1::{Client, HeadLimits, Limits};
use crate::config;
use crate::config::cluster::UpstreamProtocol;
use crate::observability::stats::ClusterStats;
use crate::upstream::circuit_breaker::Guard;
use crate::upstream::host_stats::ActiveConnection;

use super::connect::Established;
use super::ended::Ended;
use super::host::{Connected, HostPool};
use super::random_bits;

/// A connection in a pool or lent from it.
#[derive(Debug)]
pub(super) struct Connection {
    client: Client,
    requests: u32,
    opened: Instant,
    /// When it has lived for as long as it may.
    ends: Option<Instant>,
    idle_since: Instant,
    counted: (u64, u64),
    established: Established,
    _place: Guard,
    _active: ActiveConnection,
}

impl Connection {
    pub(super) fn new(connected: Connected, config: &config::Cluster, place: Guard) -> Self {
        let Connected { io, established, active, proxied } = connected;
        let limits = HeadLimits {
            bytes: config.http.max_response_headers_kb as usize * 1024,
            count: config.http.max_response_headers_count as usize,
        };
        let limits = Limits { head: limits, buffer_bytes: config.buffer.limit_bytes };
        let client = match &config.http.protocol {
            UpstreamProtocol::Http1(options)
            | UpstreamProtocol::UseDownstream(options, _)
            | UpstreamProtocol::Auto(options, _) => {
                Client::new(io, limits, options.enable_trailers).with_options(options)
            }
            UpstreamProtocol::Http2(_) => Client::new(io, limits, false),
        };
        let client = if proxied { client.with_whole_url() } else { client };
        let opened = established.begun + established.took;
        Connection {
            established,
            client,
            requests: 0,
            opened,
            ends: config.http.max_connection_duration.map(|limit| opened + limit.drawn(random_bits)),
            idle_since: opened,
            counted: (0, 0),
            _place: place,
            _active: active,
        }
    }

    /// Whether an idle connection has been left alone by its peer. Costs no system call while it has.
    pub(super) fn is_usable(&mut self, stats: &ClusterStats) -> bool {
        let unusable = self.client.poll_unusable(&mut Context::from_waker(Waker::noop()));
        if unusable == Poll::Ready(true) {
            stats.upstream_cx_protocol_error().inc();
        }
        unusable.is_pending()
    }

    pub(super) fn established(&self) -> &Established {
        &self.established
    }

    pub(super) fn idle_since(&self) -> Instant {
        self.idle_since
    }

    pub(super) fn go_idle(&mut self) {
        self.client.release();
        self.idle_since = Instant::now();
    }

    /// Adds what was read and written since the last time.
    fn count_bytes(&mut self, stats: &ClusterStats) {
        let (read, written) = self.client.bytes();
        stats.upstream_cx_rx_bytes_total().add(read - self.counted.0);
        stats.upstream_cx_tx_bytes_total().add(written - self.counted.1);
        self.counted = (read, written);
    }

    pub(super) fn count_out(&self, stats: &ClusterStats, ended: Ended) {
        stats.upstream_rq_per_cx().record(self.requests.into());
        ended.count(stats, self.opened);
    }
}

/// A connection lent for one request. Dropped, it goes back to its pool if it is clean, and is closed if not.
#[derive(Debug)]
pub struct Lease {
    connection: Option<Box<Connection>>,
    pool: Rc<HostPool>,
    closed_by_host: bool,
}

impl Lease {
    pub(super) fn new(mut connection: Box<Connection>, pool: Rc<HostPool>) -> Self {
        connection.requests += 1;
        Lease { connection: Some(connection), pool, closed_by_host: false }
    }

    /// Notes that the host ended the connection, for the statistics.
    pub fn closed_by_host(&mut self) {
        self.closed_by_host = !self.is_overfull();
    }

    /// What is known of the connection from its making.
    pub fn established(&self) -> Established {
        self.connection().established.clone()
    }

    /// The pool it belongs to.
    pub fn pool(&self) -> &Rc<HostPool> {
        &self.pool
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("a lease holds its connection until it is dropped")
    }

    fn may_be_reused(&self, connection: &Connection) -> bool {
        let config = &self.pool.cluster.config;
        let used_up =
            config.http.max_requests_per_connection.is_some_and(|limit| connection.requests >= limit);
        if used_up {
            self.pool.cluster.stats.upstream_cx_max_requests().inc();
        }
        let too_old = connection.ends.is_some_and(|end| Instant::now() >= end);
        let failed = connection.established.has_failed(&self.pool.host);
        connection.client.is_reusable() && !used_up && !too_old && !failed
    }
}

impl Deref for Lease {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.connection().client
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.connection.as_mut().expect("a lease holds its connection until it is dropped").client
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        connection.count_bytes(&self.pool.cluster.stats);
        let told = connection.client.is_ended_by_word();
        if told {
            self.pool.cluster.stats.upstream_cx_close_notify().inc();
        }
        let clean = (told && connection.client.is_framed()) || connection.client.is_reusable();
        if connection.client.has_surplus() {
            self.pool.cluster.stats.upstream_cx_protocol_error().inc();
        }
        if self.may_be_reused(&connection) {
            self.pool.give_back(connection);
        } else {
            let ended = match (self.closed_by_host, clean) {
                (true, true) => Ended::Remote,
                (true, false) => Ended::RemoteWithRequest,
                (false, true) => Ended::Local,
                (false, false) => Ended::LocalWithRequest,
            };
            self.pool.discard(&connection, ended);
        }
    }
}
