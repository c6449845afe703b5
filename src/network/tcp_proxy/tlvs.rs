//! `TcpProxy.proxy_protocol_tlvs`: what hosts are told of a connection in a header of the PROXY protocol, beside what the
//! client's own header said.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::ProxyProtocolTlvMergePolicy;

use crate::config::field::{Scope, open};
use crate::config::format::{BodyFormat, SubstitutionFormat};
use crate::observability::format::{Context, render_substitution};
use crate::observability::stream_info::{ProxiedValues, StreamInfo};

/// Values by type, and how they go with those of the client.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tlvs {
    /// Those that are the same for all connections.
    fixed: Vec<(u8, Box<[u8]>)>,
    /// Those that are made for each.
    made: Vec<(u8, SubstitutionFormat)>,
    policy: Policy,
}

/// `proxy_protocol_tlv_merge_policy`: what is told where the client's connection had a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    /// What that said alone.
    AddIfAbsent,
    /// What is configured, and what that said of other types.
    OverwriteByType,
    /// What that said, and then what is configured.
    Append,
}

/// A value as configured.
enum Value {
    Fixed(Box<[u8]>),
    Made(SubstitutionFormat),
}

impl Tlvs {
    /// From its protos; `None` where there are no values.
    pub(super) fn from_proto(entries: Vec<core::TlvEntry>, policy: i32, at: &mut Scope<'_>) -> Option<Self> {
        let policy = match at.enumeration("proxy_protocol_tlv_merge_policy", policy) {
            ProxyProtocolTlvMergePolicy::AddIfAbsent => Policy::AddIfAbsent,
            ProxyProtocolTlvMergePolicy::OverwriteByTypeIfExistsOrAdd => Policy::OverwriteByType,
            ProxyProtocolTlvMergePolicy::AppendIfExistsOrAdd => Policy::Append,
        };
        let mut tlvs = Tlvs { fixed: Vec::new(), made: Vec::new(), policy };
        for (kind, value) in at.list("proxy_protocol_tlvs", entries, entry) {
            match value {
                Value::Fixed(value) => tlvs.fixed.push((kind, value)),
                Value::Made(format) => tlvs.made.push((kind, format)),
            }
        }
        (!(tlvs.fixed.is_empty() && tlvs.made.is_empty())).then_some(tlvs)
    }

    /// What a host is told of a connection whose client's header said this, if it had one.
    pub(super) fn values(&self, said: Option<&ProxiedValues>, info: &StreamInfo) -> ProxiedValues {
        match (said, self.policy) {
            (None, _) => self.own(info).collect(),
            (Some(said), Policy::AddIfAbsent) => said.clone(),
            (Some(said), Policy::OverwriteByType) => {
                let own: Vec<_> = self.own(info).collect();
                let is_other = |(kind, _): &&(u8, _)| !own.iter().any(|(known, _)| known == kind);
                let others: Vec<_> = said.iter().filter(is_other).cloned().collect();
                own.into_iter().chain(others).collect()
            }
            (Some(said), Policy::Append) => said.iter().cloned().chain(self.own(info)).collect(),
        }
    }

    /// The values of a connection: those that are the same for all first, as in Envoy.
    fn own<'v>(&'v self, info: &'v StreamInfo) -> impl Iterator<Item = (u8, Box<[u8]>)> + 'v {
        let made = move |(kind, format): &(u8, SubstitutionFormat)| {
            let mut value = Vec::new();
            render_substitution(format, &Context::without_headers(info), &mut value);
            (*kind, value.into_boxed_slice())
        };
        self.fixed.iter().cloned().chain(self.made.iter().map(made))
    }
}

fn entry(message: core::TlvEntry, at: &mut Scope<'_>) -> Option<(u8, Value)> {
    open! { at, core::TlvEntry = message; implemented { r#type, value, format_string } }
    let value = match (value.is_empty(), format_string) {
        (false, Some(_)) => {
            at.error("Invalid TLV configuration: only one of 'value' or 'format_string' may be set.");
            return None;
        }
        (true, None) => {
            at.error("Invalid TLV configuration: one of 'value' or 'format_string' must be set.");
            return None;
        }
        (false, None) => Value::Fixed(value.into()),
        (true, Some(format)) => {
            Value::Made(BodyFormat::from_proto(format, &mut at.field("format_string"))?.format)
        }
    };
    // A violation of the API is noted with the others.
    Some((u8::try_from(r#type).ok()?, value))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::observability::stream_info::{Address, ConnectionInfo};

    fn told(policy: Policy, said: Option<&[(u8, &str)]>) -> Vec<(u8, String)> {
        let value = |(kind, text): &(u8, &str)| (*kind, text.as_bytes().into());
        let tlvs = Tlvs { fixed: vec![value(&(1, "a")), value(&(2, "b"))], made: Vec::new(), policy };
        let said: Option<ProxiedValues> = said.map(|said| said.iter().map(value).collect());
        let address = || Address::Pipe("/a".into());
        let info = StreamInfo::of_connection(Rc::new(ConnectionInfo::new(1, address(), address())));
        let text = |(kind, value): &(u8, Box<[u8]>)| (*kind, String::from_utf8_lossy(value).into_owned());
        tlvs.values(said.as_ref(), &info).iter().map(text).collect()
    }

    #[test]
    fn values_of_the_client_stay_are_replaced_or_are_added_to() {
        let said: &[_] = &[(2, "x"), (3, "y")];
        for (policy, said, expected) in [
            (Policy::AddIfAbsent, None, "1a2b"),
            (Policy::AddIfAbsent, Some(&[][..]), ""),
            (Policy::AddIfAbsent, Some(said), "2x3y"),
            (Policy::OverwriteByType, Some(said), "1a2b3y"),
            (Policy::Append, Some(said), "2x3y1a2b"),
            (Policy::Append, None, "1a2b"),
        ] {
            let told: String = told(policy, said).iter().map(|(kind, text)| format!("{kind}{text}")).collect();
            assert_eq!(told, expected, "{policy:?} {said:?}");
        }
    }
}
