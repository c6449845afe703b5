//! Values of expressions.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Value as Json;

use super::{Attributes, Failure, Field, Record, Root};
use crate::base::headers::Headers;
use crate::config::bootstrap::Node;
use crate::config::endpoint::Locality;
use crate::config::matching::joined;

/// A value.
#[derive(Clone, Debug)]
pub enum Value<'v> {
    /// `null`
    Null,
    /// A truth.
    Bool(bool),
    /// A signed number.
    Int(i64),
    /// An unsigned number.
    Uint(u64),
    /// A number with a fraction.
    Double(f64),
    /// A text; headers may bring what is no UTF-8.
    String(Cow<'v, [u8]>),
    /// Bytes.
    Bytes(Cow<'v, [u8]>),
    /// Nanoseconds.
    Duration(i128),
    /// Nanoseconds since 1970, in UTC.
    Timestamp(i128),
    /// A list.
    List(List<'v>),
    /// Keys and their values.
    Map(Map<'v>),
    /// `envoy.config.core.v3.Metadata`
    Metadata(Option<&'v BTreeMap<String, Json>>),
    /// `envoy.config.core.v3.Node`
    Node(&'v Node),
    /// `envoy.config.core.v3.Locality`
    Locality(&'v Locality),
    /// Another message of the configuration.
    Record(&'v Record),
    /// The type of a value, by its name.
    Type(&'static str),
}

/// A list.
#[derive(Clone, Debug)]
pub enum List<'v> {
    /// That the expression made.
    Items(Rc<[Value<'v>]>),
    /// In metadata.
    Json(&'v [Json]),
    /// A repeated field of a message.
    Fields(&'v [Field]),
}

/// Keys and their values.
#[derive(Clone, Debug)]
pub enum Map<'v> {
    /// Those that the expression made.
    Entries(Rc<[(Value<'v>, Value<'v>)]>),
    /// An object in metadata.
    Json(&'v serde_json::Map<String, Json>),
    /// A field of a message.
    Fields(&'v BTreeMap<String, Field>),
    /// Metadata, by name.
    Namespaces(Option<&'v BTreeMap<String, Json>>),
    /// The headers or trailers of a message; values of one name with commas between them.
    Headers(&'v Headers),
    /// Attributes.
    Attributes(Root),
}

impl<'v> Value<'v> {
    pub(super) fn text(text: &'v str) -> Self {
        Value::String(Cow::Borrowed(text.as_bytes()))
    }

    pub(super) fn of_json(json: &'v Json) -> Self {
        match json {
            Json::Null => Value::Null,
            Json::Bool(truth) => Value::Bool(*truth),
            Json::Number(number) => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Value::text(text),
            Json::Array(items) => Value::List(List::Json(items)),
            Json::Object(fields) => Value::Map(Map::Json(fields)),
        }
    }

    fn of_field(field: &'v Field) -> Self {
        match field {
            Field::Text(text) => Value::text(text),
            Field::Int(number) => Value::Int(*number),
            Field::Uint(number) => Value::Uint(*number),
            Field::Bool(truth) => Value::Bool(*truth),
            Field::List(items) => Value::List(List::Fields(items)),
            Field::Map(entries) => Value::Map(Map::Fields(entries)),
            Field::Struct(Json::Object(fields)) => Value::Map(Map::Json(fields)),
            Field::Struct(_) => Value::Map(Map::Namespaces(None)),
            Field::Message(record, _) => Value::Record(record),
        }
    }

    /// Its type's name.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null_type",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Uint(_) => "uint",
            Value::Double(_) => "double",
            Value::String(_) => "string",
            Value::Bytes(_) => "bytes",
            Value::Duration(_) => "google.protobuf.Duration",
            Value::Timestamp(_) => "google.protobuf.Timestamp",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Metadata(_) => "envoy.config.core.v3.Metadata",
            Value::Node(_) => "envoy.config.core.v3.Node",
            Value::Locality(_) => "envoy.config.core.v3.Locality",
            Value::Record(record) => record.type_name,
            Value::Type(_) => "type",
        }
    }

    /// Whether they are equal. Numbers of all kinds are compared as numbers; what is of different types is not equal.
    pub(super) fn equals(&self, other: &Value<'v>) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::List(one), Value::List(other)) => {
                one.len() == other.len()
                    && (0..one.len()).all(|at| match (one.get(at), other.get(at)) {
                        (Some(one), Some(other)) => one.equals(&other),
                        _ => false,
                    })
            }
            (Value::Map(one), Value::Map(other)) => one.equals(other),
            (Value::Metadata(one), Value::Metadata(other)) => one == other,
            (Value::Node(one), Value::Node(other)) => one == other,
            (Value::Locality(one), Value::Locality(other)) => one == other,
            (Value::Record(one), Value::Record(other)) => one == other,
            (Value::Type(one), Value::Type(other)) => one == other,
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }

    /// Which comes first; `None` for what has no order.
    pub(super) fn compare(&self, other: &Value<'v>) -> Option<Ordering> {
        match (self, other) {
            (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
            (Value::String(one), Value::String(other)) | (Value::Bytes(one), Value::Bytes(other)) => {
                Some(one.cmp(other))
            }
            (Value::Duration(one), Value::Duration(other))
            | (Value::Timestamp(one), Value::Timestamp(other)) => Some(one.cmp(other)),
            (Value::Double(one), other) => one.partial_cmp(&other.number()?),
            (one, Value::Double(other)) => one.number()?.partial_cmp(other),
            (one, other) => Some(one.whole()?.cmp(&other.whole()?)),
        }
    }

    /// A number without a fraction.
    pub(super) fn whole(&self) -> Option<i128> {
        match self {
            Value::Int(number) => Some((*number).into()),
            Value::Uint(number) => Some((*number).into()),
            _ => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "as numbers of different kinds are compared")]
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Value::Double(number) => Some(*number),
            _ => self.whole().map(|number| number as f64),
        }
    }

    /// What a field or key leads to.
    pub(super) fn select(&self, field: &str, attributes: &'v dyn Attributes) -> Result<Value<'v>, Failure> {
        match self {
            Value::Map(map) => map.get_text(field, attributes),
            Value::Metadata(metadata) => match field {
                "filter_metadata" => Ok(Value::Map(Map::Namespaces(*metadata))),
                "typed_filter_metadata" => Ok(Value::Map(Map::Namespaces(None))),
                _ => Err(Failure::Error),
            },
            Value::Node(node) => match field {
                "id" => Ok(Value::text(&node.id)),
                "cluster" => Ok(Value::text(&node.cluster)),
                "user_agent_name" => Ok(Value::text(&node.user_agent_name)),
                // Of the two forms of a version a node has the other, whatever is configured.
                "user_agent_version" => Ok(Value::text("")),
                "client_features" => {
                    let features = node.client_features.iter().map(|feature| Value::text(feature));
                    Ok(Value::List(List::Items(features.collect())))
                }
                "metadata" => Ok(match &node.metadata {
                    Json::Object(fields) => Value::Map(Map::Json(fields)),
                    _ => Value::Map(Map::Namespaces(None)),
                }),
                "locality" => Ok(Value::Locality(&node.locality)),
                _ => node.record.get(field).map(Value::of_field).ok_or(Failure::Error),
            },
            Value::Record(record) => record.get(field).map(Value::of_field).ok_or(Failure::Error),
            Value::Locality(locality) => match field {
                "region" => Ok(Value::text(&locality.region)),
                "zone" => Ok(Value::text(&locality.zone)),
                "sub_zone" => Ok(Value::text(&locality.sub_zone)),
                _ => Err(Failure::Error),
            },
            _ => Err(Failure::Error),
        }
    }

    /// Whether a field or key is there.
    pub(super) fn has(&self, field: &str, attributes: &'v dyn Attributes) -> Result<bool, Failure> {
        match (self, self.select(field, attributes)) {
            (Value::Metadata(_), Ok(Value::Map(map))) => Ok(map.len() > 0),
            (Value::Record(record), Ok(_)) => Ok(record.get(field).is_some_and(Field::is_set)),
            (Value::Node(node), Ok(_)) if node.record.get(field).is_some() => {
                Ok(node.record.get(field).is_some_and(Field::is_set))
            }
            (Value::Node(_) | Value::Locality(_), Ok(value)) => Ok(!value.is_default()),
            (Value::Map(_), Ok(_)) => Ok(true),
            (Value::Map(_), Err(Failure::Error)) => Ok(false),
            (_, Err(failure)) => Err(failure),
            _ => Err(Failure::Error),
        }
    }
}

impl Value<'_> {
    /// Whether it is what a field of a message has that is not set.
    fn is_default(&self) -> bool {
        match self {
            Value::String(text) => text.is_empty(),
            Value::Map(map) => map.len() == 0,
            Value::List(list) => list.len() == 0,
            Value::Locality(locality) => **locality == Locality::default(),
            _ => false,
        }
    }
}

impl<'v> List<'v> {
    pub(super) fn len(&self) -> usize {
        match self {
            List::Items(items) => items.len(),
            List::Json(items) => items.len(),
            List::Fields(items) => items.len(),
        }
    }

    pub(super) fn get(&self, at: usize) -> Option<Value<'v>> {
        match self {
            List::Items(items) => items.get(at).cloned(),
            List::Json(items) => items.get(at).map(Value::of_json),
            List::Fields(items) => items.get(at).map(Value::of_field),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'v>> + use<'_, 'v> {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

impl<'v> Map<'v> {
    /// How many keys there are. Attributes are not counted, as in Envoy.
    pub(super) fn len(&self) -> usize {
        match self {
            Map::Entries(entries) => entries.len(),
            Map::Json(fields) => fields.len(),
            Map::Fields(fields) => fields.len(),
            Map::Namespaces(metadata) => metadata.map_or(0, BTreeMap::len),
            Map::Headers(headers) => headers.len(),
            Map::Attributes(_) => 0,
        }
    }

    /// Keys and values; `None` of attributes, which nobody can list.
    pub(super) fn entries(&self) -> Option<Vec<(Value<'v>, Value<'v>)>> {
        let objects = |key: &'v String, value: &'v Json| (Value::text(key), Value::of_json(value));
        Some(match self {
            Map::Entries(entries) => entries.to_vec(),
            Map::Json(fields) => fields.iter().map(|(key, value)| objects(key, value)).collect(),
            Map::Fields(fields) => {
                fields.iter().map(|(key, field)| (Value::text(key), Value::of_field(field))).collect()
            }
            Map::Namespaces(metadata) => {
                let metadata = (*metadata).into_iter().flat_map(BTreeMap::iter);
                metadata.map(|(key, value)| objects(key, value)).collect()
            }
            Map::Headers(headers) => {
                let names: BTreeSet<&[u8]> = headers.iter().map(|(name, _)| name.as_bytes()).collect();
                let value = |name: &'v [u8]| joined(headers, std::str::from_utf8(name).ok()?);
                let entry =
                    |name: &'v [u8]| Some((Value::String(Cow::Borrowed(name)), Value::String(value(name)?)));
                names.into_iter().filter_map(entry).collect()
            }
            Map::Attributes(_) => return None,
        })
    }

    pub(super) fn get(&self, key: &Value<'v>, attributes: &'v dyn Attributes) -> Result<Value<'v>, Failure> {
        match (self, key) {
            (Map::Entries(entries), key) => {
                let found = entries.iter().find(|(known, _)| known.equals(key));
                found.map(|(_, value)| value.clone()).ok_or(Failure::Error)
            }
            (_, Value::String(key)) => {
                self.get_text(std::str::from_utf8(key).map_err(|_| Failure::Error)?, attributes)
            }
            _ => Err(Failure::Error),
        }
    }

    fn get_text(&self, key: &str, attributes: &'v dyn Attributes) -> Result<Value<'v>, Failure> {
        let found = match self {
            Map::Entries(entries) => {
                let is_key =
                    |known: &Value<'_>| matches!(known, Value::String(known) if **known == *key.as_bytes());
                entries.iter().find(|(known, _)| is_key(known)).map(|(_, value)| value.clone())
            }
            Map::Json(fields) => fields.get(key).map(Value::of_json),
            Map::Fields(fields) => fields.get(key).map(Value::of_field),
            Map::Namespaces(metadata) => metadata.and_then(|metadata| metadata.get(key)).map(Value::of_json),
            Map::Headers(headers) => joined(headers, &key.to_ascii_lowercase()).map(Value::String),
            Map::Attributes(root) => return attributes.attribute(*root, key),
        };
        found.ok_or(Failure::Error)
    }

    fn equals(&self, other: &Map<'v>) -> bool {
        match (self, other) {
            (Map::Entries(one), Map::Entries(other)) => {
                let same = |(key, value): &(Value<'v>, Value<'v>)| {
                    other.iter().any(|(known, other)| known.equals(key) && value.equals(other))
                };
                one.len() == other.len() && one.iter().all(same)
            }
            (Map::Json(one), Map::Json(other)) => one == other,
            (Map::Fields(one), Map::Fields(other)) => one == other,
            (Map::Namespaces(one), Map::Namespaces(other)) => one == other,
            _ => false,
        }
    }
}
