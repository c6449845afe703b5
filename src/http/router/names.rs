//! What a request says of the connections that carry it: names of hosts for TLS, and a proxy.
//!
//! `envoy.config.core.v3.UpstreamHttpProtocolOptions`, and the filter state that goes before it.

use std::net::IpAddr;
use std::rc::Rc;

use crate::base::headers::{Headers, Known, Name};
use crate::observability::stream_info::Notes;
use crate::route::domains::without_port;
use crate::upstream::{Cluster, TransportOptions};

/// What a request says of its connections, as it is sent; `None` where that is nothing.
#[inline]
pub(super) fn options(
    cluster: &Cluster,
    request: &Headers,
    notes: Option<&Notes>,
) -> Option<Rc<TransportOptions>> {
    let notes = notes.filter(|notes| notes.concerns_hosts());
    if cluster.config.http.names_by_request.is_none() && notes.is_none() {
        return None;
    }
    let mut options = notes.map(TransportOptions::of).unwrap_or_default();
    if let Some(config) = &cluster.config.http.names_by_request {
        let named = config.header.as_deref().and_then(|header| whole(request, header));
        let host = named.as_deref().or_else(|| request.get(Known::Authority)).unwrap_or_default();
        let (name, is_address) = host_of(host);
        if config.auto_sni && !is_address && !name.is_empty() && options.server_name.is_none() {
            options.server_name = Some(name.clone());
        }
        if config.auto_san_validation && options.names.is_empty() {
            options.names = Box::new([name]);
        }
    }
    (!options.is_empty()).then(|| Rc::new(options))
}

/// All values of a header; `None` where that is nothing.
fn whole(request: &Headers, header: &str) -> Option<Vec<u8>> {
    let values: Vec<_> = request.get_all(Name::new(header.as_bytes())).collect();
    Some(values.join(&b","[..])).filter(|name| !name.is_empty())
}

/// The host of an authority without its port and without brackets, and whether it is an IP address.
fn host_of(authority: &[u8]) -> (Box<str>, bool) {
    let host = String::from_utf8_lossy(without_port(authority)).into_owned();
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&host);
    (bare.into(), bare.parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_told_from_its_port_and_from_addresses() {
        let check = |authority: &str, expected: (&str, bool)| {
            let (host, is_address) = host_of(authority.as_bytes());
            assert_eq!((&*host, is_address), expected, "{authority}");
        };
        check("a.example", ("a.example", false));
        check("a.example:80", ("a.example", false));
        check("127.0.0.1:80", ("127.0.0.1", true));
        check("[::1]:80", ("::1", true));
        check("[::1]", ("::1", true));
        check("", ("", false));
    }
}
