//! What a request says of the connections that carry it: names of hosts for TLS, and a proxy.
//!
//! `envoy.config.core.v3.UpstreamHttpProtocolOptions`, and the filter state that goes before it.

use std::net::IpAddr;
use std::rc::Rc;

use crate::base::headers::{Headers, Known, Name};
use crate::observability::stream_info::{Notes, StateObject};
use crate::route::domains::without_port;
use crate::upstream::{Cluster, HttpProxy, TransportOptions};

/// The filter state that says which name TLS asks for.
pub(in crate::http) const SERVER_NAME: &str = "envoy.network.upstream_server_name";
/// The filter state that lists names of which the host's certificate has to have one.
pub(in crate::http) const SUBJECT_ALT_NAMES: &str = "envoy.network.upstream_subject_alt_names";
/// The filter state that lists the protocols that TLS offers.
pub(in crate::http) const APPLICATION_PROTOCOLS: &str = "envoy.network.application_protocols";
/// The filter state that says which proxy the connection goes through.
pub(in crate::http) const HTTP_PROXY: &str = "envoy.network.transport_socket.http_11_proxy.info";

/// What a request says of its connections, as it is sent; `None` where that is nothing.
#[inline]
pub(super) fn options(
    cluster: &Cluster,
    request: &Headers,
    notes: Option<&Notes>,
) -> Option<Rc<TransportOptions>> {
    let notes = notes.filter(|notes| notes.has_state());
    if cluster.config.names_by_request.is_none() && notes.is_none() {
        return None;
    }
    let mut options = notes.map(from_state).unwrap_or_default();
    if let Some(config) = &cluster.config.names_by_request {
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

/// What filters have said.
fn from_state(notes: &Notes) -> TransportOptions {
    let text = |key: &str| {
        let text = notes.state(key).map(StateObject::text)?;
        std::str::from_utf8(text).ok().filter(|text| !text.is_empty())
    };
    let list = |key: &str| text(key).into_iter().flat_map(|list| list.split(','));
    TransportOptions {
        server_name: text(SERVER_NAME).map(Into::into),
        names: list(SUBJECT_ALT_NAMES).map(Into::into).collect(),
        alpn: list(APPLICATION_PROTOCOLS).map(|protocol| protocol.as_bytes().to_vec()).collect(),
        proxied: None,
        http_proxy: text(HTTP_PROXY).and_then(HttpProxy::parse).map(Box::new),
    }
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
