//! A field of a message.

use std::sync::OnceLock;

use super::{Enum, Kind, Message, parse::number};
use crate::wire::Payload;

/// `FieldOptions.deprecated`.
pub(super) const OPTION_DEPRECATED: u32 = 3;
/// `udpa.annotations.sensitive`.
const OPTION_SENSITIVE: u32 = 76_569_463;
/// `envoy.annotations.disallowed_by_default`.
const OPTION_DISALLOWED: u32 = 189_503_207;
/// Our own, of the numbers that are free to use within an organisation: what `xtask` puts on the fields of `proto/newer`.
pub(super) const OPTION_NEWER: u32 = 50_001;

/// A field of a message.
#[derive(Debug)]
pub struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) json_name: &'static str,
    pub(super) kind: Kind,
    pub(super) type_name: &'static str,
    pub(super) repeated: bool,
    pub(super) oneof: Option<usize>,
    pub(super) optional: bool,
    pub(super) deprecated: bool,
    pub(super) newer: bool,
    pub(super) options: &'static [u8],
    pub(super) message: OnceLock<Option<&'static Message>>,
    pub(super) enumeration: OnceLock<Option<&'static Enum>>,
}

impl Field {
    /// The number on the wire.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The name as declared, in snake case.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The name in JSON, in camel case.
    pub fn json_name(&self) -> &'static str {
        self.json_name
    }

    /// The type of one value.
    #[inline]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The full name of the message or enum; empty for scalars.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// The message type; `None` when the field is no message.
    #[inline]
    pub fn message(&self) -> Option<&'static Message> {
        match self.kind {
            Kind::Message => *self.message.get_or_init(|| super::message(self.type_name)),
            _ => None,
        }
    }

    /// The enum type; `None` when the field is no enum.
    pub fn enumeration(&self) -> Option<&'static Enum> {
        match self.kind {
            Kind::Enum => *self.enumeration.get_or_init(|| super::enumeration(self.type_name)),
            _ => None,
        }
    }

    /// Whether the field holds any number of values; true for maps as well.
    #[inline]
    pub fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// Whether the field is a `map`.
    #[inline]
    pub fn is_map(&self) -> bool {
        self.repeated && self.message().is_some_and(Message::is_map_entry)
    }

    /// The index in [`Message::oneofs`] of the oneof this field belongs to.
    pub fn oneof(&self) -> Option<usize> {
        self.oneof
    }

    /// What an absent value means, as it would stand on the wire.
    pub(crate) fn empty(&self) -> Payload<'static> {
        match self.kind {
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => Payload::Fixed64(0),
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => Payload::Fixed32(0),
            Kind::String | Kind::Bytes | Kind::Message => Payload::Bytes(&[]),
            _ => Payload::Varint(0),
        }
    }

    /// Whether it can be told apart if the field is absent or has its default value.
    pub fn has_presence(&self) -> bool {
        !self.repeated && (self.kind == Kind::Message || self.optional || self.oneof.is_some())
    }

    /// Whether the API marks the field as deprecated.
    #[inline]
    pub fn is_deprecated(&self) -> bool {
        self.deprecated
    }

    /// Whether Envoy refuses the field unless the runtime allows it
    /// (`envoy.annotations.disallowed_by_default`).
    pub fn is_disallowed_by_default(&self) -> bool {
        number(self.options, OPTION_DISALLOWED) != 0
    }

    /// Whether the field is newer than the message's type in Rust, which drops it when decoding: `inspect` keeps it.
    #[inline]
    pub fn is_newer(&self) -> bool {
        self.newer
    }

    /// Whether the value is a secret that no dump may show (`udpa.annotations.sensitive`).
    pub fn is_sensitive(&self) -> bool {
        number(self.options, OPTION_SENSITIVE) != 0
    }

    /// The raw `google.protobuf.FieldOptions`.
    pub fn options(&self) -> &'static [u8] {
        self.options
    }
}
