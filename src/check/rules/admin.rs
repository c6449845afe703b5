//! Who can reach the admin interface.

use std::net::IpAddr;

use envoy_types::pb::envoy::config::core::v3::address::Address;

use super::set::Set;
use crate::check::finding::Finding;

/// Whoever reaches it can end the process and read everything.
pub(super) fn check(set: &Set<'_>, findings: &mut Vec<Finding>) {
    for bootstrap in &set.bootstraps {
        let Some(Address::SocketAddress(socket)) = bootstrap
            .message
            .admin
            .as_ref()
            .and_then(|admin| admin.address.as_ref())
            .and_then(|address| address.address.as_ref())
        else {
            continue;
        };
        if !socket.address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
            let reason = format!(
                "the admin interface listens at {}, and whoever reaches it can end the process",
                socket.address
            );
            let path = "admin.address.socket_address.address";
            findings.push(bootstrap.warning("exposed-admin", path, reason));
        }
    }
}
