//! A connection to the host that a request goes to, from its pool.

use std::future::{Future, poll_fn, ready};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::base::headers::Known;
use crate::config;
use crate::config::cluster::UpstreamProtocol;
use crate::config::endpoint::Locality;
use crate::config::route::RouteAction;
use crate::http::downstream::Downstream;
use crate::http::exchange::{Exchange, Failure, Stopped};
use crate::http::hosted::Hosted;
use crate::http::local_reply::{LocalReply, transport_failure};
use crate::http::upstream::{Carrier, Upstream};
use crate::observability::stream_info::{Address, Protocol, UpstreamInfo};
use crate::route::mutation::Levels;
use crate::upstream::outlier::Report;
use crate::upstream::pool::{AcquireError, Carries, HostPool};
use crate::upstream::{Cluster, Host};

use super::connecting::Connecting;
use super::passive;
use super::retry::Attempts;

impl<D: Downstream> Exchange<'_, D> {
    /// A stream to the host, over the protocol that the cluster speaks, for a request that has passed the filters before
    /// it.
    pub(super) async fn connect<'f>(
        &mut self,
        pool: &Rc<HostPool>,
        action: &RouteAction,
        levels: Levels<'_>,
        hosted: Option<Box<Hosted<'f>>>,
        attempts: &mut Option<Box<Attempts<'_>>>,
    ) -> Result<Upstream<'f>, Failure> {
        if let Some(hosted) = hosted {
            // Boxed, so that requests that pass no such filters have no room for it.
            return Box::pin(self.connect_filtered(pool, action, levels, hosted, attempts)).await;
        }
        let carries = self.carries(pool, action);
        let mut waited = Duration::ZERO;
        let carrier = match idle(pool, carries) {
            Some(carrier) => carrier,
            None => {
                // Boxed, so that the many requests that find an idle one have no room for what making one takes.
                let acquired = acquire(pool, carries, action.high_priority).boxed_local();
                self.wait_for(pool, acquired, &mut waited, levels, attempts).await?
            }
        };
        self.note_connection(&carrier, waited);
        Ok(Upstream::plain(carrier))
    }

    /// The same while the request passes filters.
    async fn connect_filtered<'f>(
        &mut self,
        pool: &Rc<HostPool>,
        action: &RouteAction,
        levels: Levels<'_>,
        mut hosted: Box<Hosted<'f>>,
        attempts: &mut Option<Box<Attempts<'_>>>,
    ) -> Result<Upstream<'f>, Failure> {
        let mut connecting = Connecting::new(pool, self.carries(pool, action), action.high_priority);
        let passed = self.pass_while_connecting(pool, levels, &mut hosted, &mut connecting, attempts).await;
        if let Err(failure) = passed {
            // It was received, if not sent.
            self.request_pump.bytes += hosted.request.bytes();
            connecting.give_up();
            return Err(failure);
        }
        let carrier = connecting.into_carrier().expect("it was waited for");
        Ok(Upstream { carrier, hosted: Some(hosted) })
    }

    async fn pass_while_connecting(
        &mut self,
        pool: &HostPool,
        levels: Levels<'_>,
        hosted: &mut Hosted<'_>,
        connecting: &mut Connecting<'_>,
        attempts: &mut Option<Box<Attempts<'_>>>,
    ) -> Result<(), Failure> {
        let (asked, mut waited) = (Instant::now(), Duration::ZERO);
        let begun = poll_fn(|cx| Poll::Ready(connecting.poll(cx))).await;
        let was_there = begun.is_ready();
        if let Poll::Ready(begun) = begun {
            self.wait_for(pool, ready(begun), &mut waited, levels, attempts).await?;
            connecting.carrier().into_iter().for_each(|carrier| self.note_connection(carrier, waited));
        }
        match self.filter_to_host(hosted, levels, connecting).await {
            Ok(()) => {}
            Err(Stopped::Failed(failure)) => return Err(failure),
            Err(Stopped::NoConnection(error)) => {
                return self.wait_for(pool, ready(Err(error)), &mut waited, levels, attempts).await;
            }
        }
        if !was_there {
            self.wait_for(pool, poll_fn(|cx| connecting.poll(cx)), &mut waited, levels, attempts).await?;
            let waited = asked.elapsed();
            connecting.carrier().into_iter().for_each(|carrier| self.note_connection(carrier, waited));
        }
        Ok(())
    }

    /// What carries the request.
    pub(super) fn carries(&self, pool: &HostPool, action: &RouteAction) -> Carries {
        if self.ends_here(action) && !pool.cluster.config.only_http_pools {
            return Carries::Bytes;
        }
        match &pool.cluster.config.http.protocol {
            UpstreamProtocol::Http1(_) => Carries::Http1,
            UpstreamProtocol::Http2(_) => Carries::Http2,
            UpstreamProtocol::UseDownstream(..) if self.info.protocol == Some(Protocol::Http2) => {
                Carries::Http2
            }
            UpstreamProtocol::UseDownstream(..) => Carries::Http1,
            UpstreamProtocol::Auto(..) => Carries::Either,
        }
    }

    fn note_connection(&mut self, carrier: &Carrier, waited: Duration) {
        let established = carrier.established();
        if let Some(info) = &mut self.info.upstream {
            info.local_address = established.local;
            info.remote_address = established.remote.map(Address::Ip);
            info.protocol = carrier.protocol();
            info.connection_id = Some(established.id);
            info.pool_ready = Some(waited);
            info.tls = established.tls;
            info.state = established.state;
        }
        let timing = &mut self.info.timing;
        // A connection that is older than the request was there before its time.
        timing.upstream_connect_start = established.begun.checked_duration_since(self.started);
        timing.upstream_connect = Some(established.took);
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
        attempts: &mut Option<Box<Attempts<'_>>>,
    ) -> Result<T, Failure> {
        let asked = Instant::now();
        let mut acquired = pin!(acquired);
        let acquired = self
            .until(|this, cx| match acquired.as_mut().poll(cx) {
                Poll::Pending => this.poll_overtaken(attempts, cx).map(Err),
                Poll::Ready(acquired) => Poll::Ready(Ok(acquired)),
            })
            .await;
        match acquired {
            Ok(Err(overtaken)) => Err(overtaken),
            Ok(Ok(Ok(lease))) => {
                *waited = asked.elapsed();
                Ok(lease)
            }
            Ok(Ok(Err(error))) => {
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
                if let Some(attempts) = attempts {
                    self.interrupt_asides(attempts, interrupt);
                }
                self.count_timeout(interrupt, pool, levels);
                Err(self.interrupted(interrupt))
            }
        }
    }
}

