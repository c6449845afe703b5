//! `xds.type.v3.TypedStruct` and its older twin in `udpa.type.v1`: a message as a `Struct` with its type.
//!
//! Control planes that do not have a message's definition send its configuration that way. Envoy turns it
//! into the message itself before it looks at it.

use crate::{
    Diagnostic, WireError,
    descriptor::name_of_url,
    encode::{Encoded, Options, encode},
    tree::{Entry, Node, Position, Value},
    wire::{Fields, MAX_DEPTH, Payload},
};

/// Whether this is the full name of one of the two TypedStructs.
pub fn is_typed_struct(message: &str) -> bool {
    matches!(message, "xds.type.v3.TypedStruct" | "udpa.type.v1.TypedStruct")
}

/// Converts an encoded TypedStruct into the message it stands for: its type URL and its encoding.
///
/// # Errors
///
/// The bytes are no TypedStruct, there is no message type of this name, or the value is no such message.
/// The errors have no line, and paths within the value.
pub fn typed_struct_to_any(
    typed_struct: &[u8],
    options: &Options,
) -> Result<(String, Encoded), Vec<Diagnostic>> {
    let fail = |message: String| vec![Diagnostic::at(Position::default(), "", message)];
    let malformed = |error: WireError| fail(format!("not a TypedStruct: {error}"));
    let (mut type_url, mut value) = (String::new(), Vec::new());
    for field in Fields::new(typed_struct) {
        match field.map_err(malformed)? {
            (1, Payload::Bytes(url)) => type_url = String::from_utf8_lossy(url).into_owned(),
            (2, Payload::Bytes(bytes)) => value.extend_from_slice(bytes),
            _ => {}
        }
    }
    let name = type_url.rsplit('/').next().unwrap_or_default();
    if name.is_empty() {
        return Err(fail(format!("`type_url` is no type URL: `{type_url}`")));
    }
    let root = Node::of_struct(&value).map_err(malformed)?;
    let encoded = encode(&root, name, options)?;
    // Unlike in an Any, Envoy takes a bare name here.
    let is_url = name_of_url(&type_url).is_some();
    Ok((if is_url { type_url } else { format!("type.googleapis.com/{name}") }, encoded))
}

impl Node {
    /// The tree of an encoded `google.protobuf.Struct`; it has no positions.
    ///
    /// # Errors
    ///
    /// The bytes are no message, or nested more than 100 levels deep.
    pub fn of_struct(bytes: &[u8]) -> Result<Self, WireError> {
        structure(bytes, 0).map(placeless)
    }
}

fn placeless(value: Value) -> Node {
    Node { value, at: Position::default() }
}

fn structure(bytes: &[u8], depth: usize) -> Result<Value, WireError> {
    let mut entries: Vec<Entry> = Vec::new();
    for field in Fields::new(bytes) {
        let (1, Payload::Bytes(pair)) = field? else { continue };
        let (mut key, mut value) = (String::new(), Value::Null);
        for field in Fields::new(pair) {
            match field? {
                (1, Payload::Bytes(text)) => key = String::from_utf8_lossy(text).into_owned(),
                (2, Payload::Bytes(bytes)) => value = dynamic(bytes, depth)?,
                _ => {}
            }
        }
        entries.push(Entry { key, at: Position::default(), value: placeless(value) });
    }
    Ok(Value::Map(entries))
}

fn list(bytes: &[u8], depth: usize) -> Result<Value, WireError> {
    let mut elements = Vec::new();
    for field in Fields::new(bytes) {
        if let (1, Payload::Bytes(element)) = field? {
            elements.push(placeless(dynamic(element, depth)?));
        }
    }
    Ok(Value::List(elements))
}

fn dynamic(bytes: &[u8], depth: usize) -> Result<Value, WireError> {
    if depth == MAX_DEPTH {
        return Err(WireError::TooDeep);
    }
    let mut value = Value::Null;
    for field in Fields::new(bytes) {
        value = match field? {
            (1, Payload::Varint(_)) => Value::Null,
            (2, Payload::Fixed64(bits)) => number(f64::from_bits(bits)),
            (3, Payload::Bytes(text)) => Value::String(String::from_utf8_lossy(text).into_owned()),
            (4, Payload::Varint(value)) => Value::Bool(value != 0),
            (5, Payload::Bytes(inner)) => structure(inner, depth + 1)?,
            (6, Payload::Bytes(inner)) => list(inner, depth + 1)?,
            _ => continue,
        };
    }
    Ok(value)
}

/// A number as it would stand in JSON, which has no infinite ones.
fn number(value: f64) -> Value {
    match value {
        _ if value.is_nan() => Value::String("NaN".into()),
        f64::INFINITY => Value::String("Infinity".into()),
        f64::NEG_INFINITY => Value::String("-Infinity".into()),
        _ => Value::Float(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::parse_yaml;

    fn convert(value: &str) -> Result<(String, Vec<u8>), Vec<Diagnostic>> {
        let text = format!("type_url: type.googleapis.com/envoy.config.cluster.v3.Cluster\nvalue: {value}");
        let document = parse_yaml(&text).expect("YAML");
        let bytes =
            encode(&document.root, "xds.type.v3.TypedStruct", &Options::default()).expect("encodes").bytes;
        typed_struct_to_any(&bytes, &Options::default()).map(|(url, encoded)| (url, encoded.bytes))
    }

    #[test]
    fn a_struct_becomes_the_message_it_names() {
        let (url, bytes) =
            convert("{name: c, connectTimeout: 5s, per_connection_buffer_limit_bytes: 9}").expect("converts");
        assert_eq!(url, "type.googleapis.com/envoy.config.cluster.v3.Cluster");
        assert_eq!(bytes, b"\x0a\x01c\x22\x02\x08\x05\x2a\x02\x08\x09");
    }

    #[test]
    fn the_type_may_be_a_bare_name() {
        let bytes = b"\x0a\x18google.protobuf.Duration\x12\x00";
        let (url, _) = typed_struct_to_any(bytes, &Options::default()).expect("converts");
        assert_eq!(url, "type.googleapis.com/google.protobuf.Duration");
    }

    #[test]
    fn what_is_wrong_is_told_with_the_path() {
        let errors = convert("{name: [1], nme: c}").expect_err("two errors");
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors[0], "name: expected a string, found a list");
        assert!(
            errors[1].starts_with("nme: envoy.config.cluster.v3.Cluster has no field `nme`"),
            "{}",
            errors[1]
        );
    }

    #[test]
    fn a_type_that_does_not_exist_is_an_error() {
        for bytes in [&b""[..], b"\x0a\x03a/b", b"\x0a\x02a/", b"\x0a\x01a"] {
            assert!(typed_struct_to_any(bytes, &Options::default()).is_err());
        }
    }
}
