//! The hosts that a request names for a cluster that lets it.

use serde_json::{Map, Value};
use smallvec::SmallVec;

use crate::base::headers::Headers;
use crate::config::cluster::{HostSource, OverrideHost};
use crate::observability::stream_info::Notes;

/// Addresses of hosts; few requests name more.
pub(super) type Named<'a> = SmallVec<[&'a str; 4]>;

/// What all the sources name, in their order.
pub(super) fn named<'a>(config: &OverrideHost, headers: &'a Headers, notes: Option<&'a Notes>) -> Named<'a> {
    let list = |source: &HostSource| match source {
        HostSource::Header(name) => {
            headers.get_by_name(name.as_bytes()).and_then(|value| std::str::from_utf8(value).ok())
        }
        HostSource::Metadata(path) => notes.and_then(|notes| notes.metadata(path)?.as_str()),
    };
    let addresses = config.sources.iter().filter_map(list).flat_map(|list| list.split(','));
    addresses.map(str::trim).filter(|address| !address.is_empty()).collect()
}

/// Notes the address of the host that was chosen.
pub(super) fn note(path: &[String], address: &str, notes: &mut Notes) {
    let [name, keys @ .., last] = path else { return };
    let found = Map::from_iter([(last.clone(), Value::from(address))]);
    let nested =
        keys.iter().rev().fold(found, |inner, key| Map::from_iter([(key.clone(), Value::Object(inner))]));
    notes.merge_metadata(name, &Value::Object(nested));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hosts_are_named_in_headers_and_metadata_in_the_order_of_the_sources() {
        let mut headers = Headers::default();
        headers.append_received(b"x-host", b"10.0.0.1:80, 10.0.0.2:80,,");
        headers.append_received(b"x-host", b"not this");
        let mut notes = Notes::default();
        note(&["ns".to_owned(), "a".to_owned(), "b".to_owned()], "10.0.0.3:80", &mut notes);
        assert_eq!(notes.metadata(&["ns".to_owned()]), Some(&json!({"a": {"b": "10.0.0.3:80"}})));
        let path = ["ns", "a", "b"].map(str::to_owned).to_vec();
        let config = OverrideHost {
            sources: vec![HostSource::Metadata(path), HostSource::Header("x-host".to_owned())],
            selected_host_key: None,
        };
        let all = named(&config, &headers, Some(&notes));
        assert_eq!(all.as_slice(), ["10.0.0.3:80", "10.0.0.1:80", "10.0.0.2:80"]);
        assert!(named(&config, &Headers::default(), None).is_empty());
    }
}
