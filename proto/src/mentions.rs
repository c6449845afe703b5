//! Strings in certain fields, wherever in a message they stand: names of other resources, for example.

use std::collections::HashMap;

use crate::{
    MessageError, WireError,
    descriptor::{self, Field, Kind, Message},
    encode::Options,
    path::Path,
    typed_struct::{is_typed_struct, typed_struct_to_any},
    wire::{Fields, MAX_DEPTH, Payload},
};

/// The full name of a message and the name of one of its fields, which is a string or a list of them.
pub type FieldName<'n> = (&'n str, &'n str);

/// A string in a field that was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The field, such as `filter_chains[0].filters[0].typed_config.cluster`.
    pub path: String,
    /// The string; never empty.
    pub text: String,
}

/// What these fields hold in an encoded message of this full name and in all that lies in it, `Any`s too. Into
/// messages whose full names `skipped` has nobody looks.
///
/// # Errors
///
/// There is no such message type, or the bytes are no message.
pub fn mentions(
    bytes: &[u8],
    message: &str,
    wanted: &[FieldName<'_>],
    skipped: &[&str],
) -> Result<Vec<Mention>, MessageError> {
    let descriptor = descriptor::message(message).ok_or_else(|| MessageError::UnknownType(message.into()))?;
    let mut walker = Walker { wanted, skipped, path: Path::default(), depth: 0, found: Vec::new() };
    walker.message(bytes, descriptor)?;
    Ok(walker.found)
}

struct Walker<'w> {
    wanted: &'w [FieldName<'w>],
    skipped: &'w [&'w str],
    path: Path,
    depth: usize,
    found: Vec<Mention>,
}

impl Walker<'_> {
    fn message(&mut self, bytes: &[u8], message: &'static Message) -> Result<(), WireError> {
        if self.skipped.contains(&message.full_name()) {
            return Ok(());
        }
        if self.depth == MAX_DEPTH {
            return Err(WireError::TooDeep);
        }
        self.depth += 1;
        match message.full_name() {
            "google.protobuf.Any" => self.any(bytes)?,
            _ => self.fields(bytes, message)?,
        }
        self.depth -= 1;
        Ok(())
    }

    fn fields(&mut self, bytes: &[u8], message: &'static Message) -> Result<(), WireError> {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for field in Fields::new(bytes) {
            let (number, payload) = field?;
            let (Some(field), Payload::Bytes(bytes)) = (message.field(number), payload) else { continue };
            let mark = self.path.field(field.name());
            if field.is_map() {
                self.entry(bytes, field)?;
            } else {
                if field.is_repeated() {
                    let count = counts.entry(number).or_default();
                    self.path.element(*count);
                    *count += 1;
                }
                self.value(bytes, message, field)?;
            }
            self.path.back_to(mark);
        }
        Ok(())
    }

    fn value(
        &mut self,
        bytes: &[u8],
        message: &'static Message,
        field: &'static Field,
    ) -> Result<(), WireError> {
        if let Some(inner) = field.message() {
            return self.message(bytes, inner);
        }
        let is_wanted = field.kind() == Kind::String && !bytes.is_empty() && {
            let name = (message.full_name(), field.name());
            self.wanted.contains(&name)
        };
        if is_wanted {
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.found.push(Mention { path: self.path.as_str().to_owned(), text });
        }
        Ok(())
    }

    /// An entry of a map; only what messages it holds is looked at.
    fn entry(&mut self, bytes: &[u8], field: &'static Field) -> Result<(), WireError> {
        let inner = field.message().and_then(|entry| entry.field(2)).and_then(Field::message);
        let Some(inner) = inner else { return Ok(()) };
        let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
        for found in Fields::new(bytes) {
            match found? {
                (1, Payload::Bytes(bytes)) => key = bytes,
                (2, Payload::Bytes(bytes)) => value = bytes,
                _ => {}
            }
        }
        self.path.element(String::from_utf8_lossy(key));
        self.message(value, inner)
    }

    /// What cannot be read there others complain of.
    fn any(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let (mut url, mut value): (&[u8], &[u8]) = (&[], &[]);
        for field in Fields::new(bytes) {
            match field? {
                (1, Payload::Bytes(bytes)) => url = bytes,
                (2, Payload::Bytes(bytes)) => value = bytes,
                _ => {}
            }
        }
        let Ok(url) = std::str::from_utf8(url) else { return Ok(()) };
        if descriptor::name_of_url(url).is_some_and(is_typed_struct) {
            let Ok((url, converted)) = typed_struct_to_any(value, &Options::default()) else { return Ok(()) };
            let mark = self.path.field("value");
            self.held(&converted.bytes, &url);
            self.path.back_to(mark);
        } else {
            self.held(value, url);
        }
        Ok(())
    }

    fn held(&mut self, bytes: &[u8], url: &str) {
        let Some(message) = descriptor::message_of_url(url) else { return };
        let (depth, mark) = (self.depth, self.path.mark());
        if self.message(bytes, message).is_err() {
            self.depth = depth;
            self.path.back_to(mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{encode, tree};

    const CLUSTERS: &[FieldName<'_>] =
        &[("envoy.config.core.v3.GrpcService.EnvoyGrpc", "cluster_name"), (TCP_PROXY, "cluster")];
    const TCP_PROXY: &str = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";

    fn found(yaml: &str, message: &str, skipped: &[&str]) -> Vec<(String, String)> {
        let document = tree::parse_yaml(yaml).expect("YAML");
        let bytes = encode(&document.root, message, &Options::default()).expect("a message").bytes;
        let found = mentions(&bytes, message, CLUSTERS, skipped).expect("can be read");
        found.into_iter().map(|found| (found.path, found.text)).collect()
    }

    #[test]
    fn names_are_found_in_lists_and_in_what_an_any_holds() {
        let listener = "{filter_chains: [{}, {filters: [{name: t, typed_config: {'@type': type.googleapis.com/\
            envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: app}}]}]}";
        let expected = ("filter_chains[1].filters[0].typed_config.cluster".to_owned(), "app".to_owned());
        assert_eq!(found(listener, "envoy.config.listener.v3.Listener", &[]), [expected]);
    }

    #[test]
    fn messages_that_are_left_out_have_none() {
        let source = "{api_config_source: {grpc_services: [{envoy_grpc: {cluster_name: xds}}]}}";
        let message = "envoy.config.core.v3.ConfigSource";
        let path = "api_config_source.grpc_services[0].envoy_grpc.cluster_name".to_owned();
        assert_eq!(found(source, message, &[]), [(path, "xds".to_owned())]);
        assert_eq!(found(source, message, &["envoy.config.core.v3.ApiConfigSource"]), []);
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        assert!(mentions(b"\x0a", TCP_PROXY, CLUSTERS, &[]).is_err());
        assert!(mentions(b"", "not.known", CLUSTERS, &[]).is_err());
    }
}
