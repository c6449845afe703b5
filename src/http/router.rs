//! Forwarding: from a route to a host, and the two messages between the two streams.
//! `envoy.extensions.filters.http.router.v3.Router`

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use tokio::time::Instant;

use crate::base::headers::Known;
use crate::codec::h1::client::ResponseHead;
use crate::codec::{Pump, PumpError, StreamError};
use crate::config::cluster::UpstreamProtocol;
use crate::config::route::{HostRewrite, RouteAction};
use crate::observability::stream_info::{Address, Protocol, ResponseFlags, UpstreamInfo};
use crate::route::action::{self, TimeoutHeaders};
use crate::route::mutation::Levels;
use crate::route::{Matched, rewrite};
use crate::snapshot::Snapshot;
use crate::upstream::lb::Choice;
use crate::upstream::pool::{AcquireError, HostPool};
use crate::upstream::{Cluster, Host};

use super::deadlines::Interrupt;
use super::downstream::Downstream;
use super::exchange::{Exchange, Failure, client_gone};
use super::local_reply::{LocalReply, broken_response, transport_failure};
use super::upstream::Upstream;

/// What a client may ask of the router; it is not for the host.
const CONSUMED: &[Known] = &[
    Known::XEnvoyRetryOn,
    Known::XEnvoyRetryGrpcOn,
    Known::XEnvoyMaxRetries,
    Known::XEnvoyRetriableStatusCodes,
    Known::XEnvoyRetriableHeaderNames,
    Known::XEnvoyHedgeOnPerTryTimeout,
    Known::XEnvoyUpstreamAltStatName,
    Known::XEnvoyUpstreamRqTimeoutAltResponse,
    Known::XEnvoyUpstreamStreamDurationMs,
];

