//! Large tables are made on a thread of their own: neither the control thread nor a worker waits for them.

use std::sync::{Arc, Mutex, PoisonError};

use super::Tables;

/// Makes the tables of one cluster, one after the other; of those that wait only the newest is made.
#[derive(Clone, Debug, Default)]
pub struct Workshop {
    desk: Arc<Mutex<Desk>>,
}

#[derive(Debug, Default)]
struct Desk {
    /// Whether a thread is at work.
    busy: bool,
    next: Option<Arc<Tables>>,
}

impl Workshop {
    /// Has these tables made, soon.
    pub(super) fn order(&self, tables: &Arc<Tables>) {
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        desk.next = Some(Arc::clone(tables));
        if desk.busy {
            return;
        }
        let shop = self.clone();
        let started = std::thread::Builder::new().name("hash_tables".to_owned()).spawn(move || shop.work());
        match started {
            Ok(_) => desk.busy = true,
            // They are made with the next order; until then hosts are chosen as before.
            Err(error) => tracing::warn!(%error, "no thread for the tables of a load balancer"),
        }
    }

    fn work(&self) {
        loop {
            let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(tables) = desk.next.take() else {
                desk.busy = false;
                return;
            };
            drop(desk);
            tables.make();
        }
    }
}
