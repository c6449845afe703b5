//! What a request's route makes of it: forwarding, a redirect or an answer of the route's own.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::base::headers::Known;
use crate::config::route::{Action, DirectResponse, Redirect, WeightedCluster};
use crate::config::runtime::Draw;
use crate::http::downstream::Downstream;
use crate::http::local_reply::LocalReply;
use crate::http::render::render;
use crate::http::router::upstream_info;
use crate::http::subject::subject;
use crate::http::worker::HeaderPair;
use crate::observability::attributes::StreamAttributes;
use crate::observability::format::LogType;
use crate::observability::watched_file;
use crate::route::cluster::{self, Choice};
use crate::route::mutation::Levels;
use crate::route::{Found, Matched, Table, redirect};
use crate::snapshot::Snapshot;
use crate::upstream::Cluster;

use super::{Exchange, Failure};

/// The details of answers that a route gives itself.
const DIRECT_RESPONSE: &str = "direct_response";

/// A route and where it leads.
#[derive(Clone, Copy)]
pub(in crate::http) struct Routed<'t> {
    matched: Matched<'t>,
    levels: Levels<'t>,
    /// The cluster, if the route leads to one that is there.
    cluster: Option<&'t Arc<Cluster>>,
    weighted: Option<&'t WeightedCluster>,
}

impl<'c, D: Downstream> Exchange<'c, D> {
    /// Finds the request's route, takes the request through the filters, and follows the route.
    pub(super) async fn route(&mut self) -> Result<(), Failure> {
        loop {
            match self.route_once().await {
                Err(Failure::Discovered) => continue,
                served => return served,
            }
        }
    }

    /// The same, with the snapshot in force.
    async fn route_once(&mut self) -> Result<(), Failure> {
        let connection = self.connection;
        let snapshot = self.snapshots.keep(connection.worker.snapshot());
        let draw = Draw { random: connection.worker.random(), runtime: &snapshot.runtime };
        let mut table = connection.manager.table(snapshot, &self.headers.request);
        if let Some(found) = table.filter(|_| !self.internal && self.redirects.is_none())
            && found.remove_internal_only(&mut self.headers.request)
        {
            // What is left of the headers chooses the scope, as in Envoy.
            table = connection.manager.table(snapshot, &self.headers.request);
        }
        let later = OnceCell::new();
        let mut found = self.find_route(table, snapshot, draw);
        if !self.filtering {
            self.decide_trace(found.as_ref().ok().map(|routed| routed.matched.route), &snapshot.runtime);
            self.log_new_request();
        }
        let filtered = match &found {
            Ok(routed) => self.filter_routed(*routed).await,
            Err(_) => {
                if !self.filtering && self.serves_upgrade(&[]) {
                    self.count_upgrade();
                }
                self.filter_request(None).await
            }
        };
        if filtered.is_ok() && self.info.notes.as_mut().is_some_and(|notes| notes.take_route_cleared()) {
            found = self.find_route(table, snapshot, draw);
            self.follow_trace(found.as_ref().ok().map(|routed| routed.matched.route), &snapshot.runtime);
        }
        let routed = match found {
            Ok(routed) => self.look_again(routed, &later),
            Err(found) => {
                filtered?;
                return Err(self.unrouted(found).into());
            }
        };
        let served = match filtered {
            Ok(()) => self.follow(&routed.matched, routed.cluster, routed.weighted).await,
            failed => failed,
        };
        let served = match served {
            // The route's changes apply to the proxy's own answers as well.
            Err(Failure::Reply(reply)) => {
                self.send_reply(*reply, Some(routed.levels)).await;
                Ok(())
            }
            other => other,
        };
        self.complete_filters(Some(routed.levels));
        served
    }

    /// The same route, with its cluster if that is there by now: filters may have waited, for it or for something else.
    fn look_again<'t>(&mut self, mut routed: Routed<'t>, later: &'t OnceCell<Arc<Snapshot>>) -> Routed<'t> {
        if routed.cluster.is_none()
            && let Some(name) = self.info.missing_cluster.take()
        {
            let snapshot = later.get_or_init(|| Arc::clone(&self.connection.worker.snapshot()));
            routed.cluster = snapshot.clusters.get(&*name);
            self.info.upstream = routed.cluster.map(|cluster| upstream_info(cluster));
        }
        routed
    }

    /// Logs a request that has come, where that is configured.
    fn log_new_request(&self) {
        if self.connection.manager.options.access_log_moments.on_new_request {
            self.log(LogType::DownstreamStart);
        }
    }

    /// Takes a request that has a route through the filters. An upgrade that is not served comes to none of them; as in
    /// Envoy, a route that is found on their way does not say so any more.
    async fn filter_routed(&mut self, routed: Routed<'c>) -> Result<(), Failure> {
        let upgrade = match self.filtering {
            true => Ok(()),
            false => {
                self.check_upgrade(upgrades(&routed.matched.route.action)).map(|()| self.count_upgrade())
            }
        };
        match upgrade {
            Ok(()) => self.filter_request(Some(routed.levels)).await,
            Err(reply) => {
                self.begin_usual_filtering(routed.levels);
                Err(reply.into())
            }
        }
    }

