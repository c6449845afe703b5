//! From the bytes of `google.protobuf.DescriptorProto` and its like to our types.
//!
//! The bytes are our own, part of the program and covered by tests that walk through all of them; what
//! could not be read would simply be missing.

use std::{collections::HashMap, sync::OnceLock};

use super::{
    DENSE, Enum, EnumValue, Field, Kind, Message, Method, NONE, Oneof, Service,
    field::{OPTION_DEPRECATED, OPTION_NEWER},
};
use crate::wire::{Fields, Payload};

/// `DescriptorProto.field`, `options` and `oneof_decl`.
const MESSAGE_FIELD: u32 = 2;
const MESSAGE_OPTIONS: u32 = 7;
const MESSAGE_ONEOF: u32 = 8;
/// `MessageOptions.map_entry`.
const OPTION_MAP_ENTRY: u32 = 7;
/// `name` in all descriptors.
const NAME: u32 = 1;

/// The payloads of a length-delimited field.
pub(super) fn submessages(message: &'static [u8], number: u32) -> impl Iterator<Item = &'static [u8]> {
    Fields::new(message).filter_map(move |field| match field {
        Ok((found, Payload::Bytes(bytes))) if found == number => Some(bytes),
        _ => None,
    })
}

/// A string field, empty when absent.
pub(super) fn string(message: &'static [u8], number: u32) -> &'static str {
    std::str::from_utf8(bytes(message, number)).unwrap_or_default()
}

fn bytes(message: &'static [u8], number: u32) -> &'static [u8] {
    submessages(message, number).next().unwrap_or_default()
}

/// A number field, zero when absent.
pub(super) fn number(message: &'static [u8], number: u32) -> u64 {
    let mut fields = Fields::new(message);
    let value = fields.find_map(|field| match field {
        Ok((found, Payload::Varint(value))) if found == number => Some(value),
        _ => None,
    });
    value.unwrap_or_default()
}

pub(super) fn message(descriptor: &'static [u8], full_name: &str) -> Option<(&'static str, Message)> {
    let full_name: &'static str = String::from(full_name).leak();
    let fields: Vec<Field> = submessages(descriptor, MESSAGE_FIELD).map(field).collect::<Option<_>>()?;
    let oneofs = submessages(descriptor, MESSAGE_ONEOF)
        .map(|oneof| Oneof { name: string(oneof, NAME), options: bytes(oneof, 2) })
        .collect();
    let options = bytes(descriptor, MESSAGE_OPTIONS);
    let message = Message {
        full_name,
        by_number: by_number(&fields),
        by_name: by_name(&fields),
        fields,
        oneofs,
        is_map_entry: number(options, OPTION_MAP_ENTRY) != 0,
        options,
        rules: OnceLock::new(),
    };
    Some((full_name, message))
}

fn by_number(fields: &[Field]) -> Vec<u16> {
    let dense = fields.iter().map(|field| field.number() as usize).filter(|&number| number < DENSE);
    let mut table = vec![NONE; dense.max().map_or(0, |highest| highest + 1)];
    for (index, field) in (0..).zip(fields) {
        if let Some(slot) = table.get_mut(field.number() as usize) {
            *slot = index;
        }
    }
    table
}

fn by_name(fields: &[Field]) -> HashMap<&'static str, u16> {
    let json_names = (0..).zip(fields).map(|(index, field)| (field.json_name(), index));
    let names = (0..).zip(fields).map(|(index, field)| (field.name(), index));
    json_names.chain(names).collect()
}

/// From `google.protobuf.FieldDescriptorProto`.
fn field(descriptor: &'static [u8]) -> Option<Field> {
    const LABEL_REPEATED: u64 = 3;
    let options = bytes(descriptor, 8);
    let has_oneof = Fields::new(descriptor).any(|field| matches!(field, Ok((9, _))));
    let is_optional = number(descriptor, 17) != 0;
    let oneof = (has_oneof && !is_optional).then(|| number(descriptor, 9) as usize);
    Some(Field {
        number: number(descriptor, 3) as u32,
        name: string(descriptor, NAME),
        json_name: string(descriptor, 10),
        kind: Kind::from_number(number(descriptor, 5))?,
        type_name: string(descriptor, 6).trim_start_matches('.'),
        repeated: number(descriptor, 4) == LABEL_REPEATED,
        oneof,
        optional: is_optional,
        deprecated: number(options, OPTION_DEPRECATED) != 0,
        newer: number(options, OPTION_NEWER) != 0,
        options,
        message: OnceLock::new(),
        enumeration: OnceLock::new(),
    })
}

/// From `google.protobuf.EnumDescriptorProto`.
pub(super) fn enumeration(descriptor: &'static [u8], full_name: &str) -> Option<(&'static str, Enum)> {
    let full_name: &'static str = String::from(full_name).leak();
    let value = |value| EnumValue {
        name: string(value, NAME),
        // Negative numbers are sign-extended to 64 bits on the wire.
        number: number(value, 2) as i32,
        deprecated: number(bytes(value, 3), 1) != 0,
    };
    Some((full_name, Enum { full_name, values: submessages(descriptor, 2).map(value).collect() }))
}

/// From `google.protobuf.ServiceDescriptorProto`.
pub(super) fn service(descriptor: &'static [u8], full_name: &str) -> Option<(&'static str, Service)> {
    let full_name: &'static str = String::from(full_name).leak();
    let method = |method| Method {
        name: string(method, NAME),
        input: string(method, 2).trim_start_matches('.'),
        output: string(method, 3).trim_start_matches('.'),
        client_streaming: number(method, 5) != 0,
        server_streaming: number(method, 6) != 0,
    };
    Some((full_name, Service { full_name, methods: submessages(descriptor, 2).map(method).collect() }))
}
