//! `envoy.filters.udp.session.http_capsule`: datagrams in capsules (RFC 9297), as CONNECT-UDP carries them (RFC 9298).
//!
//! As in Envoy what a host sends that is no capsule ends hearing it, and not the session.

use std::cell::RefCell;
use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::udp::udp_proxy::session::http_capsule::v3::FilterConfig;

use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::observability::stats::Registry;

use super::{Factory, Filter, Next, read};

/// The session filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.udp.session.http_capsule",
    type_name: "envoy.extensions.filters.udp.udp_proxy.session.http_capsule.v3.FilterConfig",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// The type of a capsule that holds a datagram (RFC 9297 §3.5).
const DATAGRAM: u64 = 0;
/// The context of a datagram that is the payload of a packet of UDP (RFC 9298 §4).
const PAYLOAD: u64 = 0;
/// Bytes of a capsule that is not there as a whole; as many as Envoy keeps.
const LONGEST_CAPSULE: usize = 1 << 20;
/// Room before a datagram: type, length and context.
const OVERHEAD: usize = 10;

/// There is nothing to configure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config;

impl Config {
    #[expect(clippy::unnecessary_wraps, reason = "other configurations can be wrong")]
    fn from_proto(message: FilterConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, FilterConfig = message; implemented {} }
        Some(Config)
    }
}

pub(super) fn make(_: &Config, _: &Registry) -> Arc<dyn Factory> {
    Arc::new(Config)
}

impl Factory for Config {
    fn filter(&self) -> Box<dyn Filter> {
        Box::new(Capsules::default())
    }
}

/// The filter of a session.
#[derive(Debug, Default)]
struct Capsules {
    /// A capsule of the host whose end has not come.
    begun: RefCell<Vec<u8>>,
    /// Whether the host sent what is no capsule.
    broken: std::cell::Cell<bool>,
}

impl Filter for Capsules {
    fn up(&self, datagram: &[u8], next: Next<'_>) {
        let mut capsule = Vec::with_capacity(datagram.len() + OVERHEAD);
        write_varint(DATAGRAM, &mut capsule);
        write_varint(datagram.len() as u64 + 1, &mut capsule);
        write_varint(PAYLOAD, &mut capsule);
        capsule.extend_from_slice(datagram);
        next(&capsule);
    }

    fn down(&self, data: &[u8], next: Next<'_>) {
        if self.broken.get() {
            return;
        }
        let mut begun = self.begun.borrow_mut();
        begun.extend_from_slice(data);
        let mut rest = &begun[..];
        while let Some((capsule, after)) = Capsule::split(rest) {
            rest = after;
            match capsule.payload() {
                Ok(Some(datagram)) => next(datagram),
                // What is not understood is passed over (RFC 9297 §3.2, RFC 9298 §4).
                Ok(None) => {}
                Err(Malformed) => return self.give_up(&mut begun),
            }
        }
        let done = begun.len() - rest.len();
        begun.drain(..done);
        if begun.len() > LONGEST_CAPSULE {
            self.give_up(&mut begun);
        }
    }
}

impl Capsules {
    fn give_up(&self, begun: &mut Vec<u8>) {
        tracing::debug!(target: "udp", "a host sends what is no capsule");
        self.broken.set(true);
        *begun = Vec::new();
    }
}

/// A capsule (RFC 9297 §3.2).
struct Capsule<'a> {
    kind: u64,
    value: &'a [u8],
}

/// A datagram without a context.
struct Malformed;

impl<'a> Capsule<'a> {
    /// The capsule at the beginning, and what follows; `None` where its end has not come.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (kind, rest) = read_varint(bytes)?;
        let (length, rest) = read_varint(rest)?;
        let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        Some((Capsule { kind, value }, rest))
    }

    /// The payload of a packet of UDP, where it holds one.
    fn payload(&self) -> Result<Option<&'a [u8]>, Malformed> {
        if self.kind != DATAGRAM {
            return Ok(None);
        }
        let (context, payload) = read_varint(self.value).ok_or(Malformed)?;
        Ok((context == PAYLOAD).then_some(payload))
    }
}

