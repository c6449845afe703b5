//! Where a connection goes, and the connection to a host there.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::base::back_off::BackOff;
use crate::http::filter_state::CLUSTER;
use crate::http::{InProgress, Tunnel, dynamic_host, stream_address, transport_failure, upstream_info};
use crate::observability::stream_info::{Address, Notes, ResponseFlags, StateObject, UpstreamInfo};
use crate::snapshot::Wanted;
use crate::upstream::{Cluster, Proxied, TransportOptions, lb};
use crate::upstream::circuit_breaker::Resource;
use crate::upstream::dns_cache::{DnsCache, Found};
use crate::upstream::outlier::Report;
use crate::upstream::pool::{AcquireError, Carries, Established, HostPool};

use super::OnDemand;
use super::direct::Direct;
use super::route::Destination;
use super::session::Session;

/// Why there is no connection to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotConnected {
    /// It was tried as often as it may be.
    Failed,
    /// No host of the cluster can be used.
    NoHost,
    /// The cluster has as many connections as it may have.
    Full,
    /// The cluster is not there.
    NoCluster,
}

/// What leads to a host.
pub(super) enum Link {
    /// A connection of its own.
    Direct(Direct),
    /// A stream of HTTP.
    Tunnel(Tunnel),
}

/// Why an attempt to reach a host failed.
pub(super) enum NoLink {
    /// There is no connection.
    Connection(AcquireError),
    /// The cluster has as many requests as it may have.
    Full,
    /// The host refuses the tunnel: the status of its answer.
    Refused(u16),
    /// The host has not answered, or not in HTTP.
    Broken,
}

impl From<AcquireError> for NoLink {
    fn from(error: AcquireError) -> Self {
        NoLink::Connection(error)
    }
}

impl<'c> Session<'c> {
    /// A connection to a host, made as often as it may be tried.
    pub(super) async fn connect(&mut self) -> Result<Link, NotConnected> {
        let pauses = self.proxy.config.back_off;
        let mut back_off = pauses.map(|pauses| BackOff::new(pauses.base, pauses.max));
        loop {
            let (cluster, chosen) = self.cluster().await?;
            self.check_limits(&cluster)?;
            if self.info.upstream_attempts > 0
                && let Some(back_off) = &mut back_off
            {
                let pause = back_off.next_pause(&mut self.worker.rng.borrow_mut());
                tokio::time::sleep(pause).await;
            }
            if let Some(cache) = cluster.dns_cache()
                && self.asks_anew(&cluster, cache)
            {
                self.info.response_flags.insert(ResponseFlags::UH);
                return Err(NotConnected::NoHost);
            }
            let Some(pool) = self.balance(&cluster, chosen) else {
                cluster.stats.upstream_cx_none_healthy().inc();
                self.info.response_flags.insert(ResponseFlags::UH);
                return Err(NotConnected::NoHost);
            };
            if let Some(link) = self.attempt(&pool).await {
                return Ok(link);
            }
        }
    }

    /// Whether nothing is known of the name that the connection asks for. It is asked for then, for those that come
    /// later: as in Envoy a connection waits for its name in the filter `sni_dynamic_forward_proxy` alone.
    fn asks_anew(&self, cluster: &Cluster, cache: &DnsCache) -> bool {
        let (info, notes) = (&self.info.connection, self.info.notes());
        let name = dynamic_host::of_connection(info, notes, cluster.default_port());
        let Some(name) = name else { return false };
        let is_new = matches!(cache.find(&name), Found::Unknown);
        if is_new && !cache.is_asked_for(&name) {
            // Names are only looked for while somebody waits, be it the first connection alone.
            let answer = cache.ask(&name);
            spawn_local(answer.map(drop));
        }
        is_new
    }

    /// The cluster of the connection, and what is asked of its hosts.
    async fn cluster(&mut self) -> Result<(Arc<Cluster>, Option<&'c Destination>), NotConnected> {
        let proxy = self.proxy;
        let chosen = proxy.config.route.choose(self.worker.random());
        let (name, chosen) = match self.info.notes().and_then(named) {
            Some(name) => (Cow::Owned(name.to_owned()), None),
            None => (Cow::Borrowed(&*chosen.cluster), Some(chosen)),
        };
        let mut found = self.worker.snapshot().clusters.get(&*name).cloned();
        if let (None, Some(on_demand)) = (&found, &proxy.on_demand) {
            found = self.discover(on_demand, &name).await;
        }
        let Some(cluster) = found else {
            proxy.stats.downstream_cx_no_route().inc();
            self.info.response_flags.insert(ResponseFlags::NC);
            return Err(NotConnected::NoCluster);
        };
        // Of a cluster that is tried again it is told which host was tried.
        let is_known = |known: &UpstreamInfo| known.cluster.name == cluster.name;
        if !self.info.upstream.as_ref().is_some_and(is_known) {
            self.info.upstream = Some(upstream_info(&cluster));
        }
        Ok((cluster, chosen))
    }

    /// Waits for a cluster that is not there.
    async fn discover(&self, on_demand: &OnDemand, name: &str) -> Option<Arc<Cluster>> {
        let OnDemand { source, stats } = on_demand;
        stats.on_demand_cluster_attempt().inc();
        let wanted = Wanted::Cluster { source: Arc::clone(source), name: name.into() };
        // What is sent says that the time is over.
        let is_late = self.worker.demand(wanted).await.is_ok();
        let found = self.worker.snapshot().clusters.get(name).cloned();
        match (&found, is_late) {
            (Some(_), _) => stats.on_demand_cluster_success().inc(),
            (None, true) => stats.on_demand_cluster_timeout().inc(),
            (None, false) => stats.on_demand_cluster_missing().inc(),
        }
        found
    }

