//! Where connections come to a listener from within the process, at one worker.

use std::rc::{Rc, Weak};

use crate::base::io::{Io, Socket};
use crate::http::Worker;
use crate::observability::stream_info::Address;
use crate::transport::internal::{Arrival, Door, Doors};

use super::ends::Ends;
use super::handing::Arrived;
use super::open::Open;
use super::slot::{Slot, Surroundings};
use super::slots::Slots;

/// The way in, open until it is dropped.
#[derive(Debug)]
pub(super) struct Entrance {
    doors: Rc<Doors>,
    listener: Box<str>,
    door: Rc<dyn Door>,
}

impl Entrance {
    /// Lets connections come to the listener of a slot.
    pub(super) fn open(slot: &Rc<Slot>, around: &Surroundings) -> Self {
        let doors = Rc::clone(around.worker.pools.doors());
        let listener = slot.listener();
        let door: Rc<dyn Door> = Rc::new(ToSlot {
            slot: Rc::downgrade(slot),
            worker: Rc::downgrade(&around.worker),
            connections: Rc::clone(&around.connections),
            slots: Weak::clone(&around.slots),
        });
        doors.open(Box::from(&*listener.name), Rc::clone(&door));
        Entrance { doors, listener: Box::from(&*listener.name), door }
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.doors.close(&self.listener, &self.door);
    }
}

/// Gives what comes to a slot. The worker has the doors, so it is not held by them.
#[derive(Debug)]
struct ToSlot {
    slot: Weak<Slot>,
    worker: Weak<Worker>,
    connections: Rc<Open>,
    slots: Weak<Slots>,
}

impl Door for ToSlot {
    fn buffer_bytes(&self) -> usize {
        self.slot.upgrade().map_or(0, |slot| slot.listener().internal_buffer_bytes)
    }

    fn enter(&self, arrival: Arrival) {
        let (Some(slot), Some(worker)) = (self.slot.upgrade(), self.worker.upgrade()) else { return };
        let Arrival { stream, endpoint_id, notes } = arrival;
        let listener = slot.listener();
        let ends = Ends {
            remote: Address::internal_client(),
            local: Address::Internal { listener: listener.name.clone(), endpoint_id },
            notes,
        };
        let around = Surroundings {
            worker,
            connections: Rc::clone(&self.connections),
            slots: Weak::clone(&self.slots),
        };
        slot.start(Arrived::new(Io::from(Socket::Loopback(stream)), ends), &around);
    }
}
