//! The sets of sockets that a worker serves: by their numbers, and by where clients want to go.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use crate::config::address::Address;

use super::manager::Listener;
use super::slot::Slot;

/// What each set of sockets is given to.
#[derive(Debug, Default)]
pub(super) struct Slots {
    by_sockets: RefCell<HashMap<u64, Rc<Slot>>>,
    /// Made anew when somebody asks after a change.
    by_address: RefCell<Option<HashMap<SocketAddr, Weak<Slot>>>>,
}

impl Slots {
    /// That of the sockets of this number.
    pub(super) fn get(&self, sockets: u64) -> Option<Rc<Slot>> {
        self.by_sockets.borrow().get(&sockets).map(Rc::clone)
    }

    /// Adds one.
    pub(super) fn insert(&self, sockets: u64, slot: Rc<Slot>) {
        self.by_sockets.borrow_mut().insert(sockets, slot);
        self.by_address.replace(None);
    }

    /// Takes out those whose listener has this number.
    pub(super) fn remove(&self, listener: u64) -> Vec<Rc<Slot>> {
        let mut by_sockets = self.by_sockets.borrow_mut();
        let gone = by_sockets.extract_if(|_, slot| slot.listener().id == listener);
        let gone = gone.map(|(_, slot)| slot).collect();
        self.by_address.replace(None);
        gone
    }

    /// The listeners that are served now.
    pub(super) fn listeners(&self) -> Vec<Arc<Listener>> {
        self.by_sockets.borrow().values().map(|slot| slot.listener()).collect()
    }

    /// The one at this address, or at all addresses with its port.
    pub(super) fn at(&self, destination: SocketAddr) -> Option<Rc<Slot>> {
        let mut by_address = self.by_address.borrow_mut();
        let by_address = by_address.get_or_insert_with(|| self.index());
        let all: IpAddr = match destination {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let exact = by_address.get(&destination);
        exact.or_else(|| by_address.get(&SocketAddr::new(all, destination.port())))?.upgrade()
    }

    fn index(&self) -> HashMap<SocketAddr, Weak<Slot>> {
        let mut index = HashMap::new();
        for slot in self.by_sockets.borrow().values() {
            for listen in &slot.listener().config.addresses {
                let Address::Ip(address) = listen.address else { continue };
                index.insert(address, Rc::downgrade(slot));
                if listen.ipv4_compat && address.ip() == Ipv6Addr::UNSPECIFIED {
                    let all = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
                    index.entry(all).or_insert_with(|| Rc::downgrade(slot));
                }
            }
        }
        index
    }
}