/// A connection that is there.
#[inline]
pub(in crate::http) fn idle(pool: &Rc<HostPool>, carries: Carries) -> Option<Carrier> {
    match carries {
        Carries::Http1 => pool.idle().map(Carrier::Http1),
        Carries::Http2 => pool.stream().map(Carrier::Http2),
        Carries::Either => pool.either().map(Carrier::from),
        Carries::Bytes => None,
    }
}

/// A connection, once there is one.
pub(in crate::http) async fn acquire(
    pool: &Rc<HostPool>,
    carries: Carries,
    high_priority: bool,
) -> Result<Carrier, AcquireError> {
    match carries {
        Carries::Http1 => pool.acquire_http1(high_priority).await.map(Carrier::from),
        Carries::Http2 => pool.acquire_http2(high_priority).await.map(Carrier::from),
        Carries::Either => pool.acquire_either(high_priority).await.map(Carrier::from),
        Carries::Bytes => pool.acquire_tcp(high_priority).await.map(Carrier::Tcp),
    }
}

/// What is known of the upstream side before a host is chosen.
pub(crate) fn upstream_info(cluster: &Cluster) -> UpstreamInfo {
    UpstreamInfo::of(Arc::clone(&cluster.told))
}

/// Where a host is, if it says so. Hosts that do not cost nothing here.
pub(super) fn locality(host: &Host) -> Option<Arc<Locality>> {
    (*host.locality != Locality::default()).then(|| Arc::clone(&host.locality))
}

/// A host's address, as access logs show it.
pub(crate) fn stream_address(host: &Host) -> Address {
    match &host.address {
        config::address::Address::Pipe { .. } => Address::Pipe(Arc::clone(&host.address_text)),
        address => address.into(),
    }
}