    /// Finds the route and chooses the cluster. What filters do to the headers later does not change where the request
    /// goes, as in Envoy, unless one asks that the route be looked for again.
    pub(in crate::http) fn find_route<'t>(
        &mut self,
        table: Option<&'t Table>,
        snapshot: &'t Snapshot,
        draw: Draw<'_>,
    ) -> Result<Routed<'t>, Option<Found<'t>>> {
        self.info.route_resolutions += 1;
        let times = |table: &Table| table.configuration().times_routes;
        if !self.connection.manager.times_routes && !table.is_some_and(times) {
            return self.look_for_route(table, snapshot, draw);
        }
        let begun = self.started.elapsed();
        let found = self.look_for_route(table, snapshot, draw);
        *self.info.route_resolution_time.get_or_insert_default() += self.started.elapsed() - begun;
        found
    }

    fn look_for_route<'t>(
        &mut self,
        table: Option<&'t Table>,
        snapshot: &'t Snapshot,
        draw: Draw<'_>,
    ) -> Result<Routed<'t>, Option<Found<'t>>> {
        let names = &self.connection.worker.virtual_host_names;
        let request = &self.headers.request;
        // As in Envoy a request that says nothing of what it was asked over is no route's.
        let told = request.get(Known::XForwardedProto).is_none_or(|proto| !proto.is_empty());
        let found = table.filter(|_| told).and_then(|table| table.find_for(request, draw, &self.info));
        self.info.has_route = found.is_some();
        let Some(Found::Route(matched)) = found else {
            let info = &mut self.info;
            (info.route_name, info.route_metadata) = (None, None);
            let host = table.and_then(|table| table.virtual_host(request));
            info.virtual_host_name = host.map(|host| names.of(&host.name));
            info.virtual_host_metadata = host.and_then(|host| host.metadata.clone());
            return Err(found);
        };
        self.info.virtual_host_name = Some(names.of(&matched.virtual_host.name));
        self.info.route_name.clone_from(&matched.route.name);
        self.info.route_metadata.clone_from(&matched.route.metadata);
        self.info.virtual_host_metadata.clone_from(&matched.virtual_host.metadata);
        let choice = match &matched.route.action {
            Action::Route(action) => {
                let attributes = StreamAttributes::of_request(request, &self.info);
                let request = subject(request, &self.info, Some(&attributes), draw.runtime);
                cluster::choose(action, &request, draw, || self.route_hash(&action.hash_policy))
            }
            Action::Redirect(_) | Action::DirectResponse(_) | Action::NonForwarding => Choice::default(),
        };
        self.cluster_number = choice.number;
        let cluster = snapshot.clusters.get(&*choice.cluster);
        self.info.upstream = cluster.map(|cluster| upstream_info(cluster));
        let is_missing = cluster.is_none() && !choice.cluster.is_empty();
        self.info.missing_cluster = is_missing.then(|| Box::from(&*choice.cluster));
        let weighted = choice.weighted;
        Ok(Routed { levels: Levels::new(&matched, weighted), matched, cluster, weighted })
    }

    /// The answer to a request that no route takes.
    fn unrouted(&self, found: Option<Found<'_>>) -> LocalReply {
        let stats = &self.connection.manager.router_stats;
        stats.rq_total().inc();
        if let Some(Found::TlsRedirect(_)) = found {
            stats.rq_direct_response().inc();
            return redirected(301, redirect::tls_location(&self.headers.request));
        }
        stats.no_route().inc();
        LocalReply::route_not_found()
    }

    /// Does what the route says.
    async fn follow(
        &mut self,
        matched: &Matched<'_>,
        cluster: Option<&Arc<Cluster>>,
        weighted: Option<&WeightedCluster>,
    ) -> Result<(), Failure> {
        let stats = &self.connection.manager.router_stats;
        stats.rq_total().inc();
        match &matched.route.action {
            Action::Route(action) => self.forward(matched, action, cluster, weighted).await,
            Action::Redirect(action) => Err(self.redirect(action, matched).into()),
            Action::DirectResponse(response) => Err(self.direct_response(response).into()),
            Action::NonForwarding => {
                // As in Envoy, where it is a route to a cluster without a name.
                stats.no_cluster().inc();
                Err(LocalReply::cluster_not_found(503).into())
            }
        }
    }

    fn redirect(&mut self, action: &Redirect, matched: &Matched<'_>) -> LocalReply {
        let manager = &self.connection.manager;
        // As in Envoy, which counts redirects among them.
        manager.router_stats.rq_direct_response().inc();
        let keep_original = !self.router.suppress_envoy_headers;
        let matcher = &matched.route.matcher.path;
        let (info, HeaderPair { request, response }) = (&self.info, &mut *self.headers);
        redirect::rewrite_path(action, matcher, request, keep_original);
        let location = redirect::location(action, request, &mut |format, request, out| {
            render(info, request, response, format, out);
        });
        // A CONNECT has no path that could be elsewhere; as in Envoy it is told nothing.
        match self.connect {
            true => LocalReply::new(action.response_code, "", DIRECT_RESPONSE),
            false => redirected(action.response_code, location),
        }
    }

    fn direct_response(&self, response: &DirectResponse) -> LocalReply {
        self.connection.manager.router_stats.rq_direct_response().inc();
        let followed = response.body_file.as_deref().and_then(watched_file::content);
        let body = followed.unwrap_or_else(|| response.body.clone());
        let (body, content_type) = match &response.body_format {
            Some(format) => self.format_body(format, &body),
            None => (body, None),
        };
        let tells_location = matches!(response.status, 201 | 300..=399);
        LocalReply {
            body,
            content_type: content_type.map(Into::into),
            location: tells_location.then(|| redirect::own_location(&self.headers.request).into()),
            ..LocalReply::new(response.status, "", DIRECT_RESPONSE)
        }
    }
}

/// What a route says of upgrades.
fn upgrades(action: &Action) -> &[(String, bool)] {
    match action {
        Action::Route(action) => &action.upgrade_configs,
        Action::Redirect(_) | Action::DirectResponse(_) | Action::NonForwarding => &[],
    }
}

fn redirected(status: u16, location: Vec<u8>) -> LocalReply {
    LocalReply { location: Some(location.into()), ..LocalReply::new(status, "", DIRECT_RESPONSE) }
}
