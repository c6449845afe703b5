//! Messages that come in several pieces.
//!
//! Protobuf lets a field that is a single message stand several times, and merges what it finds: laying one
//! configuration over another makes such messages. A constraint holds for the whole, so pieces are joined first.

use std::collections::BTreeMap;

use crate::{
    WireError,
    descriptor::{
        Message,
        rules::{MessageRules, bit},
    },
    wire::{Fields, Payload, put_bytes},
};

/// Whether a field that is a single message stands several times.
pub(super) fn is_in_pieces(
    bytes: &[u8],
    message: &'static Message,
    rules: &MessageRules,
) -> Result<bool, WireError> {
    let mut seen = 0;
    for field in Fields::new(bytes) {
        let (number, payload) = field?;
        // Of another wire type it is an unknown field, and no piece that joining would take away.
        if !matches!(payload, Payload::Bytes(_)) {
            continue;
        }
        let single = message.index_of(number).map_or(0, bit) & rules.single_messages;
        if seen & single != 0 {
            return Ok(true);
        }
        seen |= single;
    }
    Ok(false)
}

/// The message with each single message in one piece.
pub(super) fn join(
    bytes: &[u8],
    message: &'static Message,
    rules: &MessageRules,
) -> Result<Vec<u8>, WireError> {
    let (mut joined, mut pieces) = (Vec::with_capacity(bytes.len()), BTreeMap::<u32, Vec<u8>>::new());
    let mut fields = Fields::new(bytes);
    while let (before, Some(field)) = (fields.rest(), fields.next()) {
        let (number, payload) = field?;
        let is_single = message.index_of(number).map_or(0, bit) & rules.single_messages != 0;
        match payload {
            Payload::Bytes(piece) if is_single => pieces.entry(number).or_default().extend_from_slice(piece),
            _ => joined.extend_from_slice(&before[..before.len() - fields.rest().len()]),
        }
    }
    pieces.iter().for_each(|(number, piece)| put_bytes(&mut joined, *number, piece));
    Ok(joined)
}
