//! Scalars: which wire form belongs to which type.

use std::ops::RangeInclusive;

use super::{Payload, WireError, put_bytes, put_varint, take_varint};
use crate::kind::Kind;

/// A scalar in its wire form.
#[derive(Debug, PartialEq)]
pub(crate) enum Scalar {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
    Bytes(Vec<u8>),
}

impl Scalar {
    /// Whether this is what an absent field means.
    pub(crate) fn is_default(&self) -> bool {
        match self {
            Self::Varint(value) | Self::Fixed64(value) => *value == 0,
            Self::Fixed32(value) => *value == 0,
            Self::Bytes(value) => value.is_empty(),
        }
    }

    /// Appends key and value.
    pub(crate) fn put(&self, number: u32, out: &mut Vec<u8>) {
        let wire_type = match self {
            Self::Varint(_) => 0,
            Self::Fixed64(_) => 1,
            Self::Bytes(value) => return put_bytes(out, number, value),
            Self::Fixed32(_) => 5,
        };
        put_varint(out, u64::from(number) << 3 | wire_type);
        self.put_value(out);
    }

    /// Appends the value alone, as it stands in a packed list.
    pub(crate) fn put_value(&self, out: &mut Vec<u8>) {
        match self {
            Self::Varint(value) => put_varint(out, *value),
            Self::Fixed32(value) => out.extend_from_slice(&value.to_le_bytes()),
            Self::Fixed64(value) => out.extend_from_slice(&value.to_le_bytes()),
            Self::Bytes(value) => out.extend_from_slice(value),
        }
    }
}

/// The whole numbers that a type can hold; those of 64 bits for types that hold no whole numbers.
pub(crate) fn integer_bounds(kind: Kind) -> RangeInclusive<i128> {
    match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => i32::MIN.into()..=i32::MAX.into(),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => i64::MIN.into()..=i64::MAX.into(),
        Kind::Uint32 | Kind::Fixed32 => 0..=u32::MAX.into(),
        _ => 0..=u64::MAX.into(),
    }
}

/// The wire form of a whole number of this type, which must be within its bounds.
pub(crate) fn integer_on_the_wire(value: i128, kind: Kind) -> Scalar {
    match kind {
        Kind::Fixed32 | Kind::Sfixed32 => Scalar::Fixed32(value as u32),
        Kind::Fixed64 | Kind::Sfixed64 => Scalar::Fixed64(value as u64),
        Kind::Sint32 | Kind::Sint64 => Scalar::Varint(((value << 1) ^ (value >> 127)) as u64),
        _ => Scalar::Varint(value as u64),
    }
}

/// Whether a single value on the wire may be of this type.
pub(crate) fn scalar_fits(kind: Kind, payload: &Payload<'_>) -> bool {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => matches!(payload, Payload::Fixed64(_)),
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => matches!(payload, Payload::Fixed32(_)),
        Kind::String | Kind::Bytes | Kind::Message => matches!(payload, Payload::Bytes(_)),
        _ => matches!(payload, Payload::Varint(_)),
    }
}

/// Calls `each` with every value of a packed list.
pub(crate) fn unpack(
    kind: Kind,
    mut packed: &[u8],
    mut each: impl FnMut(Payload<'static>),
) -> Result<(), WireError> {
    while !packed.is_empty() {
        each(match kind {
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => {
                Payload::Fixed64(u64::from_le_bytes(take_array(&mut packed)?))
            }
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => {
                Payload::Fixed32(u32::from_le_bytes(take_array(&mut packed)?))
            }
            _ => Payload::Varint(take_varint(&mut packed)?),
        });
    }
    Ok(())
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], WireError> {
    let (array, after) = rest.split_first_chunk().ok_or(WireError::Truncated)?;
    *rest = after;
    Ok(*array)
}

/// The number that a zigzag encoding stands for.
pub(crate) fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