    /// Whether there may be another connection to the cluster, and another attempt.
    fn check_limits(&mut self, cluster: &Cluster) -> Result<(), NotConnected> {
        if cluster.circuit_breakers.of(false).is_open(Resource::Connections) {
            cluster.stats.upstream_cx_overflow().inc();
            self.info.response_flags.insert(ResponseFlags::UO);
            return Err(NotConnected::Full);
        }
        if self.info.upstream_attempts >= self.proxy.config.max_connect_attempts {
            cluster.stats.upstream_cx_connect_attempts_exceeded().inc();
            self.info.response_flags.insert(ResponseFlags::URX);
            return Err(NotConnected::Failed);
        }
        Ok(())
    }

    /// Tries once to reach a host; `None` when that fails.
    async fn attempt(&mut self, pool: &Rc<HostPool>) -> Option<Link> {
        self.info.upstream_attempts += 1;
        let said = self.said(pool).map(Rc::new);
        let pool = &pool.for_client(said.as_ref(), &self.info.connection, true, false);
        if pool.cluster.config.preconnect.foresees() && self.tunneling().is_none() {
            let near = |other: &Rc<HostPool>| other.for_client(said.as_ref(), &self.info.connection, true, false);
            let snapshot = self.worker.snapshot();
            let choice = lb::Choice {
                runtime: Some(&snapshot.runtime),
                now: pool.cluster.age(),
                ..lb::Choice::default()
            };
            let hosts = self.worker.pools.of(&pool.cluster);
            hosts.foresee(&mut self.worker.rng.borrow_mut(), &choice, near, Carries::Bytes);
        }
        let asked = Instant::now();
        let made = self.link(pool).await;
        let was_full = matches!(made, Err(NoLink::Connection(AcquireError::Overflow | AcquireError::NoPool)));
        if let Some(info) = &mut self.info.upstream
            && !was_full
        {
            info.host = Some(stream_address(&pool.host));
            info.hostname = Arc::clone(&pool.host.hostname);
            info.host_metadata = pool.host.metadata();
            info.locality_metadata = pool.host.locality_metadata();
        }
        match made {
            Ok((link, established)) => {
                self.report(pool, Report::Opened);
                self.note_connection(established, asked.elapsed());
                Some(link)
            }
            Err(failure) => {
                self.note_refusal(pool, &failure);
                None
            }
        }
    }

    /// What the connection says of the one to its host; `None` where that is nothing.
    fn said(&self, pool: &HostPool) -> Option<TransportOptions> {
        let mut said = self.info.notes().map(TransportOptions::of).unwrap_or_default();
        if let Some(tlvs) = &self.proxy.config.tlvs
            && pool.cluster.tells_clients(&pool.host, Some(&said))
        {
            let client = &self.info.connection;
            let values = tlvs.values(client.proxied_values.as_ref(), self.info);
            said.proxied = Proxied::of(client).map(|proxied| Box::new(Proxied { values, ..proxied }));
        }
        Some(said).filter(|said| !said.is_empty())
    }

    /// What leads to the host, and what is known of the connection below.
    async fn link(&mut self, pool: &Rc<HostPool>) -> Result<(Link, Established), NoLink> {
        if let Some(tunneling) = self.tunneling() {
            let tunnel = self.tunnel(pool, tunneling).await?;
            let established = tunnel.established();
            return Ok((Link::Tunnel(tunnel), established));
        }
        let lease = pool.acquire_tcp(false).await?;
        let established = lease.established();
        // As in Envoy the limit of requests does not count.
        Ok((Link::Direct(Direct { _counted: InProgress::new(pool), lease }), established))
    }

    fn note_connection(&mut self, established: Established, waited: Duration) {
        let timing = &mut self.info.timing;
        timing.upstream_connect_start =
            Some(established.begun.into_std().saturating_duration_since(self.info.start));
        timing.upstream_connect = Some(established.took);
        if let Some(info) = &mut self.info.upstream {
            info.local_address = established.local;
            info.remote_address = established.remote.map(Address::Ip);
            info.connection_id = Some(established.id);
            info.pool_ready = Some(waited);
            info.tls = established.tls;
            info.state = established.state;
        }
    }

    fn note_refusal(&mut self, pool: &HostPool, failure: &NoLink) {
        let (report, reason) = match failure {
            NoLink::Full | NoLink::Connection(AcquireError::Overflow | AcquireError::NoPool) => return,
            NoLink::Connection(AcquireError::Connect(error)) => {
                (Report::Failed, Some(transport_failure(error).into()))
            }
            NoLink::Connection(AcquireError::Timeout) => (Report::TimedOut(504), None),
            NoLink::Refused(status) => (Report::Failed, Some(format!("tunnel_response:{status}").into())),
            NoLink::Broken => (Report::Failed, None),
        };
        // As in Envoy the host did not fail where nothing was sent to it.
        if !matches!(failure, NoLink::Connection(error) if error.is_local()) {
            self.info.response_flags.insert(ResponseFlags::UF);
        }
        self.report(pool, report);
        if let (Some(info), Some(reason)) = (&mut self.info.upstream, reason) {
            info.transport_failure_reason = Some(reason);
        }
    }

    /// Tells outlier detection of a connection to the host.
    fn report(&self, pool: &HostPool, report: Report) {
        if let Some(monitor) = &pool.host.outlier {
            monitor.report(report, &self.worker.snapshot().runtime);
        }
    }
}

/// The cluster that the filter state names.
fn named(notes: &Notes) -> Option<&str> {
    std::str::from_utf8(notes.state(CLUSTER).map(StateObject::text)?).ok()
}
