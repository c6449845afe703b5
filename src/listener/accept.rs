//! A worker's side: it accepts connections and serves each in a task of its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_local;

use crate::config::listener::TrafficDirection;
use crate::http::Worker;
use crate::http::drain::Pace;

use super::lineage::Lineage;
use super::manager::{Command, Counted, Listener};
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
    lineages: Rc<RefCell<HashMap<u64, Rc<Lineage>>>>,
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
            lineages: Rc::default(),
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
            Command::Drain { id, pace, within, counted } => self.drain(id, pace, within, Some(counted)),
            Command::DrainChains { id, chains, pace, within, counted } => {
                self.drain_chains(id, chains, pace, within, counted);
            }
            Command::Stop { inbound_only, within } => {
                for listener in self.selected(inbound_only) {
                    self.drain(listener.id, Pace::Immediate, within, None);
                }
            }
            Command::DrainConnections { inbound_only, pace } => {
                let lineages = self.lineages.borrow();
                for listener in self.selected(inbound_only) {
                    lineages.get(&listener.id).into_iter().for_each(|lineage| lineage.begin(pace));
                }
            }
            Command::Heed { unhealthy } => {
                self.lineages.borrow().values().for_each(|lineage| lineage.heed(unhealthy));
            }
            // The worker that calls this sees to it.
            Command::Finish => {}
        }
    }

    /// The listeners that are served now.
    fn selected(&self, inbound_only: bool) -> Vec<Arc<Listener>> {
        let listeners = self.slots.listeners().into_iter();
        let over_udp = self.datagrams.values().map(|slot| Arc::clone(slot.listener()));
        listeners
            .chain(over_udp)
            .filter(|listener| {
                !inbound_only || listener.config.traffic_direction == TrafficDirection::Inbound
            })
            .collect()
    }

    fn serve(&mut self, listener: Arc<Listener>) {
        if let Some(lineage) = self.lineages.borrow().get(&listener.id) {
            return lineage.update(listener);
        }
        let lineage = Lineage::new(Arc::clone(&listener));
        lineage.heed(self.worker.health_checks_fail());
        self.lineages.borrow_mut().insert(listener.id, Rc::clone(&lineage));
        let sockets = Arc::clone(&listener.sockets);
        if listener.config.udp.is_some() {
            let slot =
                self.datagrams.entry(sockets.id).or_insert_with(|| UdpSlot::open(self.index, &listener));
            slot.serve(listener, &self.worker);
            return;
        }
        let surroundings = Surroundings {
            worker: Rc::clone(&self.worker),
            connections: Rc::clone(&self.connections),
            slots: Rc::downgrade(&self.slots),
        };
        if let Some(slot) = self.slots.get(sockets.id) {
            slot.replace(lineage);
            return slot.take_given(surroundings);
        }
        let slot = Slot::open(self.index, lineage, surroundings.clone());
        slot.take_given(surroundings);
        self.slots.insert(sockets.id, slot);
    }

    fn drain(&mut self, id: u64, pace: Pace, within: Duration, counted: Option<Arc<Counted>>) {
        let mut slots = self.slots.remove(id);
        // As in Envoy what connects within the process finds the listener until its time is over.
        slots.retain(|slot| slot.listener().config.is_internal);
        // As in Envoy sessions have no time to drain.
        self.datagrams.retain(|_, slot| slot.listener().id != id);
        let Some(lineage) = self.lineages.borrow().get(&id).cloned() else {
            return;
        };
        lineage.begin(pace);
        let lineages = Rc::clone(&self.lineages);
        spawn_local(async move {
            tokio::time::sleep(within).await;
            drop(slots);
            lineage.close();
            lineages.borrow_mut().remove(&id);
            drop(counted);
        });
    }

    fn drain_chains(&self, id: u64, chains: Arc<[u64]>, pace: Pace, within: Duration, counted: Arc<Counted>) {
        let Some(lineage) = self.lineages.borrow().get(&id).cloned() else {
            return;
        };
        lineage.begin_chains(&chains, pace);
        spawn_local(async move {
            tokio::time::sleep(within).await;
            lineage.close_chains(&chains);
            drop(counted);
        });
    }
}
