//! Connections that a listener hands to another: `Listener.use_original_dst`.

use std::rc::Rc;

use crate::base::io::Io;
use crate::observability::stream_info::{Address, ConnectionInfo, Fingerprints};

use super::balance::Seat;
use super::connection::Found;
use super::ends::Ends;
use super::slot::{Slot, Surroundings};

/// A connection that comes to a listener.
pub(super) struct Arrived {
    /// Its bytes.
    pub(super) io: Io,
    /// Between whom it is.
    pub(super) ends: Ends,
    /// What the filters of the listener found out that it came to first; `None` where this is that one.
    pub(super) inspected: Option<Box<Inspected>>,
    /// Counts it where connections are spread over the workers; boxed, since they hardly ever are.
    pub(super) seat: Option<Box<Seat>>,
}

impl Arrived {
    /// One that was accepted here.
    pub(super) fn new(io: Io, ends: Ends) -> Self {
        Arrived { io, ends, inspected: None, seat: None }
    }
}

/// What is known of a connection that was handed on, beside its ends.
pub(super) struct Inspected {
    direct_remote: Address,
    direct_local: Address,
    requested_server_name: Box<str>,
    fingerprints: Option<Box<Fingerprints>>,
    found: Found,
}

impl Inspected {
    /// Adds to what the new listener knows. As in Envoy what filters noted stays behind.
    pub(super) fn take_over(self, info: &mut ConnectionInfo) -> Found {
        info.direct_remote = self.direct_remote;
        info.direct_local = self.direct_local;
        info.requested_server_name = self.requested_server_name;
        info.fingerprints = self.fingerprints;
        info.local_restored = true;
        self.found
    }
}

/// A connection that another listener gets.
pub(super) struct HandedOn {
    /// That listener's.
    pub(super) to: Rc<Slot>,
    /// The connection.
    pub(super) arrived: Arrived,
}

impl HandedOn {
    /// A connection with this known of it.
    pub(super) fn new(to: Rc<Slot>, io: Io, info: ConnectionInfo, found: Found) -> Box<Self> {
        let inspected = Inspected {
            direct_remote: info.direct_remote,
            direct_local: info.direct_local,
            requested_server_name: info.requested_server_name,
            fingerprints: info.fingerprints,
            found,
        };
        let ends = Ends { remote: info.remote, local: info.local, notes: None };
        Box::new(HandedOn {
            to,
            arrived: Arrived { io, ends, inspected: Some(Box::new(inspected)), seat: None },
        })
    }
}

/// Who listens where the client of a connection wanted to go; `None` where that is not known, or nobody does.
pub(super) fn destination(info: &ConnectionInfo, around: &Surroundings) -> Option<Rc<Slot>> {
    let Address::Ip(address) = &info.local else { return None };
    around.slots.upgrade().filter(|_| info.local_restored)?.at(*address)
}
