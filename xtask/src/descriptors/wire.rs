//! Messages on the wire, taken apart and put together without knowing their types.

use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};

use super::Outcome;

/// The payloads of all length-delimited occurrences of a field.
pub(super) fn length_delimited(message: &[u8], wanted: u32) -> Outcome<Vec<&[u8]>> {
    let mut found = Vec::new();
    visit(message, |number, wire_type, _, payload| {
        if number == wanted && wire_type == WireType::LengthDelimited {
            found.push(payload);
        }
    })?;
    Ok(found)
}

/// The message without a field.
pub(super) fn without(message: &[u8], dropped: u32) -> Outcome<Vec<u8>> {
    let mut kept = Vec::new();
    visit(message, |number, _, whole, _| {
        if number != dropped {
            kept.extend_from_slice(whole);
        }
    })?;
    Ok(kept)
}

/// Calls `each` with number, wire type, whole encoding and payload of every field of a message.
pub(super) fn visit<'a>(
    message: &'a [u8],
    mut each: impl FnMut(u32, WireType, &'a [u8], &'a [u8]),
) -> Outcome<()> {
    let mut rest = message;
    while !rest.is_empty() {
        let start = rest;
        let (number, wire_type) = decode_key(&mut rest)?;
        let length = match wire_type {
            WireType::LengthDelimited => usize::try_from(decode_varint(&mut rest)?)?,
            WireType::Varint => rest.iter().position(|byte| byte & 0x80 == 0).ok_or("cut off")? + 1,
            WireType::ThirtyTwoBit => 4,
            WireType::SixtyFourBit => 8,
            WireType::StartGroup | WireType::EndGroup => return Err("groups are not expected".into()),
        };
        let (payload, after) = rest.split_at_checked(length).ok_or("cut off")?;
        rest = after;
        each(number, wire_type, &start[..start.len() - rest.len()], payload);
    }
    Ok(())
}

pub(super) fn put(out: &mut Vec<u8>, number: u32, payload: &[u8]) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(payload.len() as u64, out);
    out.extend_from_slice(payload);
}

/// A string field; empty when absent.
pub(super) fn text(message: &[u8], wanted: u32) -> Outcome<&str> {
    Ok(std::str::from_utf8(length_delimited(message, wanted)?.first().copied().unwrap_or_default())?)
}

/// The message with each occurrence of a field in place of which `change` gives another; the rest is kept as it is.
pub(super) fn mapped(
    message: &[u8],
    wanted: u32,
    mut change: impl FnMut(&[u8]) -> Outcome<Vec<u8>>,
) -> Outcome<Vec<u8>> {
    let mut out = Vec::with_capacity(message.len());
    let mut done = Ok(());
    visit(message, |number, wire_type, whole, payload| {
        if number != wanted || wire_type != WireType::LengthDelimited {
            return out.extend_from_slice(whole);
        }
        match change(payload) {
            Ok(changed) => put(&mut out, wanted, &changed),
            Err(error) => done = Err(error),
        }
    })?;
    done.map(|()| out)
}
