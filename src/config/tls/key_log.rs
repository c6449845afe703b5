//! The log of keys, by which what was recorded of connections can be read: `TlsKeyLog`.

use std::net::IpAddr;
use std::path::PathBuf;

use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3;

use crate::config::field::{Scope, open};
use crate::config::matcher::CidrRange;

/// Where keys are written, and of which connections. They are secrets: who has them can read all that was said.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyLog {
    /// The file; lines as in the format of NSS are added to it.
    pub path: PathBuf,
    /// Own addresses; empty for all.
    pub local: Vec<CidrRange>,
    /// Addresses of peers; empty for all.
    pub remote: Vec<CidrRange>,
}

impl KeyLog {
    /// From its proto.
    pub(super) fn from_proto(message: v3::TlsKeyLog, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::TlsKeyLog = message;
            implemented { path, local_address_range, remote_address_range }
        }
        let path = at.required_string("path", path);
        let (locals, remotes) = (local_address_range.len(), remote_address_range.len());
        let local = at.list("local_address_range", local_address_range, CidrRange::from_proto);
        let remote = at.list("remote_address_range", remote_address_range, CidrRange::from_proto);
        // A range that is missing must not widen what is written.
        let is_whole = local.len() == locals && remote.len() == remotes;
        is_whole.then_some(KeyLog { path: path.into(), local, remote })
    }

    /// Whether keys of a connection between these addresses are written. What has no address of IP is in no range.
    pub fn covers(&self, local: Option<IpAddr>, remote: Option<IpAddr>) -> bool {
        let within = |ranges: &[CidrRange], address: Option<IpAddr>| {
            ranges.is_empty()
                || address.is_some_and(|address| ranges.iter().any(|range| range.contains(address)))
        };
        within(&self.local, local) && within(&self.remote, remote)
    }
}