impl<D: Downstream> Exchange<'_, D> {
    /// Forwards the request and its response.
    pub(super) async fn forward(
        &mut self,
        snapshot: &Snapshot,
        matched: &Matched<'_>,
        action: &RouteAction,
        random: u64,
    ) -> Result<(), Failure> {
        let choice = action::choose(action, &self.headers.request, random);
        let Some(cluster) = snapshot.clusters.get(choice.cluster) else {
            self.connection.manager.stats.no_cluster().inc();
            return Err(LocalReply::cluster_not_found(action.cluster_not_found_response_code).into());
        };
        self.info.upstream = Some(upstream_info(cluster));
        self.check_upgrade(&action.upgrade_configs)?;
        let weighted = choice.weighted;
        let levels = Levels::new(matched, weighted);
        self.prepare_request(matched, action, weighted, levels);
        let answered = self.exchange_with(cluster, action, levels).await;
        self.count_for_cluster(cluster, &answered);
        answered
    }

    /// Timeouts, then the route's changes, then path and host: Envoy's order.
    fn prepare_request(
        &mut self,
        matched: &Matched<'_>,
        action: &RouteAction,
        weighted: Option<&crate::config::route::WeightedCluster>,
        levels: Levels<'_>,
    ) {
        let request = &mut self.headers.request;
        let router = &self.connection.manager.router;
        let keep_original = !router.suppress_envoy_headers;
        let options = TimeoutHeaders {
            insert_expected: keep_original,
            respect_expected: router.respect_expected_rq_timeout,
        };
        for header in CONSUMED {
            request.remove(*header);
        }
        self.response_timeout = action::timeouts(action, request, options).global;
        if let Some(idle) = action.idle_timeout {
            self.deadlines.set_idle_timeout(Instant::now(), idle);
        }
        let info = &self.info;
        let response = &self.headers.response;
        levels.mutate_request(request, &mut |format, request, out| {
            Self::render(info, request, response, format, out);
        });
        rewrite::apply(action, weighted, &matched.route.matcher.path, request, keep_original);
        if matched.virtual_host.include_request_attempt_count {
            request.set(Known::XEnvoyAttemptCount, b"1");
        }
    }

    async fn exchange_with(
        &mut self,
        cluster: &Arc<Cluster>,
        action: &RouteAction,
        levels: Levels<'_>,
    ) -> Result<(), Failure> {
        let breaker = cluster.circuit_breakers.of(action.high_priority);
        let worker = &self.connection.worker;
        let pools = worker.pools.of(cluster);
        let chosen = pools.choose(&mut worker.rng.borrow_mut(), &Choice::default());
        let Some(pool) = chosen else {
            cluster.stats.upstream_cx_none_healthy().inc();
            return Err(LocalReply::no_healthy_upstream().into());
        };
        if matches!(action.host_rewrite, Some(HostRewrite::Auto)) && !pool.host.hostname.is_empty() {
            let hostname = pool.host.hostname.as_bytes();
            rewrite::set_host(hostname, action.append_x_forwarded_host, &mut self.headers.request, true);
        }
        let Some(_place) = breaker.try_request() else {
            cluster.stats.upstream_rq_pending_overflow().inc();
            return Err(LocalReply::no_connection(&AcquireError::Overflow).into());
        };
        if let Some(info) = &mut self.info.upstream {
            info.host = Some(stream_address(&pool.host));
            info.hostname = Arc::clone(&pool.host.hostname);
        }
        self.info.upstream_attempts = 1;
        let mut upstream = self.connect(&pool, action.high_priority).await?;
        let _active = pool.host.begin_request();
        let _counted = ActiveRequest::new(cluster);
        let result = self.converse(&pool, &mut upstream, levels).await;
        if let Err(Failure::Abort(flags, _)) = &result
            && flags.intersects(ResponseFlags::UC)
        {
            upstream.closed_by_host();
        }
        result
    }

    async fn connect(&mut self, pool: &Rc<HostPool>, high_priority: bool) -> Result<Upstream, Failure> {
        let http2 = match &pool.cluster.config.protocol {
            UpstreamProtocol::Http1(_) => false,
            UpstreamProtocol::Http2(_) => true,
            UpstreamProtocol::UseDownstream(..) => self.info.protocol == Some(Protocol::Http2),
        };
        let (upstream, local_address, protocol) = if http2 {
            let lease = match pool.stream() {
                Some(lease) => lease,
                None => self.wait_for(pool.acquire_stream(high_priority)).await?,
            };
            let local_address = lease.local_address();
            (Upstream::Http2(lease), local_address, Protocol::Http2)
        } else {
            let lease = match pool.idle() {
                Some(lease) => lease,
                None => self.wait_for(pool.acquire(high_priority)).await?,
            };
            let local_address = lease.local_address();
            (Upstream::Http1(lease), local_address, Protocol::Http11)
        };
        if let Some(info) = &mut self.info.upstream {
            info.local_address = local_address.map(Address::Ip);
            info.protocol = Some(protocol);
        }
        Ok(upstream)
    }

    /// Waits for a connection, and says what it means when there is none.
    async fn wait_for<T>(
        &mut self,
        acquired: impl Future<Output = Result<T, AcquireError>>,
    ) -> Result<T, Failure> {
        match self.until_done(acquired).await {
            Ok(Ok(lease)) => Ok(lease),
            Ok(Err(error)) => {
                if let (AcquireError::Connect(error), Some(upstream)) = (&error, &mut self.info.upstream) {
                    upstream.transport_failure_reason = Some(transport_failure(error).into());
                }
                Err(LocalReply::no_connection(&error).into())
            }
            Err(interrupt) => Err(self.interrupted(interrupt)),
        }
    }

    /// Sends the request and passes the response on.
    async fn converse(
        &mut self,
        pool: &HostPool,
        upstream: &mut Upstream,
        levels: Levels<'_>,
    ) -> Result<(), Failure> {
        let bodiless = self.down.request_is_complete() && !self.upgrade;
        upstream.send_headers(&self.headers.request, bodiless, self.upgrade);
        if bodiless {
            self.request_pump = Pump::ended();
            self.request_complete();
        }
        self.info.timing.upstream_tx_start = Some(self.started.elapsed());
        let head = match self.until(|this, cx| this.poll_response_head(pool, upstream, cx)).await {
            Ok(head) => head?,
            Err(interrupt) => {
                if interrupt == Interrupt::ResponseTimeout {
                    self.count_timeout(pool);
                }
                return Err(self.interrupted(interrupt));
            }
        };
        self.send_head(head, levels);
        if self.upgrade && head.status == 101 {
            return self.tunnel(upstream).await;
        }
        self.pass_response(pool, upstream, head).await
    }

    /// The request is complete: from here on the response's time runs.
    fn request_complete(&mut self) {
        let now = Instant::now();
        self.deadlines.request_complete(now, self.response_timeout);
        self.info.timing.downstream_rx_end = Some(now - self.started);
    }

    /// Moves the request until the head of the response is there.
    fn poll_response_head(
        &mut self,
        pool: &HostPool,
        upstream: &mut Upstream,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Result<ResponseHead, Failure>> {
        if let Poll::Ready(Err(failure)) = self.poll_request(upstream, cx) {
            return Poll::Ready(Err(failure));
        }
        upstream.poll_head(cx, &mut self.headers.response).map_err(|error| {
            note_fault(error, upstream, pool);
            LocalReply::broken_upstream(error).into()
        })
    }

    /// Moves the request. An upstream that does not take it any more may have answered already, so that is no
    /// failure here.
    fn poll_request(
        &mut self,
        upstream: &mut Upstream,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        if self.upgrade {
            // Until the upgrade is answered, what the client sends waits: it may turn out to be a request.
            return match crate::codec::MessageStream::poll_flush(upstream, cx) {
                Poll::Ready(_) => Poll::Ready(Ok(())),
                Poll::Pending => Poll::Pending,
            };
        }
        let before = (self.request_pump.bytes, self.request_pump.is_ended());
        let polled = self.request_pump.poll(self.down, upstream, cx);
        if before != (self.request_pump.bytes, self.request_pump.is_ended()) {
            self.deadlines.touch(Instant::now());
            if self.request_pump.is_ended() {
                self.request_complete();
            }
        }
        match polled {
            Poll::Ready(Err(PumpError::Source(error))) => Poll::Ready(Err(self.bad_request(error))),
            Poll::Ready(Err(PumpError::Sink(_)) | Ok(())) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn send_head(&mut self, head: ResponseHead, levels: Levels<'_>) {
        let now = Instant::now();
        self.deadlines.touch(now);
        let since_start = now - self.started;
        self.info.timing.upstream_rx_start = Some(since_start);
        self.info.response_code = head.status;
        self.info.response_code_details = std::borrow::Cow::Borrowed("via_upstream");
        let waited = since_start.saturating_sub(self.info.timing.downstream_rx_end.unwrap_or(since_start));
        let request = &self.headers.request;
        let response = &mut self.headers.response;
        let mut buffer = itoa::Buffer::new();
        // Envoy does not tell it of a response that overtakes its request.
        let overtakes = self.info.timing.downstream_rx_end.is_none();
        if !self.connection.manager.router.suppress_envoy_headers && !overtakes {
            let millis = buffer.format(waited.as_millis() as u64).as_bytes();
            response.set(Known::XEnvoyUpstreamServiceTime, millis);
        }
        let info = &self.info;
        levels.mutate_response(response, &mut |format, response, out| {
            Self::render(info, request, response, format, out);
        });
        self.start_response(head.status, head.end, self.upgrade && head.status == 101);
    }

    /// Passes the response's body on, and what is left of the request's.
    async fn pass_response(
        &mut self,
        pool: &HostPool,
        upstream: &mut Upstream,
        head: ResponseHead,
    ) -> Result<(), Failure> {
        let mut pump = if head.end { Pump::ended() } else { Pump::default() };
        let passed = self
            .until(|this, cx| {
                if !this.request_pump.is_ended()
                    && let Poll::Ready(Err(failure)) = this.poll_request(upstream, cx)
                {
                    return Poll::Ready(Err(failure));
                }
                let before = pump.bytes;
                let polled = pump.poll(upstream, this.down, cx);
                if pump.bytes != before {
                    this.deadlines.touch(Instant::now());
                }
                polled.map_err(|error| this.response_failure(error, pool, upstream))
            })
            .await;
        self.info.bytes_sent = pump.bytes;
        self.info.timing.upstream_rx_end = Some(self.started.elapsed());
        match passed {
            Ok(result) => result,
            Err(interrupt) => {
                if interrupt == Interrupt::ResponseTimeout {
                    self.count_timeout(pool);
                }
                Err(self.interrupted(interrupt))
            }
        }
    }

    /// Passes bytes both ways, until one side ends.
    async fn tunnel(&mut self, upstream: &mut Upstream) -> Result<(), Failure> {
        let stats = self.connection.manager.stats.clone();
        stats.downstream_cx_upgrades_total().inc();
        stats.downstream_cx_upgrades_active().inc();
        let mut up = Pump::default();
        let mut down = Pump::default();
        let passed = self
            .until(|this, cx| {
                let before = (up.bytes, down.bytes);
                let sent = up.poll(this.down, upstream, cx);
                let received = down.poll(upstream, this.down, cx);
                if before != (up.bytes, down.bytes) {
                    this.deadlines.touch(Instant::now());
                }
                match (sent, received) {
                    (Poll::Ready(_), _) => Poll::Ready(client_gone()),
                    (_, Poll::Ready(_)) => Poll::Ready(host_gone()),
                    (Poll::Pending, Poll::Pending) => Poll::Pending,
                }
            })
            .await;
        self.request_pump = up;
        self.info.bytes_sent = down.bytes;
        stats.downstream_cx_upgrades_active().dec();
        Err(passed.unwrap_or_else(|interrupt| self.interrupted(interrupt)))
    }

    fn response_failure(&self, error: PumpError, pool: &HostPool, upstream: &mut Upstream) -> Failure {
        match error {
            PumpError::Source(error) => {
                note_fault(error, upstream, pool);
                let (flags, details) = broken_response(error);
                Failure::Abort(flags, details)
            }
            PumpError::Sink(_) => Failure::Abort(ResponseFlags::DC, "downstream_remote_disconnect"),
        }
    }

    fn count_timeout(&self, pool: &HostPool) {
        pool.cluster.stats.upstream_rq_timeout().inc();
        pool.host.stats.rq_timeout.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the response, or its failure, for the cluster.
    fn count_for_cluster(&self, cluster: &Cluster, answered: &Result<(), Failure>) {
        let status = match answered {
            Ok(()) | Err(Failure::Abort(..)) => self.info.response_code,
            Err(Failure::Reply(reply)) if reply.of_cluster => reply.status,
            Err(Failure::Reply(_)) => return,
        };
        if status == 0 {
            return;
        }
        count_response(cluster, status, self.internal);
        let elapsed = self.started.elapsed().as_millis() as u64;
        if answered.is_ok() {
            cluster.stats.upstream_rq_time().record(elapsed);
            let by_origin = if self.internal {
                cluster.stats.internal_upstream_rq_time()
            } else {
                cluster.stats.external_upstream_rq_time()
            };
            by_origin.record(elapsed);
        }
    }
}

/// Counts a response in all its codes' statistics.
fn count_response(cluster: &Cluster, status: u16, internal: bool) {
    cluster.stats.upstream_rq().inc(status);
    if internal {
        cluster.stats.internal_upstream_rq().inc(status);
    } else {
        cluster.stats.external_upstream_rq().inc(status);
    }
}

fn upstream_info(cluster: &Cluster) -> UpstreamInfo {
    UpstreamInfo {
        cluster: Arc::clone(&cluster.name),
        cluster_observability_name: None,
        host: None,
        hostname: Arc::default(),
        local_address: None,
        protocol: None,
        connection_id: None,
        transport_failure_reason: None,
        local_close_reason: None,
        pool_ready: None,
        requests_on_connection: 0,
    }
}

fn stream_address(host: &Host) -> Address {
    match &host.address {
        crate::config::address::Address::Ip(address) => Address::Ip(*address),
        _ => Address::Pipe(Arc::clone(&host.address_text)),
    }
}

/// Counts what an upstream stream broke by.
fn note_fault(error: StreamError, upstream: &mut Upstream, pool: &HostPool) {
    let stats = &pool.cluster.stats;
    match error {
        StreamError::Closed => upstream.closed_by_host(),
        StreamError::Protocol(_) => {
            stats.upstream_cx_protocol_error().inc();
            upstream.broke_protocol();
        }
        StreamError::Reset(_) | StreamError::Refused => stats.upstream_rq_rx_reset().inc(),
    }
}

/// The host ended a tunnel.
fn host_gone() -> Failure {
    let (flags, details) = broken_response(StreamError::Closed);
    Failure::Abort(flags, details)
}

/// Counts a request as active in its cluster until it is dropped.
struct ActiveRequest<'a>(&'a Cluster);

impl<'a> ActiveRequest<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        cluster.stats.upstream_rq_total().inc();
        cluster.stats.upstream_rq_active().inc();
        ActiveRequest(cluster)
    }
}

impl Drop for ActiveRequest<'_> {
    fn drop(&mut self) {
        self.0.stats.upstream_rq_active().dec();
    }
}
