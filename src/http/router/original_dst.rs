//! Where a request to an `ORIGINAL_DST` cluster says that it goes.

use std::net::SocketAddr;

use crate::base::headers::Headers;
use crate::config::cluster::OriginalDst;
use crate::observability::stream_info::{Address, ConnectionInfo, Notes, StateObject};
use crate::upstream::Cluster;

/// The filter state that says it.
const FILTER_STATE: &str = "envoy.network.transport_socket.original_dst_address";

/// The address of the request's host; `None` where nothing says it. What cannot be read is counted, and passed over.
pub(crate) fn destination(
    config: &OriginalDst,
    cluster: &Cluster,
    headers: &Headers,
    notes: Option<&Notes>,
) -> Option<SocketAddr> {
    let in_state = || match notes?.state(FILTER_STATE)? {
        StateObject::Address(address, _) => Some(*address),
        _ => None,
    };
    let read = |text: &[u8]| {
        let address = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        if address.is_none() {
            cluster.membership.original_dst_host_invalid().inc();
        }
        address
    };
    let in_metadata = || {
        let value = notes?.metadata(config.metadata_key.as_ref()?)?;
        let value = value.as_array().map_or(Some(value), |list| list.first())?;
        read(value.as_str()?.as_bytes())
    };
    let in_header = || read(headers.get_by_name(config.http_header_name.as_ref()?.as_bytes())?);
    let mut address: SocketAddr = in_state().or_else(in_metadata).or_else(in_header)?;
    if let Some(port) = config.upstream_port_override {
        address.set_port(port);
    }
    Some(address)
}

/// Where the client of a connection wanted to go, if a listener filter found that out.
pub(crate) fn restored(config: &OriginalDst, connection: &ConnectionInfo) -> Option<SocketAddr> {
    match &connection.local {
        Address::Ip(address) if connection.local_restored => {
            Some(SocketAddr::new(address.ip(), config.upstream_port_override.unwrap_or(address.port())))
        }
        Address::Ip(_) | Address::Pipe(_) | Address::Internal { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::upstream::testing::ClusterBuilder;

    fn config(port: Option<u16>) -> OriginalDst {
        OriginalDst {
            cleanup_interval: Duration::from_secs(5),
            metadata_key: Some(["ns", "to"].map(str::to_owned).to_vec()),
            http_header_name: Some("x-to".to_owned()),
            upstream_port_override: port,
        }
    }

    fn check(cluster: &Arc<Cluster>, notes: &Notes, header: &[u8], expected: Option<&str>) {
        let mut headers = Headers::default();
        headers.append_received(b"x-to", header);
        headers.append_received(b"x-to", b"10.9.9.9:9");
        let found = destination(&config(None), cluster, &headers, Some(notes));
        assert_eq!(found.map(|address| address.to_string()).as_deref(), expected);
    }

    #[test]
    fn the_filter_state_comes_first_then_metadata_then_the_first_header() {
        let cluster = ClusterBuilder::new("c").build();
        let mut notes = Notes::default();
        check(&cluster, &notes, b"[::1]:80", Some("[::1]:80"));
        notes.merge_metadata("ns", &json!({"to": ["10.0.0.1:1", "10.0.0.2:2"]}));
        check(&cluster, &notes, b"[::1]:80", Some("10.0.0.1:1"));
        let address = ([10, 0, 0, 3], 3).into();
        notes.set_state(FILTER_STATE, StateObject::Address(address, b"10.0.0.3:3".as_slice().into()));
        check(&cluster, &notes, b"[::1]:80", Some("10.0.0.3:3"));
        let moved = destination(&config(Some(7)), &cluster, &Headers::default(), Some(&notes));
        assert_eq!(moved.map(|address| address.to_string()).as_deref(), Some("10.0.0.3:7"));
        assert_eq!(cluster.membership.original_dst_host_invalid().value(), 0);
    }

    #[test]
    fn what_is_no_address_is_counted_and_passed_over() {
        let cluster = ClusterBuilder::new("c").build();
        let mut notes = Notes::default();
        notes.merge_metadata("ns", &json!({"to": "db:80"}));
        check(&cluster, &notes, b"10.0.0.1:1", Some("10.0.0.1:1"));
        check(&cluster, &notes, b"10.0.0.1", None);
        assert_eq!(cluster.membership.original_dst_host_invalid().value(), 3);
    }
}
