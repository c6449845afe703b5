//! The wait between two attempts, and what a request that is tried again becomes.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::sleep;

use crate::base::headers::Known;
use crate::codec::h2::Sink;
use crate::config::route::{ClusterSpecifier, RouteAction, WeightedCluster};
use crate::config::runtime::Values;
use crate::http::deadlines::Interrupt;
use crate::http::downstream::Downstream;
use crate::http::exchange::{Exchange, Failure};
use crate::http::local_reply::LocalReply;
use crate::http::subject::subject;
use crate::observability::attributes::StreamAttributes;
use crate::observability::stream_info::Timing;
use crate::route::cluster::{self, Choice};
use crate::route::mutation::Levels;
use crate::route::retry::Pause;
use crate::route::timeouts::{self, TimeoutHeaders};
use crate::upstream::Cluster;
use crate::upstream::pool::HostPool;

use super::connect::upstream_info;
use super::retry::Attempts;
use super::tries::count_retry;

impl<D: Downstream> Exchange<'_, D> {
    /// Waits for the next attempt, and makes the request ready for it.
    ///
    /// Gives its cluster and, where another member of weighted clusters was chosen, that.
    pub(super) async fn prepare_retry<'p>(
        &mut self,
        pause: Pause,
        attempts: &mut Attempts<'_>,
        cluster: &Cluster,
        action: &'p RouteAction,
        levels: Levels<'_>,
    ) -> Result<(Arc<Cluster>, Option<&'p WeightedCluster>), Failure> {
        self.deadlines.attempt_over();
        let metadata = self.down.metadata();
        if let Some(metadata) = metadata.as_ref().filter(|_| !attempts.has_asides()) {
            // As in Envoy what comes while there is no attempt is for none.
            metadata.lead_to(Sink::Nowhere);
        }
        let duration = attempts.tries.retries.duration(pause, &mut self.connection.worker.rng.borrow_mut());
        if !duration.is_zero() {
            self.wait_to_retry(duration, attempts, cluster, levels).await?;
        }
        if let Some(metadata) = metadata {
            metadata.hold();
        }
        levels.groups().for_each(|group| group.upstream_rq_retry().inc());
        self.info.upstream_attempts += 1;
        self.headers.response.clear();
        if let Some(replay) = &mut self.replay {
            replay.rewind();
        }
        // It may have been taken away meanwhile, or replaced.
        let snapshot = self.connection.worker.snapshot();
        let refreshed = self.refreshed(attempts, action, levels, &snapshot.runtime);
        let name = refreshed.as_ref().map_or(&*cluster.name, |refreshed| &*refreshed.cluster);
        let again = snapshot.clusters.get(name).cloned();
        match (&again, &refreshed) {
            (Some(again), _) => count_retry(&again.stats, pause),
            (None, None) => count_retry(&cluster.stats, pause),
            // As in Envoy it is counted nowhere, and logs tell of no cluster.
            (None, Some(_)) => self.info.upstream = None,
        }
        self.tell_of_retry(attempts, action, levels);
        let again = again.ok_or_else(LocalReply::no_healthy_upstream)?;
        Ok((again, refreshed.and_then(|refreshed| refreshed.weighted)))
    }

    /// The cluster that is chosen for a retry; `None` when it is the one before.
    fn refreshed<'p>(
        &self,
        attempts: &mut Attempts<'_>,
        action: &'p RouteAction,
        levels: Levels<'_>,
        runtime: &Values,
    ) -> Option<Choice<'p>> {
        if !attempts.tries.retries.policy().refresh_cluster_on_retry {
            return None;
        }
        let attributes = StreamAttributes::of_request(&self.headers.request, &self.info);
        let request = subject(&self.headers.request, &self.info, Some(&attributes), runtime);
        let number = self.cluster_number;
        let cluster = match &action.cluster {
            // As in Envoy a tree that leads nowhere leaves it where it was.
            ClusterSpecifier::Matcher(tree) => tree.find(&request)?.as_str().into(),
            ClusterSpecifier::Groups(groups) => {
                let before = self.info.upstream_attempts.saturating_sub(1) as usize;
                groups.choose(before, number, request.notes)
            }
            ClusterSpecifier::Weighted(clusters) => {
                if attempts.members.is_empty() {
                    attempts.members.extend(levels.place_in(clusters));
                }
                return cluster::another(clusters, &mut attempts.members, number, &request);
            }
            ClusterSpecifier::Cluster(_) | ClusterSpecifier::Header(_) => return None,
        };
        Some(Choice { cluster, weighted: None, number })
    }

    /// Waits, and takes what comes of the request's body meanwhile.
    async fn wait_to_retry(
        &mut self,
        pause: Duration,
        attempts: &mut Attempts<'_>,
        cluster: &Cluster,
        levels: Levels<'_>,
    ) -> Result<(), Failure> {
        let mut pause = Box::pin(sleep(pause));
        let waited = self
            .until(|this, cx| match this.poll_kept(cluster, levels, cx) {
                Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
                _ => match pause.as_mut().poll(cx) {
                    Poll::Pending => this.poll_asides(attempts, true, cx).map(Err),
                    Poll::Ready(()) => Poll::Ready(Ok(())),
                },
            })
            .await;
        waited.unwrap_or_else(|interrupt| {
            self.interrupt_asides(attempts, interrupt);
            Err(self.interrupted_between(interrupt))
        })
    }

    /// What an interrupt comes to for which no host is at fault, or each that is asked was told.
    pub(super) fn interrupted_between(&self, interrupt: Interrupt) -> Failure {
        match self.interrupted(interrupt) {
            Failure::Reply(reply) => LocalReply { of_cluster: false, ..*reply }.into(),
            failure => failure,
        }
    }

    /// Ready when the request is complete, or cannot be kept any more.
    fn poll_kept(
        &mut self,
        cluster: &Cluster,
        levels: Levels<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        if self.replay.is_none() || self.down.request_is_complete() {
            return Poll::Ready(Ok(()));
        }
        let polled = self.keep_request(levels, cx);
        if self.has_excess() {
            cluster.stats.retry_or_shadow_abandoned().inc();
            let reply = LocalReply { close: !D::MULTIPLEXED, ..LocalReply::retry_buffer_exceeded() };
            return Poll::Ready(Err(reply.into()));
        }
        match polled {
            Poll::Ready(Ok(())) => {
                self.request_read();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.bad_request(error))),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Counts it when more came of the request than may be kept: it is not tried again then.
    pub(super) fn note_excess(&mut self, pool: &HostPool) {
        if self.has_excess() {
            self.charged(pool).stats.retry_or_shadow_abandoned().inc();
        }
    }

    fn has_excess(&mut self) -> bool {
        self.replay.as_mut().is_some_and(|replay| replay.take_excess())
    }

    /// What a retry tells the host of itself, and forgets of the host before.
    fn tell_of_retry(&mut self, attempts: &Attempts<'_>, action: &RouteAction, levels: Levels<'_>) {
        let (read, now) = (self.info.timing.downstream_rx_end, self.started.elapsed());
        let elapsed = read.map_or(Duration::ZERO, |read| now.saturating_sub(read));
        let request = &mut self.headers.request;
        levels.tell_host_attempts(request, self.info.upstream_attempts);
        if levels.tells_timeout_retries() {
            let value: &[u8] = if attempts.timed_out { b"true" } else { b"false" };
            request.set(Known::XEnvoyIsTimeoutRetry, value);
        }
        let options = TimeoutHeaders::of(self.router, self.hedges);
        timeouts::tell_timeout(action, request, self.timeouts, elapsed, options);
    }

    /// Forgets the host of the attempt before, but for what is logged of it.
    pub(super) fn forget_host(&mut self, cluster: &Cluster) {
        self.info.upstream = Some(upstream_info(cluster));
        self.info.begin_upstream_wire();
        let timing = &mut self.info.timing;
        *timing = Timing {
            downstream_rx_end: timing.downstream_rx_end,
            downstream_tx_start: timing.downstream_tx_start,
            ..Timing::default()
        };
    }
}
