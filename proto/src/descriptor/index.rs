//! Where each symbol lies in the embedded descriptors.
//!
//! Only top-level symbols are indexed, with names that borrow from the bytes; nested ones are found by
//! walking down from there. So the scan allocates one table and nothing else.

use std::{collections::HashMap, sync::OnceLock};

use super::parse::{string, submessages};

/// A `google.protobuf.FileDescriptorSet`, made by `cargo run -p xtask -- descriptors`.
static DESCRIPTORS: &[u8] = include_bytes!("../../descriptors.bin");

/// What a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Message,
    Enum,
    Service,
}

/// `FileDescriptorSet.file`.
const SET_FILE: u32 = 1;
/// `FileDescriptorProto.package`.
const FILE_PACKAGE: u32 = 2;
/// `FileDescriptorProto.message_type`, `enum_type` and `service`.
const FILE_SYMBOLS: [(u32, Kind); 3] = [(4, Kind::Message), (5, Kind::Enum), (6, Kind::Service)];
/// `DescriptorProto.nested_type` and `enum_type`.
const NESTED_MESSAGE: u32 = 3;
const NESTED_ENUM: u32 = 4;
/// `name` in the descriptors of messages, enums and services.
const NAME: u32 = 1;

type Index = HashMap<(&'static str, &'static str), (Kind, &'static [u8])>;

fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut index = Index::with_capacity(4096);
        for file in submessages(DESCRIPTORS, SET_FILE) {
            let package = string(file, FILE_PACKAGE);
            for (number, kind) in FILE_SYMBOLS {
                for symbol in submessages(file, number) {
                    index.insert((package, string(symbol, NAME)), (kind, symbol));
                }
            }
        }
        index.shrink_to_fit();
        index
    })
}

/// No name of the API is half as long. Names come from outside, and trying each dot takes quadratic time.
const LONGEST_NAME: usize = 512;

/// The descriptor of the symbol with this full name.
///
/// The name does not say where the package ends, so each dot is tried.
pub(super) fn find(full_name: &str, wanted: Kind) -> Option<&'static [u8]> {
    if full_name.len() > LONGEST_NAME {
        return None;
    }
    full_name.match_indices('.').find_map(|(dot, _)| {
        let (package, rest) = (&full_name[..dot], &full_name[dot + 1..]);
        let mut path = rest.split('.');
        let &(kind, symbol) = index().get(&(package, path.next()?))?;
        let (kind, symbol) = path.try_fold((kind, symbol), |(kind, symbol), name| match kind {
            Kind::Message => nested(symbol, name),
            Kind::Enum | Kind::Service => None,
        })?;
        (kind == wanted).then_some(symbol)
    })
}

fn nested(message: &'static [u8], name: &str) -> Option<(Kind, &'static [u8])> {
    let named = |number| submessages(message, number).find(|symbol| string(symbol, NAME) == name);
    let found = named(NESTED_MESSAGE).map(|symbol| (Kind::Message, symbol));
    found.or_else(|| named(NESTED_ENUM).map(|symbol| (Kind::Enum, symbol)))
}

/// The full names of all top-level messages.
pub(super) fn messages() -> impl Iterator<Item = String> {
    let messages = index().iter().filter(|(_, (kind, _))| *kind == Kind::Message);
    messages.map(|((package, name), _)| format!("{package}.{name}"))
}
