//! Resources out of what a response carries.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::service::discovery::v3::Resource as Wrapper;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use prost::encoding::{DecodeContext, WireType, check_wire_type, decode_key, skip_field};

const WRAPPER: &str = "type.googleapis.com/envoy.service.discovery.v3.Resource";
/// The field that holds the name, in most messages that are resources.
const NAME_FIELD: u32 = 1;
/// The one message whose name stands elsewhere, and where.
const FILTER_CHAIN: (&str, u32) = ("envoy.config.listener.v3.FilterChain", 7);

/// A resource, or only its name: a heartbeat.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Item {
    pub(super) name: String,
    /// Empty when it has none of its own.
    pub(super) version: String,
    pub(super) body: Option<Bytes>,
    pub(super) ttl: Option<Duration>,
    /// Other names that it answers to.
    pub(super) aliases: Vec<String>,
}

/// Takes what a state-of-the-world response carries: messages, wrapped in a `Resource` or not.
pub(super) fn sotw(resources: Vec<Any>, type_url: &str) -> Result<Vec<Item>, String> {
    let items = resources.into_iter().map(|any| match any.type_url == WRAPPER {
        true => {
            let wrapper = Wrapper::decode(&any.value[..])
                .map_err(|error| format!("a resource wrapper cannot be decoded: {error}"))?;
            unwrap(wrapper, type_url)
        }
        false => plain(any, type_url),
    });
    items.collect()
}

/// Takes what an incremental response carries. A name may come only once, removed ones counted.
pub(super) fn delta(
    resources: Vec<Wrapper>,
    removed: &[String],
    type_url: &str,
) -> Result<Vec<Item>, String> {
    let items: Vec<Item> =
        resources.into_iter().map(|wrapper| unwrap(wrapper, type_url)).collect::<Result<_, _>>()?;
    let mut names = HashSet::with_capacity(items.len());
    if let Some(twice) = items.iter().find(|item| !names.insert(&item.name[..])) {
        return Err(format!("duplicate name {} found among added/updated resources", twice.name));
    }
    if let Some(twice) = removed.iter().find(|name| !names.insert(&name[..])) {
        return Err(format!("duplicate name {twice} found in the union of added+removed resources"));
    }
    Ok(items)
}

fn unwrap(wrapper: Wrapper, type_url: &str) -> Result<Item, String> {
    let ttl = wrapper.ttl.and_then(|ttl| {
        Some(Duration::new(u64::try_from(ttl.seconds).ok()?, u32::try_from(ttl.nanos).ok()?))
    });
    let item = match wrapper.resource {
        Some(any) => plain(any, type_url)?,
        None => Item::default(),
    };
    let name = if wrapper.name.is_empty() { item.name } else { wrapper.name };
    Ok(Item { name, version: wrapper.version, ttl, aliases: wrapper.aliases, ..item })
}

fn plain(any: Any, type_url: &str) -> Result<Item, String> {
    if any.type_url != type_url {
        return Err(format!(
            "type URL {} embedded in an individual Any does not match the message-wide type URL {type_url} in \
             the response",
            any.type_url
        ));
    }
    let message = type_url.rsplit('/').next().unwrap_or_default();
    let name = name_within(message, &any.value)
        .map_err(|error| format!("a resource of type {type_url} cannot be decoded: {error}"))?;
    Ok(Item { name, body: Some(Bytes::from(any.value)), ..Item::default() })
}

/// The name in an encoded resource, which is a message of this full name; empty when there is none. The last one counts, as in all of protobuf.
///
/// # Errors
/// The bytes are no message.
pub fn name_within(message: &str, mut body: &[u8]) -> Result<String, prost::DecodeError> {
    let name_field = if message == FILTER_CHAIN.0 { FILTER_CHAIN.1 } else { NAME_FIELD };
    let mut name = String::new();
    while !body.is_empty() {
        let (field, wire_type) = decode_key(&mut body)?;
        if field == name_field {
            check_wire_type(WireType::LengthDelimited, wire_type)?;
            prost::encoding::string::merge(wire_type, &mut name, &mut body, DecodeContext::default())?;
        } else {
            skip_field(wire_type, field, &mut body, DecodeContext::default())?;
        }
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::super::message::type_url::{CLUSTER, LISTENER};
    use super::super::testing::{any, wrapped};
    use super::*;

    #[test]
    fn the_name_of_a_filter_chain_stands_elsewhere() {
        use envoy_types::pb::envoy::config::listener::v3::{FilterChain, FilterChainMatch};

        let criteria = FilterChainMatch { server_names: vec!["a".to_owned()], ..FilterChainMatch::default() };
        let chain =
            FilterChain { name: "b".to_owned(), filter_chain_match: Some(criteria), ..Default::default() };
        assert_eq!(name_within(FILTER_CHAIN.0, &chain.encode_to_vec()), Ok("b".to_owned()));
    }

    #[test]
    fn names_come_from_the_message_or_its_wrapper() {
        let wrapper = Any { type_url: WRAPPER.into(), value: wrapped("b", "7").encode_to_vec() };
        let items = sotw(vec![any("a", 1), wrapper], CLUSTER).unwrap();
        assert_eq!(items.iter().map(|item| &item.name[..]).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(items[1].version, "7");
    }

    #[test]
    fn a_wrong_type_is_an_error() {
        let error = sotw(vec![any("a", 1)], LISTENER).unwrap_err();
        assert!(error.contains("does not match the message-wide type URL"), "{error}");
    }

    #[test]
    fn bytes_that_are_no_message_are_an_error() {
        for value in [&b"\x0a\xff"[..], b"\x08\x01", b"\x0a\x01\xff", b"\xff"] {
            let any = Any { type_url: CLUSTER.into(), value: value.to_vec() };
            assert!(sotw(vec![any], CLUSTER).is_err(), "{value:?}");
        }
    }

    #[test]
    fn a_name_twice_is_an_error_in_incremental_responses() {
        let twice = delta(vec![wrapped("a", "1"), wrapped("a", "2")], &[], CLUSTER).unwrap_err();
        assert_eq!(twice, "duplicate name a found among added/updated resources");
        let both = delta(vec![wrapped("a", "1")], &["a".into()], CLUSTER).unwrap_err();
        assert_eq!(both, "duplicate name a found in the union of added+removed resources");
    }
}
