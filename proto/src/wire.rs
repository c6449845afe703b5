//! The protobuf wire format, as far as descriptors need it: reading fields one by one, writing them.
//!
//! Nothing here knows a message, only the kinds of scalars. Reading borrows from the input and allocates nothing.

use std::ops::RangeInclusive;

use crate::descriptor::Kind;

/// How many messages may lie inside each other, as in protobuf's own parsers.
pub(crate) const MAX_DEPTH: usize = 100;

/// The value of one field as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Payload<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
    /// A group of proto2, skipped as a whole: Envoy's API has none.
    Group,
}

/// Why bytes are no protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The input ends inside a field.
    #[error("the message is cut off")]
    Truncated,
    /// A varint of more than ten bytes.
    #[error("a number is longer than ten bytes")]
    LongVarint,
    /// A field number of zero or above 2^29 - 1, or a wire type that does not exist.
    #[error("a field has an impossible key")]
    BadKey,
    /// More than 100 messages or groups inside each other.
    #[error("messages are nested more than 100 deep")]
    TooDeep,
}

/// The fields of one message, in the order of the wire.
///
/// Ends after the first error.
#[derive(Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn field(&mut self) -> Result<(u32, Payload<'a>), WireError> {
        let (number, wire_type) = self.key()?;
        Ok((number, self.payload(number, wire_type)?))
    }

    fn key(&mut self) -> Result<(u32, u8), WireError> {
        let key = u32::try_from(take_varint(&mut self.rest)?).map_err(|_| WireError::BadKey)?;
        match key >> 3 {
            0 => Err(WireError::BadKey),
            number => Ok((number, (key & 7) as u8)),
        }
    }

    #[inline]
    fn payload(&mut self, number: u32, wire_type: u8) -> Result<Payload<'a>, WireError> {
        Ok(match wire_type {
            0 => Payload::Varint(take_varint(&mut self.rest)?),
            1 => Payload::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = take_varint(&mut self.rest)?;
                let length = usize::try_from(length).map_err(|_| WireError::Truncated)?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
                self.rest = rest;
                Payload::Bytes(bytes)
            }
            3 => {
                self.skip_group(number)?;
                Payload::Group
            }
            5 => Payload::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(WireError::BadKey),
        })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }

    fn skip_group(&mut self, number: u32) -> Result<(), WireError> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            match self.key()? {
                (inner, 3) if open.len() == MAX_DEPTH => {
                    debug_assert_ne!(inner, 0, "key() refuses zero");
                    return Err(WireError::TooDeep);
                }
                (inner, 3) => open.push(inner),
                (end, 4) if end == innermost => drop(open.pop()),
                (inner, wire_type) => drop(self.payload(inner, wire_type)?),
            }
        }
        Ok(())
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Payload<'a>), WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Takes one varint off the front.
#[inline]
pub(crate) fn take_varint(rest: &mut &[u8]) -> Result<u64, WireError> {
    match rest.split_first() {
        // Most keys, lengths and numbers are a single byte.
        Some((&byte, after)) if byte < 0x80 => {
            *rest = after;
            Ok(byte.into())
        }
        _ => take_long_varint(rest),
    }
}

fn take_long_varint(rest: &mut &[u8]) -> Result<u64, WireError> {
    let mut value = 0_u64;
    for (index, &byte) in rest.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *rest = &rest[index + 1..];
            return Ok(value);
        }
    }
    Err(if rest.len() < 10 { WireError::Truncated } else { WireError::LongVarint })
}

/// Appends a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a varint field.
pub(crate) fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// Appends a length-delimited field.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u32, payload: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, payload.len() as u64);
    out.extend_from_slice(payload);
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &[u8]) -> Result<Vec<(u32, Payload<'_>)>, WireError> {
        Fields::new(message).collect()
    }

    #[test]
    fn fields_come_in_wire_order() {
        let mut message = Vec::new();
        put_number(&mut message, 3, 300);
        put_bytes(&mut message, 1, b"abc");
        message.extend_from_slice(&[0x15, 1, 0, 0, 0]);
        assert_eq!(
            read(&message),
            Ok(vec![(3, Payload::Varint(300)), (1, Payload::Bytes(b"abc")), (2, Payload::Fixed32(1))])
        );
    }

    #[test]
    fn a_group_is_skipped_with_all_inside() {
        assert_eq!(read(&[0x0b, 0x13, 0x08, 0x01, 0x14, 0x0c]), Ok(vec![(1, Payload::Group)]));
    }

    #[test]
    fn broken_input_is_an_error() {
        assert_eq!(read(&[0x08]), Err(WireError::Truncated));
        assert_eq!(read(&[0x0a, 5, 1]), Err(WireError::Truncated));
        assert_eq!(read(&[0x00, 1]), Err(WireError::BadKey));
        assert_eq!(read(&[0x0c]), Err(WireError::BadKey));
        assert_eq!(
            read(&[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
            Err(WireError::LongVarint)
        );
        assert_eq!(read(&[0x0b; 200]), Err(WireError::TooDeep));
    }
}
