//! Datagrams that wait for their way.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use envoy_types::pb::google::protobuf as pb;

/// How many datagrams may wait where nothing is configured.
const DEFAULT_MAX_DATAGRAMS: u32 = 1024;
/// How many bytes of them may.
const DEFAULT_MAX_BYTES: u64 = 16_384;

/// `BufferOptions`, of tunnels and of session filters: how much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// `max_buffered_datagrams`; 1024 by default.
    max_datagrams: usize,
    /// `max_buffered_bytes`; 16 KiB by default.
    max_bytes: usize,
}

impl Room {
    /// From the fields of the message.
    pub(super) fn new(datagrams: Option<pb::UInt32Value>, bytes: Option<pb::UInt64Value>) -> Self {
        let datagrams = datagrams.map_or(DEFAULT_MAX_DATAGRAMS, |datagrams| datagrams.value);
        let bytes = bytes.map_or(DEFAULT_MAX_BYTES, |bytes| bytes.value);
        Room {
            max_datagrams: usize::try_from(datagrams).unwrap_or(usize::MAX),
            max_bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
        }
    }
}

/// Datagrams that wait, the oldest first.
#[derive(Debug)]
pub(super) struct Held {
    /// `None` where none may wait.
    room: Option<Room>,
    datagrams: RefCell<VecDeque<Box<[u8]>>>,
    bytes: Cell<usize>,
}

/// There was no room for a datagram where there might have been.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overflow;

impl Held {
    /// None yet.
    pub(super) fn new(room: Option<Room>) -> Self {
        Held { room, datagrams: RefCell::default(), bytes: Cell::new(0) }
    }

    /// Keeps a datagram. Where none may wait it is dropped.
    ///
    /// # Errors
    /// There is no room left.
    pub(super) fn push(&self, datagram: &[u8]) -> Result<(), Overflow> {
        let Some(room) = self.room else { return Ok(()) };
        let mut datagrams = self.datagrams.borrow_mut();
        let bytes = self.bytes.get() + datagram.len();
        if datagrams.len() >= room.max_datagrams || bytes > room.max_bytes {
            return Err(Overflow);
        }
        self.bytes.set(bytes);
        datagrams.push_back(datagram.into());
        Ok(())
    }

    /// The one that waited longest.
    pub(super) fn pop(&self) -> Option<Box<[u8]>> {
        let datagram = self.datagrams.borrow_mut().pop_front()?;
        self.bytes.set(self.bytes.get() - datagram.len());
        Some(datagram)
    }

    /// All that wait, one after the other.
    pub(super) fn take(&self) -> Vec<u8> {
        self.bytes.set(0);
        self.datagrams.take().into_iter().collect::<Vec<_>>().concat()
    }

    /// Drops those that wait.
    pub(super) fn clear(&self) {
        self.datagrams.take();
        self.bytes.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(max_datagrams: u32, max_bytes: u64) -> Option<Room> {
        let bytes = Some(pb::UInt64Value { value: max_bytes });
        Some(Room::new(Some(pb::UInt32Value { value: max_datagrams }), bytes))
    }

    #[test]
    fn datagrams_wait_as_long_as_there_is_room_for_their_number_and_their_bytes() {
        let held = Held::new(room(3, 10));
        assert_eq!(held.push(b"12345"), Ok(()));
        assert_eq!(held.push(b"123456"), Err(Overflow));
        assert_eq!(held.push(b""), Ok(()));
        assert_eq!(held.push(b"1234"), Ok(()));
        assert_eq!(held.push(b""), Err(Overflow));
        let popped: Vec<_> = std::iter::from_fn(|| held.pop()).map(Vec::from).collect();
        assert_eq!(popped, [&b"12345"[..], b"", b"1234"]);
        assert_eq!(held.push(b"1234567890"), Ok(()));
        assert_eq!(held.take(), b"1234567890");
        assert_eq!(held.push(b"1234567890"), Ok(()));
    }

    #[test]
    fn where_none_may_wait_they_are_dropped() {
        let held = Held::new(None);
        assert_eq!(held.push(b"1"), Ok(()));
        assert_eq!(held.pop(), None);
    }
}