/// A number of QUIC's (RFC 9000 §16) at the beginning, and what follows; `None` where its end has not come.
fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let first = *bytes.first()?;
    let (number, rest) = bytes.split_at_checked(1 << (first >> 6))?;
    let more = number[1..].iter().fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte));
    Some((more, rest))
}

/// Appends a number in as few bytes as it takes; of those above 2^62 the lower bits.
fn write_varint(number: u64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    let (length, mark) = match number {
        0..0x40 => (1, 0),
        0x40..0x4000 => (2, 0x40),
        0x4000..0x4000_0000 => (4, 0x80),
        _ => (8, 0xc0),
    };
    let at = out.len();
    out.extend_from_slice(&bytes[8 - length..]);
    out[at] = out[at] & 0x3f | mark;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capsule(kind: u64, value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_varint(kind, &mut bytes);
        write_varint(value.len() as u64, &mut bytes);
        bytes.extend_from_slice(value);
        bytes
    }

    fn heard(filter: &Capsules, parts: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut heard = Vec::new();
        for part in parts {
            filter.down(part, &mut |datagram| heard.push(datagram.to_vec()));
        }
        heard
    }

    #[test]
    fn numbers_of_each_length_are_read_as_they_were_written() {
        for number in [0, 1, 0x3f, 0x40, 0x3fff, 0x4000, 0x3fff_ffff, 0x4000_0000, (1 << 62) - 1] {
            let mut bytes = Vec::new();
            write_varint(number, &mut bytes);
            bytes.push(7);
            assert_eq!(read_varint(&bytes), Some((number, &[7][..])), "{number}");
            assert_eq!(read_varint(&bytes[..bytes.len() - 2]), None, "{number}");
        }
        // The examples of RFC 9000 §A.1.
        assert_eq!(read_varint(&[0x7b, 0xbd]), Some((15_293, &[][..])));
        assert_eq!(read_varint(&[0x40, 0x25]), Some((37, &[][..])));
    }

    #[test]
    fn what_goes_up_in_a_capsule_comes_down_out_of_it() {
        let filter = Capsules::default();
        for length in [0, 1, 62, 63, 1500, 65_507] {
            let datagram = vec![b'x'; length];
            let mut sent = Vec::new();
            filter.up(&datagram, &mut |capsule| sent.push(capsule.to_vec()));
            assert_eq!(heard(&filter, &[&sent[0]]), [datagram], "{length}");
        }
    }

    #[test]
    fn capsules_may_come_in_any_parts() {
        let bytes = [capsule(0, b"\0one"), capsule(0, b"\0"), capsule(0, b"\0three")].concat();
        let parts: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(heard(&Capsules::default(), &parts), [&b"one"[..], b"", b"three"]);
        assert_eq!(heard(&Capsules::default(), &[&bytes]), [&b"one"[..], b"", b"three"]);
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let bytes = [capsule(99, b"?"), capsule(0, b"\x02other"), capsule(0, b"\0one")].concat();
        assert_eq!(heard(&Capsules::default(), &[&bytes]), [b"one"]);
    }

    #[test]
    fn a_datagram_without_a_context_ends_hearing_the_host() {
        let filter = Capsules::default();
        let bytes = [capsule(0, b"\0one"), capsule(0, b""), capsule(0, b"\0two")].concat();
        assert_eq!(heard(&filter, &[&bytes]), [b"one"]);
        assert_eq!(heard(&filter, &[&capsule(0, b"\0three")]), [b""; 0]);
    }

    #[test]
    fn a_capsule_without_an_end_is_not_kept() {
        let filter = Capsules::default();
        let mut begun = Vec::new();
        write_varint(0, &mut begun);
        write_varint(1 << 40, &mut begun);
        assert_eq!(heard(&filter, &[&begun, &vec![0; LONGEST_CAPSULE]]), [b""; 0]);
        assert!(filter.broken.get());
        assert!(filter.begun.borrow().is_empty());
    }
}
