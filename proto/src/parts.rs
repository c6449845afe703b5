//! Parts of an encoded message, as they stand there.

use crate::{
    descriptor,
    wire::{Fields, Payload},
};

/// The encodings of the elements of a list of messages, which stands in no other list: `static_resources.clusters`.
///
/// They are in the list's order. Nothing where there is no such type or field, or where the bytes are no message.
pub fn elements<'a>(bytes: &'a [u8], message: &str, path: &str) -> Vec<&'a [u8]> {
    let mut message = descriptor::message(message);
    // A message that stands in several pieces has the elements of all of them, one piece after the other.
    let mut pieces = vec![bytes];
    for name in path.split('.') {
        let Some(field) = message.and_then(|message| message.field_named(name)) else { return Vec::new() };
        pieces = pieces.into_iter().flat_map(|piece| payloads(piece, field.number())).collect();
        message = field.message();
    }
    pieces
}

fn payloads(message: &[u8], wanted: u32) -> impl Iterator<Item = &[u8]> {
    Fields::new(message).filter_map(move |field| match field {
        Ok((number, Payload::Bytes(bytes))) if number == wanted => Some(bytes),
        _ => None,
    })
}

/// The numbers of the fields of an encoded message, as often as each stands there; up to what is no field.
pub fn numbers(message: &[u8]) -> impl Iterator<Item = u32> {
    Fields::new(message).map_while(|field| field.ok().map(|(number, _)| number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::put_bytes;

    #[test]
    fn elements_are_found_in_every_piece_of_what_holds_them() {
        let mut bytes = Vec::new();
        for clusters in [&[&b"\x0a\x01a"[..], b""][..], &[b"\x0a\x01c"]] {
            let mut resources = Vec::new();
            clusters.iter().for_each(|cluster| put_bytes(&mut resources, 2, cluster));
            put_bytes(&mut resources, 1, b"a listener");
            put_bytes(&mut bytes, 2, &resources);
        }
        let bootstrap = "envoy.config.bootstrap.v3.Bootstrap";
        let clusters: [&[u8]; 3] = [b"\x0a\x01a", b"", b"\x0a\x01c"];
        assert_eq!(elements(&bytes, bootstrap, "static_resources.clusters"), clusters);
        assert!(elements(&bytes, bootstrap, "static_resources.secrets").is_empty());
        assert!(elements(&bytes, bootstrap, "static_resources.nothing").is_empty());
        assert_eq!(numbers(&bytes).collect::<Vec<_>>(), [2, 2]);
    }
}
