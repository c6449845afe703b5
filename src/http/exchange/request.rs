//! What every request must keep to, whatever its route.

use std::net::SocketAddr;

use crate::base::headers::{Headers, Known};
use crate::base::uuid;
use crate::config::HttpConnectionManager;
use crate::http::active::Active;
use crate::http::client_cert;
use crate::http::downstream::Downstream;
use crate::http::early;
use crate::http::ingress;
use crate::http::local_reply::LocalReply;
use crate::http::path::{self, Normalized};
use crate::http::sanitize::sanitize;
use crate::http::subject::subject;
use crate::observability::attributes::StreamAttributes;
use crate::observability::stats::HttpStats;
use crate::observability::stream_info::Address;
use crate::route::grpc_timeout;

use super::Exchange;

impl<D: Downstream> Exchange<'_, D> {
    /// What every request must keep to, whatever its route.
    pub(super) fn check(&mut self) -> Result<(), LocalReply> {
        if !self.headers.request.contains(Known::Authority) {
            return Err(LocalReply::new(400, "", "missing_host_header"));
        }
        let options = &self.connection.manager.options;
        let request = &mut self.headers.request;
        let local_port = self.connection.peer.local.map(|local| local.port());
        sanitize(request, options, self.info.protocol, local_port);
        let target = request.get(Known::Path).unwrap_or_default();
        let is_connect = request.get(Known::Method) == Some(b"CONNECT");
        self.connect = is_connect;
        // What follows a CONNECT is no request.
        self.close |= is_connect && !D::MULTIPLEXED;
        if !is_connect && target.first() != Some(&b'/') {
            self.connection.manager.stats.downstream_rq_non_relative_path().inc();
            return Err(LocalReply::new(404, "", "absolute_path_rejected"));
        }
        if !is_connect {
            normalize(request, options, &self.connection.manager.stats)?;
        }
        if self.redirects.is_some() {
            // What else is done to requests has been done to this one.
            self.upgrade = ingress::asks_upgrade(request);
            return Ok(());
        }
        if !options.early_header_mutations.is_empty() {
            early::mutate(&options.early_header_mutations, request, &self.info);
        }
        if options.add_user_agent {
            let connection = self.connection;
            connection.manager.user_agent.count(&connection.user_agent, request);
        }
        self.upgrade = ingress::asks_upgrade(request);
        let worker = &self.connection.worker;
        let prepared = ingress::prepare(request, self.connection, self.upgrade, || {
            uuid::random(worker.random(), worker.random())
        });
        let origin = prepared.inspect_err(|_| {
            self.connection.manager.stats.downstream_rq_rejected_via_ip_detection().inc();
        })?;
        if let (true, Some(remote)) = (origin.from_header, origin.remote) {
            self.info.remote = Some(Address::Ip(SocketAddr::new(remote, 0)));
        }
        self.internal = origin.internal;
        self.choose_client_cert();
        Ok(())
    }

    /// Changes the header of client certificates, as a tree of conditions says of the request where there is one.
    fn choose_client_cert(&mut self) {
        let options = &self.connection.manager.options;
        let chosen = options.forward_client_cert_matcher.as_ref().and_then(|tree| {
            let snapshot = self.connection.worker.snapshot();
            let request = &self.headers.request;
            let attributes = StreamAttributes::of_request(request, &self.info);
            tree.find(&subject(request, &self.info, Some(&attributes), &snapshot.runtime)).copied()
        });
        let mode = chosen.unwrap_or(options.forward_client_cert);
        let tls = self.connection.info.tls.get().map(|tls| &**tls);
        client_cert::forward(mode, tls, &mut self.headers.request);
    }

    /// The protocol that the request asks to go on with, if it does.
    pub(super) fn upgrade_kind(&self) -> Option<&[u8]> {
        match (self.connect, self.upgrade) {
            (true, _) => Some(b"connect"),
            (false, true) => Some(self.headers.request.get(Known::Upgrade).unwrap_or_default()),
            (false, false) => None,
        }
    }

    /// Counts the stream of an upgrade that is served, from here to its end.
    pub(super) fn count_upgrade(&mut self) {
        if self.asks_tunnel() {
            let stats = &self.connection.manager.stats;
            stats.downstream_cx_upgrades_total().inc();
            self.active_upgrade = Some(Active::new(stats, HttpStats::downstream_cx_upgrades_active));
        }
    }

    /// Whether an upgrade that the request asks for is served: what the route says of it counts before what the
    /// connection manager says.
    pub(super) fn serves_upgrade(&self, of_route: &[(String, bool)]) -> bool {
        let Some(wanted) = self.upgrade_kind() else { return true };
        let of_manager = &self.connection.manager.options.upgrade_configs;
        let of_manager = of_manager.iter().map(|config| (&config.upgrade_type, config.enabled));
        let mut configs = of_route.iter().map(|(kind, enabled)| (kind, *enabled)).chain(of_manager);
        let config = configs.find(|(kind, _)| kind.as_bytes().eq_ignore_ascii_case(wanted));
        config.is_some_and(|(_, enabled)| enabled)
    }

    /// The same, with the answer where it is not.
    pub(super) fn check_upgrade(&self, of_route: &[(String, bool)]) -> Result<(), LocalReply> {
        if self.serves_upgrade(of_route) {
            return Ok(());
        }
        self.connection.manager.stats.downstream_rq_ws_on_non_ws_route().inc();
        // As in Envoy a connection ends after it, whatever else is on it.
        self.connection.ending.set(true);
        Err(LocalReply::upgrade_failed())
    }
}

/// Normalises the path, where that is configured.
fn normalize(
    request: &mut Headers,
    options: &HttpConnectionManager,
    stats: &HttpStats,
) -> Result<(), LocalReply> {
    let target = request.get(Known::Path).unwrap_or_default();
    let normalized = match target.contains(&b'#') {
        true => Normalized::Refused(None),
        false => path::normalize(target, &options.path),
    };
    const DETAILS: &str = "path_normalization_failed";
    match normalized {
        Normalized::Unchanged => Ok(()),
        Normalized::Changed(path) => {
            request.set(Known::Path, &path);
            Ok(())
        }
        // A gRPC client does not follow redirects.
        Normalized::Redirect(path) if grpc_timeout::is_grpc(request) => {
            stats.downstream_rq_failed_path_normalization().inc();
            request.set(Known::Path, &path);
            Err(LocalReply::new(400, "", DETAILS))
        }
        Normalized::Redirect(path) => {
            stats.downstream_rq_redirected_with_normalized_path().inc();
            request.set(Known::Path, &path);
            Err(LocalReply { location: Some(path.into()), ..LocalReply::new(307, "", DETAILS) })
        }
        Normalized::Refused(path) => {
            stats.downstream_rq_failed_path_normalization().inc();
            if let Some(path) = path {
                request.set(Known::Path, &path);
            }
            Err(LocalReply::new(400, "", DETAILS))
        }
    }
}
