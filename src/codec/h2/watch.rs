//! What is seen of a connection from below, for who drives it.

use std::cell::Cell;

use super::flood::Flood;
use super::meter::Meter;

/// What is seen of a connection from below, for who drives it.
#[derive(Debug)]
pub struct Watch {
    meter: Meter,
    pub(super) flood: Cell<Option<Flood>>,
    pub(super) block_open: Cell<bool>,
    pub(super) blocked: Cell<bool>,
    /// The error code of the last GOAWAY that came.
    pub(super) goaway_code: Cell<Option<u32>>,
    pub(super) given_up: Cell<bool>,
    pub(super) closing: Cell<bool>,
    /// The end of the connection is to be announced.
    pub(super) announce: Cell<bool>,
    pub(super) read: Cell<u64>,
    pub(super) written: Cell<u64>,
}

impl Watch {
    pub(super) fn new(meter: Meter) -> Self {
        Watch {
            meter,
            flood: Cell::default(),
            block_open: Cell::default(),
            blocked: Cell::default(),
            goaway_code: Cell::default(),
            given_up: Cell::default(),
            closing: Cell::default(),
            announce: Cell::default(),
            read: Cell::default(),
            written: Cell::default(),
        }
    }

    /// The flood that the connection was ended for.
    pub fn flood(&self) -> Option<Flood> {
        self.flood.get()
    }

    /// Whether a header block has begun and not ended: nothing else may come until it has.
    pub fn block_is_open(&self) -> bool {
        self.block_open.get()
    }

    /// Whether something waits to be written that the peer does not take.
    pub fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// Streams whose messages have not ended.
    pub fn open_streams(&self) -> usize {
        self.meter.open_streams()
    }

    /// Whether the peer was found to be gone, or dangerous.
    pub fn is_given_up(&self) -> bool {
        self.given_up.get() || self.flood.get().is_some()
    }

    /// Notes that the peer was found to be gone.
    pub(super) fn give_up(&self) {
        self.given_up.set(true);
    }

    /// Whether all was said, and the peer is waited for to close.
    pub fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Has the end of the connection announced with what is written next.
    pub(super) fn announce_end(&self) {
        self.announce.set(true);
    }

    /// Whether the peer said that it takes no further streams.
    pub fn goes_away(&self) -> bool {
        self.goaway_code.get().is_some()
    }

    /// The error code with which the peer said so last; 0 for none.
    pub fn goaway_code(&self) -> Option<u32> {
        self.goaway_code.get()
    }

    /// Bytes read and written so far, in all.
    pub fn bytes(&self) -> (u64, u64) {
        (self.read.get(), self.written.get())
    }
}
