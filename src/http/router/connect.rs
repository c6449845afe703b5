//! A connection to the host that a request goes to, from its pool.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::headers::Known;
use crate::config;
use crate::config::cluster::UpstreamProtocol;
use crate::config::route::RouteAction;
use crate::http::downstream::Downstream;
use crate::http::exchange::{Exchange, Failure};
use crate::http::local_reply::{LocalReply, transport_failure};
use crate::http::upstream::Upstream;
use crate::observability::stream_info::{Address, Protocol, UpstreamInfo};
use crate::route::mutation::Levels;
use crate::upstream::outlier::Report;
use crate::upstream::pool::{AcquireError, HostPool};
use crate::upstream::{Cluster, Host};

use super::passive;

impl<D: Downstream> Exchange<'_, D> {
    /// A stream to the host, over the protocol that the cluster speaks.
    pub(super) async fn connect(
        &mut self,
        pool: &Rc<HostPool>,
        action: &RouteAction,
        levels: Levels<'_>,
    ) -> Result<Upstream, Failure> {
        let high_priority = action.high_priority;
        let http2 = match &pool.cluster.config.protocol {
            UpstreamProtocol::Http1(_) => false,
            UpstreamProtocol::Http2(_) => true,
            UpstreamProtocol::UseDownstream(..) => self.info.protocol == Some(Protocol::Http2),
        };
        let mut waited = Duration::ZERO;
        let (upstream, established, protocol) = if self.ends_here(action) {
            let lease = self.wait_for(pool, pool.acquire_tcp(high_priority), &mut waited, levels).await?;
            let established = lease.established();
            (Upstream::Tcp(lease), established, None)
        } else if http2 {
            let lease = match pool.stream() {
                Some(lease) => lease,
                None => self.wait_for(pool, pool.acquire_stream(high_priority), &mut waited, levels).await?,
            };
            let established = lease.established();
            (Upstream::Http2(lease), established, Some(Protocol::Http2))
        } else {
            let lease = match pool.idle() {
                Some(lease) => lease,
                None => self.wait_for(pool, pool.acquire(high_priority), &mut waited, levels).await?,
            };
            let established = lease.established();
            (Upstream::Http1(lease), established, Some(Protocol::Http11))
        };
        if let Some(info) = &mut self.info.upstream {
            info.local_address = established.local.map(Address::Ip);
            info.remote_address = established.remote.map(Address::Ip);
            info.protocol = protocol;
            info.connection_id = Some(established.id);
            info.pool_ready = Some(waited);
        }
        let timing = &mut self.info.timing;
        // A connection that is older than the request was there before its time.
        timing.upstream_connect_start = established.begun.checked_duration_since(self.started);
        timing.upstream_connect = Some(established.took);
        Ok(upstream)
    }

    /// Whether the bytes of the request's stream go to the host as they are.
    fn ends_here(&self, action: &RouteAction) -> bool {
        let is_post = || self.headers.request.get(Known::Method) == Some(b"POST");
        action.connect_config.is_some_and(|config| self.connect || (config.allow_post && is_post()))
    }

    /// Waits for a connection, for as long as `waited` then tells, and says what it means when there is none.
    async fn wait_for<T>(
        &mut self,
        pool: &HostPool,
        acquired: impl Future<Output = Result<T, AcquireError>>,
        waited: &mut Duration,
        levels: Levels<'_>,
    ) -> Result<T, Failure> {
        let asked = Instant::now();
        match self.until_done(acquired).await {
            Ok(Ok(lease)) => {
                *waited = asked.elapsed();
                Ok(lease)
            }
            Ok(Err(error)) => {
                let refused = matches!(error, AcquireError::NoPool | AcquireError::Overflow);
                if let (true, Some(upstream)) = (refused, &mut self.info.upstream) {
                    (upstream.host, upstream.hostname) = (None, Arc::default());
                }
                if !refused {
                    passive::report(&self.connection.worker, pool, || Report::Failed);
                }
                if let (AcquireError::Connect(error), Some(upstream)) = (&error, &mut self.info.upstream) {
                    upstream.transport_failure_reason = Some(transport_failure(error).into());
                }
                Err(LocalReply::no_connection(&error).into())
            }
            Err(interrupt) => {
                self.count_timeout(interrupt, pool, levels);
                Err(self.interrupted(interrupt))
            }
        }
    }
}

/// What is known of the upstream side before a host is chosen.
pub(in crate::http) fn upstream_info(cluster: &Cluster) -> UpstreamInfo {
    UpstreamInfo {
        cluster: Arc::clone(&cluster.name),
        cluster_observability_name: cluster.observability_name.clone(),
        host: None,
        hostname: Arc::default(),
        local_address: None,
        remote_address: None,
        protocol: None,
        connection_id: None,
        transport_failure_reason: None,
        local_close_reason: None,
        pool_ready: None,
        cluster_metadata: cluster.config.metadata.clone(),
        host_metadata: None,
    }
}

/// A host's address, as access logs show it.
pub(super) fn stream_address(host: &Host) -> Address {
    match &host.address {
        config::address::Address::Ip(address) => Address::Ip(*address),
        _ => Address::Pipe(Arc::clone(&host.address_text)),
    }
}
