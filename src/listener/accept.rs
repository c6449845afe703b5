//! A worker's side: it accepts connections and serves each in a task of its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_local;

use crate::config::listener::TrafficDirection;
use crate::http::Worker;
use crate::http::drain::{Drain, Pace};

use super::manager::{Command, Listener};
use super::open::Open;
use super::slot::{Slot, Surroundings};
use super::slots::Slots;
use super::udp::UdpSlot;

/// The listeners that a worker serves.
#[derive(Debug)]
pub struct Acceptor {
    index: usize,
    worker: Rc<Worker>,
    slots: Rc<Slots>,
    /// Those over UDP, by the number of their sockets.
    datagrams: HashMap<u64, UdpSlot>,
    /// By the listener's number; those that drain are here until they are closed.
    drains: Rc<RefCell<HashMap<u64, Rc<Drain>>>>,
    connections: Rc<Open>,
}

impl Acceptor {
    /// The acceptor of the worker with this number.
    pub fn new(index: usize, worker: Rc<Worker>) -> Self {
        Acceptor {
            index,
            worker,
            slots: Rc::default(),
            datagrams: HashMap::new(),
            drains: Rc::default(),
            connections: Rc::default(),
        }
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.connections.count()
    }

    /// Waits until no connection is open.
    pub async fn closed(&self) {
        self.connections.none().await;
    }

    /// Does what the control thread says.
    pub fn handle(&mut self, command: Command) {
        match command {
            Command::Serve(listener) => self.serve(listener),
            Command::Drain { id, pace, within } => self.drain(id, pace, within),
            Command::Stop { inbound_only, within } => {
                for id in self.selected(inbound_only) {
                    self.drain(id, Pace::Immediate, within);
                }
            }
            Command::DrainConnections { inbound_only, pace } => {
                let drains = self.drains.borrow();
                for drain in self.selected(inbound_only).iter().filter_map(|id| drains.get(id)) {
                    drain.begin(pace);
                }
            }
            // The worker that calls this sees to it.
            Command::Finish => {}
        }
    }

    /// The numbers of the listeners that are served now.
    fn selected(&self, inbound_only: bool) -> Vec<u64> {
        let listeners = self.slots.listeners().into_iter();
        let over_udp = self.datagrams.values().map(|slot| Arc::clone(slot.listener()));
        listeners
            .chain(over_udp)
            .filter(|listener| {
                !inbound_only || listener.config.traffic_direction == TrafficDirection::Inbound
            })
            .map(|listener| listener.id)
            .collect()
    }

    fn serve(&mut self, listener: Arc<Listener>) {
        let drain = Rc::new(Drain::default());
        self.drains.borrow_mut().insert(listener.id, Rc::clone(&drain));
        let sockets = Arc::clone(&listener.sockets);
        if listener.config.udp.is_some() {
            let slot =
                self.datagrams.entry(sockets.id).or_insert_with(|| UdpSlot::open(self.index, &listener));
            slot.serve(listener, &self.worker);
            return;
        }
        if let Some(slot) = self.slots.get(sockets.id) {
            slot.replace(listener, drain);
            return;
        }
        let surroundings = Surroundings {
            worker: Rc::clone(&self.worker),
            connections: Rc::clone(&self.connections),
            slots: Rc::downgrade(&self.slots),
        };
        let slot = Slot::open(self.index, listener, drain, surroundings);
        self.slots.insert(sockets.id, slot);
    }

    fn drain(&mut self, id: u64, pace: Pace, within: Duration) {
        self.slots.remove(id);
        // As in Envoy sessions have no time to drain.
        self.datagrams.retain(|_, slot| slot.listener().id != id);
        let Some(drain) = self.drains.borrow().get(&id).cloned() else {
            return;
        };
        drain.begin(pace);
        let drains = Rc::clone(&self.drains);
        spawn_local(async move {
            tokio::time::sleep(within).await;
            drain.close();
            drains.borrow_mut().remove(&id);
        });
    }
}
