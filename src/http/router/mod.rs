//! Forwarding: from a route to a host. `envoy.extensions.filters.http.router.v3.Router`
//!
//! - `hashing`: what always goes to the same host;
//! - `host_name`: the wait for the address of a host that the request names; `original_dst`: the address that it
//!   names itself;
//! - `names`: what TLS is told of the host that a request goes to;
//! - `mirror`: copies for other clusters; `shadow`: one of them on its way, `filtered_copy`: through filters,
//!   `copy_log`: its lines in logs;
//! - `call`: requests of filters' own; `call_tries`: how often they are made; `filtered_call`: one of them through filters;
//! - `connect`: a connection to the host, `connecting`: one that is made while filters see the request;
//! - `sending`: the request on its way there; `transfer`: its response on the way back; `tunnel`: bytes both ways;
//! - `strict`: what clients ask of the router, checked; `refusals`: requests that their cluster does not take;
//! - `internal_redirect`: another request after a response that points to where;
//! - `retry`: another attempt after one that failed; `tries`: whether there is one; `another`: how that comes about; `hedge`, `aside`: one beside another;
//! - `upstream_log`: lines about requests to hosts;
//! - `tracked`: statistics that clusters keep only where they are asked for;
//! - `accounting`: what the cluster's statistics say of it, `beside`: those of zones and canaries; `passive`: what
//!   outlier detection hears of it.

mod accounting;
mod alternate;
mod another;
mod aside;
mod balance;
mod beside;
mod call;
mod call_tries;
mod connect;
mod connecting;
mod copy_log;
mod fate;
mod filtered_call;
mod filtered_copy;
mod foresee;
mod hashing;
mod hedge;
mod host_name;
mod internal_redirect;
mod mirror;
mod names;
mod original_dst;
mod override_host;
mod passive;
mod refusals;
mod retry;
mod sending;
mod shadow;
mod strict;
mod subset;
mod tracked;
mod transfer;
mod tried_priorities;
mod tries;
mod tunnel;
mod upstream_log;

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use tokio::time::Instant;

use crate::base::headers::Known;
use crate::config::route::{HostRewrite, RouteAction, WeightedCluster};
use crate::route::mutation::Levels;
use crate::route::rewrite::Renderers;
use crate::route::timeouts::{self, TimeoutHeaders};
use crate::route::{Matched, rewrite};
use crate::upstream::Cluster;
use crate::upstream::filters::Kept;
use crate::upstream::outlier::Report;
use crate::upstream::pool::{AcquireError, HostPool};

use super::downstream::Downstream;
use super::exchange::{Exchange, Failure};
use super::hosted::Hosted;
use super::local_reply::LocalReply;
use super::render::{render, render_or_dash};

use retry::Attempts;
use tracked::Tracked;

pub(crate) use accounting::InProgress;
pub(super) use accounting::count_response;
pub(super) use call::{Answer, Call, CallError};
pub(super) use connect::{acquire, idle};
pub(crate) use connect::{stream_address, upstream_info};
pub(super) use connecting::Connecting;
pub(super) use mirror::Mirror;
pub(crate) use original_dst::{destination, restored};
pub(crate) use subset::criteria;
pub(super) use upstream_log::UpstreamEntry;

/// What a client may ask of the router; it is not for the host.
const CONSUMED: &[Known] = &[
    Known::XEnvoyHedgeOnPerTryTimeout,
    Known::XEnvoyUpstreamRqTimeoutAltResponse,
    Known::XEnvoyUpstreamStreamDurationMs,
];

