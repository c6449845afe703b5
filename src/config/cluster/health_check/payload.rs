//! What checks send and expect: `envoy.config.core.v3.HealthCheck.Payload`.

use envoy_types::pb::envoy::config::core::v3::health_check as v3;

use crate::config::field::{Scope, open};

/// What has to come: these pieces, in this order, with whatever between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload(pub Vec<Vec<u8>>);

impl Payload {
    /// From the list `receive`.
    pub(super) fn from_proto(messages: Vec<v3::Payload>, at: &mut Scope<'_>) -> Self {
        Payload(at.list("receive", messages, bytes))
    }

    /// Whether anything has to come.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of it has come.
    pub fn is_in(&self, received: &[u8]) -> bool {
        let mut rest = received;
        self.0.iter().all(|piece| match memchr::memmem::find(rest, piece) {
            Some(start) => {
                rest = &rest[start + piece.len()..];
                true
            }
            None => false,
        })
    }

    /// Bytes that have to come at least.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }
}

/// The bytes of one piece: at least one.
pub(super) fn bytes(message: v3::Payload, at: &mut Scope<'_>) -> Option<Vec<u8>> {
    use v3::payload::Payload as Kind;
    open! { at, v3::Payload = message; implemented { payload } }
    match at.required("payload", payload)? {
        Kind::Text(text) => {
            let decoded = hex(&text).filter(|bytes| !bytes.is_empty());
            if decoded.is_none() {
                at.field("text").error(format!("invalid hex string '{text}'"));
            }
            decoded
        }
        Kind::Binary(bytes) => Some(bytes).filter(|bytes| !bytes.is_empty()),
    }
}

/// What pairs of hexadecimal digits stand for.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pair = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_in_their_order() {
        let payload = Payload(vec![b"ab".to_vec(), b"a".to_vec()]);
        for (received, is_in) in [("ab-a", true), ("xabxa", true), ("ab", false), ("aab", false), ("", false)]
        {
            assert_eq!(payload.is_in(received.as_bytes()), is_in, "{received}");
        }
        assert!(Payload::default().is_in(b""));
    }

    #[test]
    fn texts_are_hexadecimal() {
        assert_eq!(hex("6f4B"), Some(b"oK".to_vec()));
        assert_eq!([hex("6f4"), hex("zz"), hex("äb")], [None, None, None]);
    }
}
