//! Tags that are configured: `envoy.type.tracing.v3.CustomTag`.

use envoy_types::pb::envoy::r#type::metadata::v3::{MetadataKind, metadata_kind};
use envoy_types::pb::envoy::r#type::tracing::v3;
use envoy_types::pb::envoy::r#type::tracing::v3::custom_tag;

use crate::config::field::{Scope, open};
use crate::config::format::{Format, Formatters, MetadataOf};
use crate::config::matcher::canonical_name;
use crate::config::newer::envoy::r#type::tracing::v3 as newer;
use crate::config::route::{MetadataPath, metadata_path};

/// A tag of spans.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomTag {
    /// Its name.
    pub tag: String,
    /// Its value. Where that is empty there is no tag.
    pub value: TagValue,
    /// What it is told as, where that can be told of it; a text by default.
    pub value_type: ValueType,
}

/// `envoy.type.tracing.v3.CustomTag.ValueType`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValueType {
    /// `STRING`, and `UNSPECIFIED`
    #[default]
    Text,
    /// `INT`
    Int,
    /// `DOUBLE`
    Double,
    /// `BOOL`
    Bool,
}

/// What a tag tells.
#[derive(Clone, Debug, PartialEq)]
pub enum TagValue {
    /// Always this: `literal`, and `environment`, whose variables are read with the configuration.
    Fixed(String),
    /// `request_header`
    RequestHeader {
        /// In lower case.
        name: String,
        /// Where the request has none of that name.
        default_value: String,
    },
    /// `metadata`
    Metadata {
        /// Whose.
        of: MetadataOf,
        /// Where in it.
        path: MetadataPath,
        /// Where there is nothing that could be told.
        default_value: String,
    },
    /// `value`
    Format(Format),
}

impl CustomTag {
    /// A list of them. As in Envoy the first of a name counts, and they come in the order of their names.
    pub(super) fn list(messages: Vec<v3::CustomTag>, at: &mut Scope<'_>) -> Vec<Self> {
        let mut tags = at.list("custom_tags", messages, Self::from_proto);
        tags.sort_by(|one, other| one.tag.cmp(&other.tag));
        tags.dedup_by(|later, first| later.tag == first.tag);
        tags
    }

    fn from_proto(message: v3::CustomTag, at: &mut Scope<'_>) -> Option<Self> {
        use custom_tag::Type;
        open! { at, v3::CustomTag = message; implemented { tag, r#type } }
        open! { at, newer::CustomTag = at.newer(); implemented { value_type } }
        let value_type = match at.enumeration("value_type", value_type) {
            newer::custom_tag::ValueType::Unspecified | newer::custom_tag::ValueType::String => {
                ValueType::Text
            }
            newer::custom_tag::ValueType::Int => ValueType::Int,
            newer::custom_tag::ValueType::Double => ValueType::Double,
            newer::custom_tag::ValueType::Bool => ValueType::Bool,
        };
        let tag = at.required_string("tag", tag);
        let value = match at.required("type", r#type)? {
            Type::Literal(literal) => fixed(literal, &mut at.field("literal")),
            Type::Environment(variable) => environment(variable, &mut at.field("environment")),
            Type::RequestHeader(header) => request_header(header, &mut at.field("request_header")),
            Type::Metadata(place) => metadata(place, &mut at.field("metadata"))?,
            Type::Value(text) => {
                TagValue::Format(Format::read(&text, &Formatters::default(), &mut at.field("value"))?)
            }
        };
        Some(CustomTag { tag, value, value_type })
    }
}

fn fixed(message: custom_tag::Literal, at: &mut Scope<'_>) -> TagValue {
    open! { at, custom_tag::Literal = message; implemented { value } }
    TagValue::Fixed(at.required_string("value", value))
}

fn environment(message: custom_tag::Environment, at: &mut Scope<'_>) -> TagValue {
    open! { at, custom_tag::Environment = message; implemented { name, default_value } }
    let name = at.required_string("name", name);
    let is_name = !name.is_empty() && !name.contains(['=', '\0']);
    let value = is_name.then(|| std::env::var_os(&name)).flatten();
    TagValue::Fixed(value.map_or(default_value, |value| value.to_string_lossy().into_owned()))
}

fn request_header(message: custom_tag::Header, at: &mut Scope<'_>) -> TagValue {
    open! { at, custom_tag::Header = message; implemented { name, default_value } }
    TagValue::RequestHeader { name: canonical_name(&at.required_string("name", name)), default_value }
}

fn metadata(message: custom_tag::Metadata, at: &mut Scope<'_>) -> Option<TagValue> {
    use metadata_kind::Kind;
    open! { at, custom_tag::Metadata = message; implemented { kind, metadata_key, default_value } }
    let path = at.message("metadata_key", metadata_key, metadata_path)?;
    let at = &mut at.field("kind");
    let kind = kind.unwrap_or_default();
    open! { at, MetadataKind = kind; implemented { kind } }
    let of = match at.required("kind", kind)? {
        Kind::Request(message) => {
            open! { at, metadata_kind::Request = message; implemented {} }
            MetadataOf::Dynamic
        }
        Kind::Route(message) => {
            open! { at, metadata_kind::Route = message; implemented {} }
            MetadataOf::Route
        }
        Kind::Cluster(message) => {
            open! { at, metadata_kind::Cluster = message; implemented {} }
            MetadataOf::Cluster
        }
        Kind::Host(message) => {
            open! { at, metadata_kind::Host = message; implemented {} }
            MetadataOf::UpstreamHost
        }
    };
    Some(TagValue::Metadata { of, path, default_value })
}
