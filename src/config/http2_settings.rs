//! Settings of HTTP/2 that are given by number: `Http2ProtocolOptions.custom_settings_parameters`.

use std::collections::{BTreeMap, BTreeSet};

use envoy_types::pb::envoy::config::core::v3::http2_protocol_options::SettingsParameter;

use super::field::{Scope, open};

/// `SETTINGS_HEADER_TABLE_SIZE` (RFC 9113 §6.5.2), as the others.
const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
/// `SETTINGS_ENABLE_CONNECT_PROTOCOL` (RFC 8441 §3)
const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// Which settings have been given by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub(super) hpack_table_size: bool,
    pub(super) max_concurrent_streams: bool,
    pub(super) initial_stream_window_size: bool,
}

/// The parameters. As in Envoy one that has a name is overridden by what holds by that name.
pub(super) fn read(messages: Vec<SettingsParameter>, named: Named, at: &mut Scope<'_>) -> Vec<(u16, u32)> {
    let parameters = at.list("custom_settings_parameters", messages, parameter);
    let mut values = BTreeMap::new();
    let mut inconsistent = BTreeSet::new();
    for (identifier, value) in parameters {
        if values.insert(identifier, value).is_some_and(|before| before != value) {
            inconsistent.insert(format!("{identifier:#04x}"));
        }
    }
    if !inconsistent.is_empty() {
        let identifiers = inconsistent.into_iter().collect::<Vec<_>>().join(",");
        at.error(format!(
            "inconsistent HTTP/2 custom SETTINGS parameter(s) detected; identifiers = {{{identifiers}}}"
        ));
    }
    let collisions: Vec<&str> = values.keys().filter_map(|identifier| named.get(*identifier)).collect();
    if !collisions.is_empty() {
        at.error(format!(
            "the {{{}}} HTTP/2 SETTINGS parameter(s) can not be configured through both named and custom parameters",
            collisions.join(",")
        ));
    }
    values.into_iter().collect()
}

impl Named {
    /// The name of a setting that has been given by it.
    fn get(self, identifier: u16) -> Option<&'static str> {
        let (given, name) = match identifier {
            HEADER_TABLE_SIZE => (self.hpack_table_size, "hpack_table_size"),
            MAX_CONCURRENT_STREAMS => (self.max_concurrent_streams, "max_concurrent_streams"),
            INITIAL_WINDOW_SIZE => (self.initial_stream_window_size, "initial_stream_window_size"),
            _ => return None,
        };
        given.then_some(name)
    }
}

fn parameter(message: SettingsParameter, at: &mut Scope<'_>) -> Option<(u16, u32)> {
    open! { at, SettingsParameter = message; implemented { identifier, value } }
    let identifier = at.required("identifier", identifier);
    let value = at.required("value", value)?.value;
    let identifier = at.within("identifier", identifier, 0..=u16::MAX.into())?;
    let identifier = u16::try_from(identifier).ok()?;
    if identifier == ENABLE_PUSH && value != 0 {
        at.error("server push is not supported by Envoy and can not be enabled via a SETTINGS parameter.");
    }
    if identifier == ENABLE_CONNECT_PROTOCOL {
        at.error("the \"allow_connect\" SETTINGS parameter must only be configured through the named field");
    }
    Some((identifier, value))
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::google::protobuf::UInt32Value;

    use super::*;
    use crate::config::extension::Extensions;
    use crate::config::field::Findings;

    fn read_all(parameters: &[(u32, u32)], named: bool) -> (Vec<(u16, u32)>, Vec<String>) {
        let wrapped = |value| Some(UInt32Value { value });
        let messages = parameters.iter().map(|(identifier, value)| SettingsParameter {
            identifier: wrapped(*identifier),
            value: wrapped(*value),
        });
        let named = Named {
            hpack_table_size: named,
            max_concurrent_streams: named,
            initial_stream_window_size: named,
        };
        let mut found = Findings::new(&Extensions::default());
        let read = read(messages.collect(), named, &mut found.scope());
        (read, found.errors().iter().map(|error| error.message.clone()).collect())
    }

    #[test]
    fn a_parameter_is_told_once() {
        let (read, errors) = read_all(&[(3, 7), (0x1234, 5), (3, 7)], false);
        assert_eq!((&read[..], errors.len()), (&[(3, 7), (0x1234, 5)][..], 0));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (parameters, expected) in [
            (&[(10, 0), (10, 1), (12, 10), (12, 10)][..], "identifiers = {0x0a}"),
            (&[(3, 1)], "{max_concurrent_streams}"),
            (&[(2, 1)], "server push"),
            (&[(8, 1)], "allow_connect"),
        ] {
            let (_, errors) = read_all(parameters, true);
            assert!(errors.len() == 1 && errors[0].contains(expected), "{parameters:?}: {errors:?}");
        }
    }
}
