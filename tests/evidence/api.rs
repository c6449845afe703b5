//! The API that Envoy knows, read from its program, beside the descriptors that dragoman has.
//!
//! `envoy-types` is behind Envoy's releases: `proto/newer` adds what it lacks. Here it is said what that is: messages,
//! fields, values of enums, and what the options of fields ask of them.

use std::collections::BTreeSet;
use std::ops::Range;

use dragoman_proto::descriptor;
use prost::Message as _;
use prost::encoding::{DecodeContext, decode_key, skip_field};

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "only the way to Envoy is needed here")]
mod common;

/// Packages and messages of Envoy that are not ours, and why.
const LEFT_OUT: [(&str, &str); 9] = [
    ("envoy.data.ai.v3", OTHER_NAMES),
    ("envoy.extensions.filters.http.ai_protocol_manager.v3", OTHER_NAMES),
    ("envoy.extensions.http.ai_filters.schema_validation.v3", OTHER_NAMES),
    ("envoy.type.ai.v3", OTHER_NAMES),
    ("envoy.type", "the second version of the API, which Envoy does not read any more"),
    ("envoy.type.matcher", "the second version of the API, which Envoy does not read any more"),
    ("xds.annotations.v3", "they stand in descriptors alone"),
    ("xds.core.v3.Resource", "it stands in no configuration"),
    ("xds.core.v3.ResourceName", "it stands in no configuration"),
];

/// What is refused whole anyway.
const OTHER_NAMES: &str = "what is an `LLMProtocol` in the release is an `ApiProtocol` in the crate";

/// Where the files of the API lie.
const FOLDERS: [&[u8]; 3] = [b"envoy/", b"xds/", b"udpa/"];

#[test]
fn every_field_that_envoy_knows_is_known_here() {
    let Some(envoy) = common::envoy() else {
        println!("skipped: no envoy on the PATH and no ENVOY_BIN");
        return;
    };
    let program = std::fs::read(&envoy).unwrap_or_else(|error| panic!("{}: {error}", envoy.display()));
    let files = files(&program);
    assert!(files.len() > 400, "only {} files were found: the search is broken", files.len());
    let mut missing = BTreeSet::new();
    for file in &files {
        file.messages.iter().for_each(|message| of_message(&file.package, message, &mut missing));
        file.enums.iter().for_each(|enumeration| of_enum(&file.package, enumeration, &mut missing));
    }
    assert!(
        missing.is_empty(),
        "{} things of Envoy's API are not in proto/descriptors.bin. Add them below proto/newer (or to the list here, \
         with the reason) and run `cargo run -p xtask -- descriptors`.\n{}",
        missing.len(),
        missing.into_iter().collect::<Vec<_>>().join("\n")
    );
}

/// `google.protobuf.FileDescriptorProto`, as far as it is compared.
#[derive(Clone, PartialEq, prost::Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "4")]
    messages: Vec<Message>,
    #[prost(message, repeated, tag = "5")]
    enums: Vec<Enum>,
}

/// `google.protobuf.DescriptorProto`
#[derive(Clone, PartialEq, prost::Message)]
struct Message {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<Field>,
    #[prost(message, repeated, tag = "3")]
    nested: Vec<Message>,
    #[prost(message, repeated, tag = "4")]
    enums: Vec<Enum>,
}

/// `google.protobuf.FieldDescriptorProto`
#[derive(Clone, PartialEq, prost::Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "3")]
    number: u32,
    #[prost(string, tag = "6")]
    type_name: String,
    #[prost(message, optional, tag = "8")]
    options: Option<Options>,
}

/// `google.protobuf.FieldOptions` with what the API says there and is acted on.
#[derive(Clone, PartialEq, prost::Message)]
struct Options {
    #[prost(bool, tag = "3")]
    deprecated: bool,
    /// `validate.rules`
    #[prost(bytes = "vec", tag = "1071")]
    rules: Vec<u8>,
    /// `udpa.annotations.sensitive`
    #[prost(bool, tag = "76569463")]
    sensitive: bool,
    /// `envoy.annotations.disallowed_by_default`
    #[prost(bool, tag = "189503207")]
    disallowed_by_default: bool,
}

/// `google.protobuf.EnumDescriptorProto`
#[derive(Clone, PartialEq, prost::Message)]
struct Enum {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    values: Vec<Value>,
}

/// `google.protobuf.EnumValueDescriptorProto`
#[derive(Clone, PartialEq, prost::Message)]
struct Value {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int32, tag = "2")]
    number: i32,
}

fn is_left_out(name: &str) -> bool {
    LEFT_OUT.iter().any(|(left_out, _)| *left_out == name)
}

fn of_message(package: &str, message: &Message, missing: &mut BTreeSet<String>) {
    let name = format!("{package}.{}", message.name);
    if is_left_out(package) || is_left_out(&name) {
        return;
    }
    let Some(known) = descriptor::message(&name) else {
        missing.insert(format!("message {name}"));
        return;
    };
    for field in &message.fields {
        let full_name = format!("{name}.{} = {}", field.name, field.number);
        let same = known.field(field.number).filter(|known| {
            let type_name = field.type_name.trim_start_matches('.');
            known.name() == field.name && known.type_name() == type_name
        });
        let Some(same) = same else {
            missing.insert(format!("field {full_name}"));
            continue;
        };
        let options = Options::decode(same.options()).expect("options");
        if options != field.options.clone().unwrap_or_default() {
            missing.insert(format!("the rules of field {full_name}"));
        }
    }
    message.nested.iter().for_each(|nested| of_message(&name, nested, missing));
    message.enums.iter().for_each(|nested| of_enum(&name, nested, missing));
}

fn of_enum(package: &str, enumeration: &Enum, missing: &mut BTreeSet<String>) {
    let name = format!("{package}.{}", enumeration.name);
    let known = descriptor::enumeration(&name);
    for value in enumeration.values.iter().filter(|_| !is_left_out(package)) {
        if known.and_then(|known| known.value(value.number)).is_none() {
            missing.insert(format!("value {name}.{} = {}", value.name, value.number));
        }
    }
}

/// The files of the API in a program, which holds each in its encoding.
fn files(program: &[u8]) -> Vec<File> {
    // The end of a name, and the key of the package behind it.
    let names = memchr::memmem::find_iter(program, b".proto\x12");
    let starts = names.filter_map(|dot| start(program, dot + b".proto".len()));
    starts.filter_map(|start| File::decode(&program[extent(program, start)]).ok()).collect()
}

/// Where a file begins whose name ends here: with the key and the length of the name, which is one of the API's.
fn start(program: &[u8], end: usize) -> Option<usize> {
    const NAME: u8 = 0x0a;
    (1..0x80).find_map(|length: u8| {
        let name = end.checked_sub(usize::from(length))?;
        let start = name.checked_sub(2)?;
        let is_start = program[start..name] == [NAME, length];
        (is_start && FOLDERS.iter().any(|folder| program[name..end].starts_with(folder))).then_some(start)
    })
}

/// From the begin of a file to where its fields, which stand in the order of their numbers, end.
fn extent(program: &[u8], start: usize) -> Range<usize> {
    /// `FileDescriptorProto.syntax`, which is the last.
    const LAST: u32 = 12;
    let (mut rest, mut end, mut before) = (&program[start..], start, 0);
    while let Ok((number, wire_type)) = decode_key(&mut rest)
        && (before..=LAST).contains(&number)
        && before < LAST
        && skip_field(wire_type, number, &mut rest, DecodeContext::default()).is_ok()
    {
        end = program.len() - rest.len();
        before = number;
    }
    start..end
}
