//! A request, as conditions see it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use crate::base::headers::Headers;
use crate::config::cel::Attributes;
use crate::config::route::GroupsOverride;
use crate::config::runtime::Values;
use crate::config::tls::NameMatcher;

/// A request as conditions see it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its headers.
    pub headers: &'a Headers,
    /// The connection that it came on.
    pub peers: Peers<'a>,
    /// What filters noted of it; `None` where nobody asks or nothing is.
    pub notes: Option<&'a dyn Noted>,
    /// What expressions ask about, likewise.
    pub attributes: Option<&'a dyn Attributes>,
    /// The runtime's values, which may change shares.
    pub runtime: &'a Values,
    /// Whether it was looked at before, and what conditions count of it has been counted.
    pub is_known: bool,
}

impl<'a> Subject<'a> {
    /// A request of which nothing is known but its headers.
    pub fn of_headers(headers: &'a Headers, runtime: &'a Values) -> Self {
        Subject { headers, peers: Peers::default(), notes: None, attributes: None, runtime, is_known: false }
    }
}

/// The ends of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peers<'a> {
    /// The client, after `x-forwarded-for`; `None` where it has no IP address.
    pub source: Option<SocketAddr>,
    /// The client, after what listener filters say.
    pub connection_source: Option<SocketAddr>,
    /// The client, as the socket says.
    pub direct_source: Option<SocketAddr>,
    /// Where the client wanted to go.
    pub destination: Option<SocketAddr>,
    /// The name that the client asked for (SNI); empty if none.
    pub server_name: &'a str,
    /// What the connection speaks first: `raw_buffer`, `tls`; empty where nobody asks.
    pub transport_protocol: &'a str,
    /// The protocols that the client offers; none where nobody asks.
    pub application_protocols: &'a [Box<str>],
    /// Whether TLS is spoken.
    pub is_tls: bool,
    /// Whether the client showed a certificate that was looked at and found good.
    pub is_validated: bool,
    /// The certificate that the client showed; `None` where it showed none.
    pub certificate: Option<PeerCertificate<'a>>,
}

/// What conditions ask about a certificate.
#[derive(Clone, Copy, Debug)]
pub struct PeerCertificate<'a> {
    /// Its URIs.
    pub uris: &'a [String],
    /// Its names of hosts.
    pub dns_names: &'a [String],
    /// Whom it is of.
    pub subject: &'a str,
    /// All of its names; `None` where nobody asks.
    pub names: Option<&'a dyn Named>,
}

/// A certificate with its names.
pub trait Named: fmt::Debug {
    /// Whether it has a name of the kind that matches.
    fn has_name(&self, name: &NameMatcher) -> bool;
}

impl Peers<'_> {
    /// Whether the client is on this machine: at a Unix socket, at a loopback address, or at the very address that it
    /// wanted to go to.
    pub(super) fn are_local(&self) -> bool {
        let Some(source) = self.source.map(|source| source.ip()) else { return true };
        let is_loopback = match source {
            IpAddr::V4(address) => address.is_loopback(),
            IpAddr::V6(address) => address.is_loopback(),
        };
        is_loopback || self.destination.is_some_and(|destination| destination.ip() == source)
    }
}

/// What filters note of a request.
pub trait Noted: fmt::Debug {
    /// What a path leads to in the dynamic metadata: the name first, then keys of objects within each other.
    fn metadata(&self, path: &[String]) -> Option<&Value>;

    /// The typed dynamic metadata of this name: the groups that are in it, `Some(None)` for what is of another type.
    fn typed_metadata(&self, _name: &str) -> Option<Option<&GroupsOverride>> {
        None
    }

    /// The text of the filter state's object of this name.
    fn state(&self, name: &str) -> Option<&[u8]>;

    /// Where the name leads to that the request is for, if a filter has kept that.
    fn upstream_address(&self) -> Option<SocketAddr> {
        None
    }

    /// The field of this name of that object, if it has one.
    fn state_field(&self, _name: &str, _field: &str) -> Option<&str> {
        None
    }

    /// The same as `metadata` of the locality of a host, where a host is looked at.
    fn locality_metadata(&self, _path: &[String]) -> Option<&Value> {
        None
    }
}
