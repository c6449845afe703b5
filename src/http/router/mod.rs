//! Forwarding: from a route to a host. `envoy.extensions.filters.http.router.v3.Router`
//!
//! - `connect`: a connection to the host; `transfer`: the two messages between the two streams;
//! - `strict`: what clients ask of the router, checked;
//! - `accounting`: what the cluster's statistics say of it.

mod accounting;
mod connect;
mod strict;
mod transfer;

use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use crate::base::headers::Known;
use crate::config::route::{HostRewrite, RouteAction, WeightedCluster};
use crate::observability::stream_info::ResponseFlags;
use crate::route::action::{self, TimeoutHeaders};
use crate::route::mutation::Levels;
use crate::route::rewrite::Renderers;
use crate::route::{Matched, rewrite};
use crate::upstream::pool::{AcquireError, HostPool};
use crate::upstream::{Cluster, lb};

use super::downstream::Downstream;
use super::exchange::{Exchange, Failure};
use super::local_reply::LocalReply;
use super::render::{render, render_or_dash};

use accounting::ActiveRequest;
use connect::stream_address;

pub(super) use connect::upstream_info;

/// What the share of dropped requests is counted of.
const MILLION: u64 = 1_000_000;

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
        matched: &Matched<'_>,
        action: &RouteAction,
        cluster: Option<&Arc<Cluster>>,
        weighted: Option<&WeightedCluster>,
    ) -> Result<(), Failure> {
        let Some(cluster) = cluster else {
            self.connection.manager.router_stats.no_cluster().inc();
            return Err(LocalReply::cluster_not_found(action.cluster_not_found_response_code).into());
        };
        self.check_upgrade(&action.upgrade_configs)?;
        strict::check(&self.headers.request, &self.connection.manager.router.strict_check_headers)?;
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
        weighted: Option<&WeightedCluster>,
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
        if self.connection.manager.options.scheme_header_transformation.match_upstream {
            // Connections to hosts are plain.
            request.set(Known::Scheme, b"http");
        }
        if let Some(max) = &action.max_stream_duration {
            let default = self.connection.manager.options.max_stream_duration;
            let duration = action::stream_duration(max, request, default);
            self.deadlines.set_max_duration(duration.map(|duration| self.started + duration));
        }
        self.timeouts = action::timeouts(action, request, options);
        if let Some(idle) = action.idle_timeout {
            self.deadlines.set_idle_timeout(Instant::now(), idle);
        }
        let info = &self.info;
        let response = &self.headers.response;
        levels.mutate_request(request, &mut |format, request, out| {
            render(info, request, response, format, out);
        });
        let renderers = Renderers {
            path: &mut |format, request, out| render(info, request, response, format, out),
            host: &mut |format, request, out| render_or_dash(info, request, response, format, out),
        };
        rewrite::apply(action, weighted, &matched.route.matcher.path, request, keep_original, renderers);
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
        let worker = &self.connection.worker;
        let pools = worker.pools.of(cluster);
        let dropped = cluster.drop_overload();
        if dropped > 0 && worker.rng.borrow_mut().below(MILLION) < dropped.into() {
            return Err(LocalReply::drop_overload(u64::from(dropped) == MILLION).into());
        }
        self.info.upstream_attempts = 1;
        let chosen = pools.choose(&mut worker.rng.borrow_mut(), &lb::Choice::default());
        let Some(pool) = chosen else {
            cluster.stats.upstream_cx_none_healthy().inc();
            return Err(LocalReply::no_healthy_upstream().into());
        };
        if matches!(action.host_rewrite, Some(HostRewrite::Auto)) && !pool.host.hostname.is_empty() {
            let hostname = pool.host.hostname.as_bytes();
            rewrite::set_host(hostname, action.append_x_forwarded_host, &mut self.headers.request, true);
        }
        if let Some(info) = &mut self.info.upstream {
            info.host = Some(stream_address(&pool.host));
            info.hostname = Arc::clone(&pool.host.hostname);
        }
        let answered = self.attempt(&pool, cluster, action, levels).await;
        self.count_for_host(&pool.host, &answered);
        answered
    }

    /// The request to this host, and its response.
    async fn attempt(
        &mut self,
        pool: &Rc<HostPool>,
        cluster: &Cluster,
        action: &RouteAction,
        levels: Levels<'_>,
    ) -> Result<(), Failure> {
        let mut upstream = self.connect(pool, action.high_priority).await?;
        // A request counts once it has a connection; until then it is a pending one.
        let Some(_place) = cluster.circuit_breakers.of(action.high_priority).try_request() else {
            cluster.stats.upstream_rq_active_overflow().inc();
            return Err(LocalReply::no_connection(&AcquireError::Overflow).into());
        };
        let _active = pool.host.begin_request();
        let _counted = ActiveRequest::new(cluster);
        let result = self.converse(pool, &mut upstream, levels).await;
        self.info.upstream_wire = upstream.wire();
        if let Err(Failure::Abort(flags, _)) = &result
            && flags.intersects(ResponseFlags::UC)
        {
            upstream.closed_by_host();
        }
        result
    }
}
