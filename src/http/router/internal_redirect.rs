//! Redirects of hosts that are followed here (`RouteAction.internal_redirect_policy`): the request becomes one for where
//! the response points to, and begins anew as an exchange of its own. A redirect that cannot be followed is passed on.

use std::borrow::Cow;
use std::sync::Arc;

use crate::base::headers::{Headers, Known};
use crate::config::route::{InternalRedirectPolicy, RouteAction};
use crate::config::runtime::Draw;
use crate::http::downstream::Downstream;
use crate::http::exchange::Exchange;
use crate::observability::stream_info::UpstreamInfo;
use crate::route::internal_redirect::{Hop, Location, becomes_get, redirect, tell_original};
use crate::upstream::Cluster;

impl<D: Downstream> Exchange<'_, D> {
    /// Whether the response is a redirect that is followed. The request's headers are those of the next exchange then.
    pub(super) fn follows_redirect(&mut self, action: &RouteAction, cluster: &Cluster, status: u16) -> bool {
        let Some(policy) = &action.internal_redirect_policy else { return false };
        if !policy.response_codes.contains(&status) {
            return false;
        }
        let follows = self.can_be_sent_again() && self.turn(policy, status);
        if follows {
            cluster.stats.upstream_internal_redirect_succeeded_total().inc();
            self.info.response_code = status;
            self.info.response_code_details = Cow::Borrowed("internal_redirect");
        } else {
            cluster.stats.upstream_internal_redirect_failed_total().inc();
        }
        follows
    }

    /// Whether all of the request has come, and is still there.
    fn can_be_sent_again(&self) -> bool {
        self.request_pump.is_ended() && !self.replay.as_ref().is_some_and(|replay| replay.is_released())
    }

    /// Makes the request one for where the response points to. If that is refused, it stays as it was.
    fn turn(&mut self, policy: &InternalRedirectPolicy, status: u16) -> bool {
        let Some(location) = self.headers.response.get(Known::Location) else { return false };
        let stats = &self.connection.manager.router_stats;
        let Some(location) = Location::parse(location) else {
            stats.passthrough_internal_redirect_bad_location().inc();
            return false;
        };
        if !policy.allow_cross_scheme_redirect && location.is_http() == self.info.connection.encrypted {
            stats.passthrough_internal_redirect_unsafe_scheme().inc();
            return false;
        }
        let followed = self.redirects.as_ref().map_or(0, |redirects| redirects.followed);
        if followed >= policy.max_internal_redirects {
            stats.passthrough_internal_redirect_too_many_redirects().inc();
            return false;
        }
        let before = self.headers.request.clone();
        redirect(policy, &location, &mut self.headers.request, &self.headers.response);
        let to_tls = !location.is_http();
        if !self.is_accepted(policy, to_tls) {
            self.headers.request = before;
            return false;
        }
        self.take_turn(status, &before);
        true
    }

    /// Whether there is a route for the request as it is now, and the policy accepts it.
    fn is_accepted(&mut self, policy: &InternalRedirectPolicy, to_tls: bool) -> bool {
        let connection = self.connection;
        let stats = &connection.manager.router_stats;
        let snapshot = connection.worker.snapshot();
        let draw = Draw { random: connection.worker.random(), runtime: &snapshot.runtime };
        let table = connection.manager.table(&snapshot, &self.headers.request);
        let (from, asked) = (self.info.route_name.take(), self.info.upstream.take());
        let nowhere = matches!(self.find_route(table, &snapshot, draw), Err(None));
        // As in Envoy logs tell of the route that was found last, and of the host that was asked.
        self.info.upstream = asked.map(|asked| of_other_cluster(asked, self.info.upstream.take()));
        if nowhere {
            stats.passthrough_internal_redirect_no_route().inc();
            return false;
        }
        let (from, to) = (from.as_deref(), self.info.route_name.as_deref());
        let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
        let hop = Hop { from, to, from_tls: connection.info.encrypted, to_tls };
        let notes = self.info.notes();
        let accepted = self.redirects.get_or_insert_default().accept(policy, hop, notes);
        if !accepted {
            stats.passthrough_internal_redirect_predicate().inc();
        }
        accepted
    }

    fn take_turn(&mut self, status: u16, before: &Headers) {
        let request = &mut self.headers.request;
        if becomes_get(status, request) {
            self.replay = None;
        }
        tell_original(self.info.connection.encrypted, before, request);
        self.redirects.get_or_insert_default().followed += 1;
    }
}

/// What is known of the host that was asked, with the cluster that was chosen after that.
fn of_other_cluster(asked: UpstreamInfo, chosen: Option<UpstreamInfo>) -> UpstreamInfo {
    UpstreamInfo { cluster: chosen.map_or_else(Arc::default, |chosen| chosen.cluster), ..asked }
}
