//! What a request's route makes of it: forwarding, a redirect or an answer of the route's own.

use std::sync::Arc;

use crate::config::route::{Action, DirectResponse};
use crate::http::downstream::Downstream;
use crate::http::local_reply::LocalReply;
use crate::route::mutation::Levels;
use crate::route::{Found, Matched, redirect};

use super::{Exchange, Failure};

impl<D: Downstream> Exchange<'_, D> {
    /// Finds the request's route and follows it.
    pub(super) async fn route(&mut self) -> Result<(), Failure> {
        self.info.route_resolutions += 1;
        let worker = &self.connection.worker;
        let snapshot = worker.snapshot();
        let random = worker.random();
        let manager = Arc::clone(&self.connection.manager);
        manager.router_stats.rq_total().inc();
        let table = manager.table(&snapshot);
        if let Some(table) = table.filter(|_| !self.internal) {
            table.remove_internal_only(&mut self.headers.request);
        }
        let Some(found) = table.and_then(|table| table.find(&self.headers.request, random)) else {
            manager.router_stats.no_route().inc();
            return Err(LocalReply::route_not_found().into());
        };
        let matched = match found {
            Found::Route(matched) => matched,
            Found::TlsRedirect(_) => {
                let location = redirect::tls_location(&self.headers.request);
                return self.redirect(301, location, None).await;
            }
        };
        self.info.route_name =
            (!matched.route.name.is_empty()).then(|| Arc::from(matched.route.name.as_str()));
        match &matched.route.action {
            Action::Route(action) => self.forward(&snapshot, &matched, action, random).await,
            Action::Redirect(action) => {
                // As in Envoy, which counts redirects among them.
                manager.router_stats.rq_direct_response().inc();
                let keep_original = !manager.router.suppress_envoy_headers;
                let matcher = &matched.route.matcher.path;
                redirect::rewrite_path(action, matcher, &mut self.headers.request, keep_original);
                let location = redirect::location(action, &self.headers.request);
                self.redirect(action.response_code, location, Some(&matched)).await
            }
            Action::DirectResponse(response) => self.direct_response(response, &matched).await,
            Action::NonForwarding => {
                // As in Envoy, where it is a route to a cluster without a name.
                manager.router_stats.no_cluster().inc();
                self.send_reply(LocalReply::cluster_not_found(503), Some(Levels::new(&matched, None))).await;
                Ok(())
            }
        }
    }

    async fn redirect(
        &mut self,
        status: u16,
        location: Vec<u8>,
        matched: Option<&Matched<'_>>,
    ) -> Result<(), Failure> {
        let reply = LocalReply { location: Some(location), ..LocalReply::new(status, "", "direct_response") };
        let levels = matched.map(|matched| Levels::new(matched, None));
        self.send_reply(reply, levels).await;
        Ok(())
    }

    async fn direct_response(
        &mut self,
        response: &DirectResponse,
        matched: &Matched<'_>,
    ) -> Result<(), Failure> {
        self.connection.manager.router_stats.rq_direct_response().inc();
        let (body, content_type) = match &response.body_format {
            Some(format) => self.format_body(format, &response.body),
            None => (response.body.clone(), None),
        };
        let reply =
            LocalReply { body, content_type, ..LocalReply::new(response.status, "", "direct_response") };
        self.send_reply(reply, Some(Levels::new(matched, None))).await;
        Ok(())
    }
}
