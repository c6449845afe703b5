//! Extensions: configuration in an `Any` whose type decides who reads it.
//!
//! `config` knows extensions only as a table of type URL and parse function, handed in at start-up, so that a
//! filter's configuration can live in the filter's own file above this module.

use std::sync::Arc;

use dragoman_proto::encode::{Options, Unknown};
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::google::protobuf as pb;

pub use super::field::known::{Extension, ExtensionValue, Extensions, Parse, PerRoute, RegexLevels};
use super::field::{Scope, open};

/// One configured extension: its name as configured and its parsed configuration.
#[derive(Clone, Debug)]
pub struct ExtensionConfig {
    /// The name in the configuration, for example `envoy.filters.http.router`.
    pub name: String,
    /// Full message name of the configuration.
    pub type_name: &'static str,
    /// What the extension's parser made of it.
    pub value: Arc<dyn ExtensionValue>,
}

impl PartialEq for ExtensionConfig {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.type_name == other.type_name && self.value.equals(&*other.value)
    }
}

impl ExtensionConfig {
    /// The value as `T`, if it is one.
    pub fn downcast<T: 'static>(&self) -> Option<&T> {
        self.value.as_any().downcast_ref()
    }
}

impl ExtensionConfig {
    /// From the `Any` of an extension of this name, which has to be one of `known`.
    pub fn from_any(name: &str, any: pb::Any, known: &[Extension], at: &mut Scope<'_>) -> Option<Self> {
        let type_name = contained_type(&any);
        let Some(extension) = find(&type_name, known) else {
            unknown(name, &type_name, known, at);
            return None;
        };
        let (_, bytes) = unwrap(any, at)?;
        let value = (extension.parse)(&bytes, at)?;
        Some(ExtensionConfig { name: name.to_owned(), type_name: extension.type_name, value })
    }
}

impl ExtensionConfig {
    /// From the message that names an extension and holds its configuration.
    pub fn from_typed(
        message: core::TypedExtensionConfig,
        known: &[Extension],
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, core::TypedExtensionConfig = message; implemented { name, typed_config } }
        let name = at.required_string("name", name);
        let any = typed_config.unwrap_or_default();
        Self::from_any(&name, any, known, &mut at.field("typed_config"))
    }
}

/// The known extension of this type.
pub fn find<'a>(type_name: &str, known: &'a [Extension]) -> Option<&'a Extension> {
    known.iter().find(|extension| extension.type_name == type_name)
}

/// Notes that nothing known takes this type; Envoy's words, then what would be accepted.
pub(super) fn unknown(name: &str, type_name: &str, known: &[Extension], at: &mut Scope<'_>) {
    let known: Vec<_> = known.iter().map(|extension| extension.type_name).collect();
    let hint = match dragoman_proto::nearest_type(type_name, known.iter()) {
        Some(nearest) => format!("did you mean '{nearest}'?"),
        None if known.is_empty() => "none is known".to_owned(),
        None => format!("known: {}", known.join(", ")),
    };
    at.unsupported(format!(
        "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'; {hint}"
    ));
}

/// The full name of the message that a type URL stands for: all behind the last slash.
pub fn type_name(type_url: &str) -> &str {
    type_url.rsplit_once('/').map_or(type_url, |(_, name)| name)
}

/// What both kinds of `TypedStruct` begin with.
#[derive(Clone, PartialEq, prost::Message)]
struct TypedStructHead {
    #[prost(string, tag = "1")]
    type_url: String,
}

/// The full name of the message in an `Any`, for a `TypedStruct` that of the message it stands for.
pub fn contained_type(any: &pb::Any) -> String {
    let name = type_name(&any.type_url);
    if dragoman_proto::is_typed_struct(name)
        && let Ok(head) = <TypedStructHead as prost::Message>::decode(any.value.as_slice())
    {
        return type_name(&head.type_url).to_owned();
    }
    name.to_owned()
}

/// The name of the message in an `Any` and its bytes; a `TypedStruct` is turned into the message it stands for.
pub(super) fn unwrap(any: pb::Any, at: &mut Scope<'_>) -> Option<(String, Vec<u8>)> {
    let name = type_name(&any.type_url).to_owned();
    if !dragoman_proto::is_typed_struct(&name) {
        return Some((name, any.value));
    }
    let unknown = if at.extensions().reject_unknown_fields { Unknown::Reject } else { Unknown::Collect };
    match dragoman_proto::typed_struct_to_any(&any.value, &Options { unknown }) {
        Ok((type_url, message)) => {
            for field in message.unknown {
                at.below(&field.path).note(format!("ignored: {}", field.message));
            }
            let name = type_name(&type_url).to_owned();
            at.inspect(&message.bytes, &name);
            Some((name, message.bytes))
        }
        Err(problems) => {
            for problem in problems {
                at.below(&problem.path).violation(problem.message);
            }
            None
        }
    }
}

/// Reads what an extension is told, from the bytes of its message.
pub fn read_value<M, T>(
    bytes: &[u8],
    at: &mut Scope<'_>,
    convert: impl FnOnce(M, &mut Scope<'_>) -> Option<T>,
) -> Option<Arc<dyn ExtensionValue>>
where
    M: prost::Message + prost::Name + Default,
    T: ExtensionValue,
{
    let value = at.decode(bytes).and_then(|message| convert(message, at))?;
    Some(Arc::new(value))
}

/// The message in an `Any`, which has to be of this type.
pub fn read<M>(any: pb::Any, at: &mut Scope<'_>) -> Option<M>
where
    M: prost::Message + prost::Name + Default,
{
    let (name, bytes) = unwrap(any, at)?;
    let expected = M::full_name();
    if name != expected {
        at.violation(format!("expected a {expected}, not a {name}"));
        return None;
    }
    at.decode(&bytes)
}