impl<'c, D: Downstream> Exchange<'c, D> {
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
        self.note_alternate();
        let groups = self.groups(matched);
        let levels = Levels::new(matched, weighted).counted(groups.as_ref());
        strict::check(&self.headers.request, &self.router.strict_check_headers)?;
        if let Err(dropped) = self.maintenance(cluster).and_then(|()| self.drop_overload(cluster)) {
            let dropped = Err(dropped.into());
            self.count_for_cluster(cluster, levels, &dropped);
            return dropped;
        }
        self.info.upstream_attempts = 1;
        // The times of attempts stay the route's, as in Envoy.
        let retry_policy =
            cluster.config.http.policies.retry_policy.as_deref().or(action.retry_policy.as_ref());
        self.prepare_request(
            matched,
            action,
            weighted,
            levels,
            cluster.config.transport_sockets.default.tls.is_some(),
        );
        // A time that is over from the beginning is over before a host could be quicker.
        if let Some(interrupt) = self.deadlines.passed(self.started) {
            return Err(self.interrupted(interrupt));
        }
        self.transport_options = names::options(cluster, &self.headers.request, self.info.notes());
        // What follows an upgrade in HTTP/1.1 is no part of its request.
        if self.down.request_is_complete() && (D::MULTIPLEXED || !self.asks_tunnel()) {
            self.request_read();
        } else if self.upgrade {
            self.deadlines.upgrade_asked(Instant::now(), self.timeouts);
        }
        // What came with the head is there now; nobody has to be asked for it.
        poll_fn(|cx| Poll::Ready(self.check_early(cx))).await?;
        let kept = Kept::new();
        let attempts = self.begin_attempts(retry_policy, action, levels);
        self.exchange_with((&kept, cluster), action, levels, attempts).await
    }

    /// Timeouts, then the route's changes, then path and host: Envoy's order. `encrypted` says that the host is spoken to
    /// over TLS.
    fn prepare_request(
        &mut self,
        matched: &Matched<'_>,
        action: &RouteAction,
        weighted: Option<&WeightedCluster>,
        levels: Levels<'_>,
        encrypted: bool,
    ) {
        self.tell_scheme(encrypted);
        let request = &mut self.headers.request;
        let router = self.router;
        let keep_original = !router.suppress_envoy_headers;
        self.hedges = timeouts::hedges(action, request);
        let options = TimeoutHeaders::of(router, self.hedges);
        self.late_status = timeouts::late_status(request);
        for header in CONSUMED {
            request.remove(*header);
        }
        if let Some(max) = &action.max_stream_duration {
            let default = self.connection.manager.options.common.max_stream_duration;
            let duration = timeouts::stream_duration(max, request, default);
            self.deadlines.set_max_duration(duration.map(|duration| self.started + duration));
        }
        self.timeouts = timeouts::timeouts(action, request, options);
        if let Some(idle) = action.idle_timeout {
            self.deadlines.set_idle_timeout(Instant::now(), idle);
        }
        levels.tell_host_attempts(request, 1);
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
    }

    /// Tells the host whether it is spoken to over TLS, where that is asked for.
    fn tell_scheme(&mut self, encrypted: bool) {
        if self.connection.manager.options.scheme_header_transformation.match_upstream {
            self.headers.request.set(Known::Scheme, if encrypted { b"https" } else { b"http" });
        }
    }

    /// The request to hosts of the cluster, until one answers well or it is not tried again.
    async fn exchange_with<'p>(
        &mut self,
        (mut kept, mut cluster): (&'p Kept, &'p Arc<Cluster>),
        action: &'p RouteAction,
        mut levels: Levels<'p>,
        mut attempts: Option<Box<Attempts<'p>>>,
    ) -> Result<(), Failure>
    where
        'c: 'p,
    {
        loop {
            let mut answered = self.attempt(kept, cluster, action, levels, &mut attempts).await;
            if let Some((attempts, pause)) = Attempts::next(&mut attempts) {
                // Boxed, so that requests that are not tried again have no room for it.
                let prepared = Box::pin(self.prepare_retry(pause, attempts, cluster, action, levels)).await;
                match prepared {
                    Ok((renewed, member)) => {
                        (kept, cluster) = kept.follow(renewed);
                        if let Some(member) = member {
                            levels = levels.at_member(member);
                            attempts.levels = levels;
                        }
                        continue;
                    }
                    Err(failure) => answered = Err(failure),
                }
            }
            if attempts.as_ref().is_some_and(|attempts| attempts.has_asides()) {
                let settled = Box::pin(self.settle_asides(&mut attempts, answered, action, levels)).await;
                answered = settled.1;
                let charged = settled.0.as_ref().unwrap_or(cluster);
                self.count_for_cluster(charged, levels, &answered);
            } else {
                self.count_for_cluster(cluster, levels, &answered);
            }
            return answered.map_err(|failure| self.last_failure(failure));
        }
    }

    fn last_failure(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Reply(reply) if self.info.upstream_attempts > 1 => reply.after_retries().into(),
            failure => failure,
        }
    }

    /// The request to a host that is chosen for it, and its response.
    async fn attempt<'p>(
        &mut self,
        kept: &'p Kept,
        cluster: &'p Arc<Cluster>,
        action: &RouteAction,
        levels: Levels<'p>,
        attempts: &mut Option<Box<Attempts<'p>>>,
    ) -> Result<(), Failure>
    where
        'c: 'p,
    {
        if let Some(cache) = cluster.dns_cache() {
            // Boxed, so that requests to other clusters have no room for it.
            Box::pin(self.await_host(cluster, cache)).await?;
        }
        let chosen = self.choose_host(cluster, action, levels, attempts);
        self.note_beside(chosen.as_ref());
        let Some(pool) = chosen else {
            cluster.stats.upstream_cx_none_healthy().inc();
            return Err(LocalReply::no_healthy_upstream().into());
        };
        self.begin_upstream_log();
        let tracked = Tracked::new(cluster);
        let hosted = self.begin_hosted(cluster, kept, levels);
        let answered = self.try_host(&pool, action, levels, attempts, hosted).await;
        if let Some(aside) = attempts.as_mut().and_then(|attempts| attempts.just_set_aside()) {
            aside.tracked = tracked;
            return answered;
        }
        self.end_upstream_log(&answered);
        if let Err(failure) = &answered {
            self.forgive(attempts, cluster, action, failure);
        }
        let goes_on = attempts.as_ref().is_some_and(|attempts| attempts.has_next());
        if let Some(tracked) = tracked {
            self.record_attempt(cluster, &tracked, &answered, goes_on);
        }
        if goes_on {
            pool.host.stats.count_response(false);
        } else {
            self.count_for_host(&pool.host, &answered);
        }
        match self.leaves_to_others(attempts, cluster, &answered) {
            true => Err(Failure::GaveWay),
            false => answered,
        }
    }

    /// The host that load balancing chooses for an attempt; `None` when none can be used.
    fn choose_host(
        &mut self,
        cluster: &Arc<Cluster>,
        action: &RouteAction,
        levels: Levels<'_>,
        attempts: &mut Option<Box<Attempts<'_>>>,
    ) -> Option<Rc<HostPool>> {
        let pool = self.balance(cluster, action, levels, attempts)?;
        let tells = self.connection.manager.options.tells_hosts_of_clients;
        let pool = pool.for_client(
            self.transport_options.as_ref(),
            &self.info.connection,
            tells,
            action.high_priority,
        );
        if pool.cluster.config.preconnect.foresees() {
            self.foresee(&pool, action);
        }
        if pool.cluster.has_socket_matches() {
            self.tell_scheme(pool.cluster.is_encrypted(&pool.host));
        }
        let noted = cluster.config.lb.override_host.as_ref();
        if let Some(path) = noted.and_then(|config| config.selected_host_key.as_ref()) {
            override_host::note(path, &pool.host.address_text, self.info.notes_mut());
        }
        if self.info.upstream_attempts > 1 {
            self.forget_host(cluster);
        } else if let policies = mirror::policies(cluster, action)
            && !policies.is_empty()
        {
            self.begin_mirrors(policies, levels.body_limit());
        }
        if matches!(action.host_rewrite, Some(HostRewrite::Auto)) && !pool.host.hostname.is_empty() {
            let hostname = pool.host.hostname.as_bytes();
            rewrite::set_host(hostname, action.append_x_forwarded_host, &mut self.headers.request, true);
        }
        if let Some(info) = &mut self.info.upstream {
            info.host = Some(stream_address(&pool.host));
            info.hostname = Arc::clone(&pool.host.hostname);
            info.host_metadata = pool.host.metadata();
            info.locality_metadata = pool.host.locality_metadata();
            info.locality = connect::locality(&pool.host);
        }
        Some(pool)
    }

    /// The request to this host, and its response, unless that is declined for another attempt.
    async fn try_host<'p>(
        &mut self,
        pool: &Rc<HostPool>,
        action: &RouteAction,
        levels: Levels<'_>,
        attempts: &mut Option<Box<Attempts<'p>>>,
        hosted: Option<Box<Hosted<'p>>>,
    ) -> Result<(), Failure> {
        let mut upstream = self.connect(pool, action, levels, hosted, attempts).await?;
        // A request counts once it has a connection; until then it is a pending one.
        let Some(place) = pool.cluster.circuit_breakers.of(action.high_priority).try_request() else {
            pool.cluster.stats.upstream_rq_active_overflow().inc();
            return Err(LocalReply::no_connection(&AcquireError::Overflow).into());
        };
        passive::report(&self.connection.worker, pool, || Report::Connected);
        let counted = InProgress::new(pool);
        levels.groups().for_each(|group| group.upstream_rq_total().inc());
        self.inject_trace();
        self.log_pool_ready();
        let result = self.converse(pool, &mut upstream, action, levels, attempts, None).await;
        match attempts {
            Some(attempts) if attempts.sets_aside => {
                self.set_aside(attempts, pool, upstream, (place, counted))
            }
            _ => self.note_end_of_stream(&mut upstream, &result),
        }
        result
    }
}
