//! The hash by which a cluster chooses the request's host, and the cookies that clients are given for it.

use std::net::IpAddr;

use crate::base::headers::Known;
use crate::config::route::{HashPolicy, RouteAction};
use crate::http::downstream::Downstream;
use crate::http::exchange::Exchange;
use crate::observability::stream_info::Address;
use crate::route::hash_policy;
use crate::upstream::Cluster;

impl<D: Downstream> Exchange<'_, D> {
    /// The hash for a cluster that chooses hosts by one: all attempts have that of the first. A client without a cookie
    /// that it is to have is given it with the response.
    pub(super) fn hash_for(&mut self, cluster: &Cluster, action: &RouteAction) -> Option<u64> {
        let hashing = cluster.config.lb_policy.hashing()?;
        if self.info.upstream_attempts > 1 {
            return self.hash;
        }
        // That of the balancer, of the cluster, of the route: the first that there is.
        let policies = [&hashing.hash_policy, &cluster.config.http.policies.hash_policy, &action.hash_policy];
        let policies =
            policies.into_iter().find(|policies| !policies.is_empty()).map_or(&[][..], Vec::as_slice);
        let (info, given) = (&self.info, &mut self.cookies_given);
        let request = hash_policy::Known {
            headers: &self.headers.request,
            client: ip(info.remote()),
            notes: info.notes(),
        };
        self.hash = hash_policy::hash(policies, request, |cookie| {
            let connection = &info.connection;
            let value =
                hash_policy::cookie_value(&connection.remote.to_string(), &connection.local.to_string());
            given.push(hash_policy::set_cookie(cookie, &value));
            Some(value)
        });
        self.hash
    }

    /// The hash of the route itself, which gives no cookies.
    pub(in crate::http) fn route_hash(&self, policies: &[HashPolicy]) -> Option<u64> {
        let request = hash_policy::Known {
            headers: &self.headers.request,
            client: ip(self.info.remote()),
            notes: self.info.notes(),
        };
        hash_policy::hash(policies, request, |_| None)
    }

    /// Gives the client its cookies.
    pub(super) fn give_cookies(&mut self) {
        for cookie in self.cookies_given.drain(..) {
            self.headers.response.append(Known::SetCookie, cookie.as_bytes());
        }
    }
}

fn ip(address: &Address) -> Option<IpAddr> {
    match address {
        Address::Ip(address) => Some(address.ip()),
        Address::Pipe(_) | Address::Internal { .. } => None,
    }
}
