//! What Envoy has added to files of envoy-types: the files below `proto/newer`.
//!
//! Each says only what is new, as a file of the name that it adds to, in a package of its own: `newer.` and that of the
//! file. So they compile beside what they add to, and may use all of it by its full name. They are merged at wire level.
//!
//! A field that a message of envoy-types gets is marked by an option: the message's type in Rust knows nothing of it.
//! One that the message has already gets the options that are given here, in place of its own.

use std::collections::BTreeMap;

use super::Outcome;
use super::wire::{length_delimited, mapped, put, text, without};

/// Before the names of files, and of packages.
const FOLDER: &str = "newer/";
const PACKAGE: &str = "newer.";

/// `name` in all descriptors but that of a field's type.
const NAME: u32 = 1;
/// Of `FileDescriptorProto`.
const FILE_PACKAGE: u32 = 2;
const FILE_DEPENDENCY: u32 = 3;
const FILE_MESSAGE: u32 = 4;
const FILE_ENUM: u32 = 5;
/// Of `DescriptorProto`.
const MESSAGE_FIELD: u32 = 2;
const MESSAGE_NESTED: u32 = 3;
const MESSAGE_ENUM: u32 = 4;
const MESSAGE_ONEOF: u32 = 8;
/// `EnumDescriptorProto.value`.
const ENUM_VALUE: u32 = 2;
/// Of `FieldDescriptorProto`.
const FIELD_TYPE_NAME: u32 = 6;
const FIELD_OPTIONS: u32 = 8;

/// `[(dragoman.newer) = true]`: `dragoman_proto::descriptor::Field::is_newer` reads it.
const MARK: [u8; 4] = [0x88, 0xb5, 0x18, 0x01];

/// The files that are not merged yet, by the names of those that they add to.
pub(super) struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// From a compiled `FileDescriptorSet`.
    pub(super) fn read(set: &[u8]) -> Outcome<Self> {
        let mut files = BTreeMap::new();
        for file in length_delimited(set, super::SET_FILE)? {
            let file = in_place(file)?;
            files.insert(text(&file, NAME)?.to_owned(), file);
        }
        Ok(Self(files))
    }

    /// The file of this name with what is new in it.
    pub(super) fn added_to(&mut self, name: &str, file: Vec<u8>) -> Outcome<Vec<u8>> {
        match self.0.remove(name) {
            Some(newer) => merge_file(file, &newer).map_err(|error| format!("{name}: {error}").into()),
            None => Ok(file),
        }
    }

    /// Files that envoy-types does not have at all.
    pub(super) fn others(self) -> Vec<Vec<u8>> {
        self.0.into_values().collect()
    }
}

/// The file with the names of what it adds to.
fn in_place(file: &[u8]) -> Outcome<Vec<u8>> {
    let less = |prefix: &'static str| {
        move |name: &[u8]| {
            Ok(name.strip_prefix(prefix.as_bytes()).ok_or("a file of another folder or package")?.to_vec())
        }
    };
    let file = mapped(file, NAME, less(FOLDER))?;
    let file = mapped(&file, FILE_PACKAGE, less(PACKAGE))?;
    mapped(&file, FILE_MESSAGE, message_in_place)
}

fn message_in_place(message: &[u8]) -> Outcome<Vec<u8>> {
    let message = mapped(message, MESSAGE_NESTED, message_in_place)?;
    mapped(&message, MESSAGE_FIELD, |field| {
        mapped(field, FIELD_TYPE_NAME, |name| {
            let own = name.strip_prefix(b".").and_then(|name| name.strip_prefix(PACKAGE.as_bytes()));
            Ok(own.map_or_else(|| name.to_vec(), |name| [b".", name].concat()))
        })
    })
}

fn merge_file(mut file: Vec<u8>, newer: &[u8]) -> Outcome<Vec<u8>> {
    let known: Vec<Vec<u8>> =
        length_delimited(&file, FILE_DEPENDENCY)?.into_iter().map(<[u8]>::to_vec).collect();
    for import in length_delimited(newer, FILE_DEPENDENCY)? {
        if !known.iter().any(|known| known == import) {
            put(&mut file, FILE_DEPENDENCY, import);
        }
    }
    let file = merge_named(file, newer, FILE_MESSAGE, merge_message)?;
    merge_named(file, newer, FILE_ENUM, merge_enum)
}

fn merge_message(message: Vec<u8>, newer: &[u8]) -> Outcome<Vec<u8>> {
    if !length_delimited(newer, MESSAGE_ONEOF)?.is_empty() {
        return Err("oneofs cannot be added to a message".into());
    }
    let mut message = merge_named(message, newer, MESSAGE_NESTED, merge_message)?;
    message = merge_named(message, newer, MESSAGE_ENUM, merge_enum)?;
    for field in length_delimited(newer, MESSAGE_FIELD)? {
        let name = text(field, NAME)?;
        if find(&message, MESSAGE_FIELD, name)?.is_none() {
            put(&mut message, MESSAGE_FIELD, &with_options(field, field, &MARK)?);
            continue;
        }
        message = mapped(&message, MESSAGE_FIELD, |known| match text(known, NAME)? == name {
            true => with_options(known, field, &[]),
            false => Ok(known.to_vec()),
        })?;
    }
    Ok(message)
}

/// A field with the options of another, and more.
fn with_options(field: &[u8], other: &[u8], more: &[u8]) -> Outcome<Vec<u8>> {
    let options = [&length_delimited(other, FIELD_OPTIONS)?.concat(), more].concat();
    let mut field = without(field, FIELD_OPTIONS)?;
    put(&mut field, FIELD_OPTIONS, &options);
    Ok(field)
}

fn merge_enum(mut enumeration: Vec<u8>, newer: &[u8]) -> Outcome<Vec<u8>> {
    for value in length_delimited(newer, ENUM_VALUE)? {
        if find(&enumeration, ENUM_VALUE, text(value, NAME)?)?.is_none() {
            put(&mut enumeration, ENUM_VALUE, value);
        }
    }
    Ok(enumeration)
}

/// Merges the children of one kind: those that there are by `merge`, the others as they are.
fn merge_named(
    parent: Vec<u8>,
    newer: &[u8],
    kind: u32,
    merge: fn(Vec<u8>, &[u8]) -> Outcome<Vec<u8>>,
) -> Outcome<Vec<u8>> {
    let mut merged = mapped(&parent, kind, |child| match find(newer, kind, text(child, NAME)?)? {
        Some(newer) => merge(child.to_vec(), newer),
        None => Ok(child.to_vec()),
    })?;
    for child in length_delimited(newer, kind)? {
        if find(&parent, kind, text(child, NAME)?)?.is_none() {
            put(&mut merged, kind, child);
        }
    }
    Ok(merged)
}

/// The child of this kind and name.
fn find<'a>(parent: &'a [u8], kind: u32, name: &str) -> Outcome<Option<&'a [u8]>> {
    for child in length_delimited(parent, kind)? {
        if text(child, NAME)? == name {
            return Ok(Some(child));
        }
    }
    Ok(None)
}
