//! Large tables are made on a thread of their own: neither the control thread nor a worker waits for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Tables;

/// Makes the tables of one cluster, one after the other, the newest first.
#[derive(Clone, Debug, Default)]
pub struct Workshop {
    desk: Arc<Mutex<Desk>>,
}

#[derive(Debug, Default)]
struct Desk {
    /// Whether a thread is at work.
    busy: bool,
    /// Those that nobody has any more are not made.
    waiting: Vec<Weak<Tables>>,
}

impl Workshop {
    /// Has these tables made soon, in place of all that wait.
    pub(super) fn order(&self, tables: &Arc<Tables>) {
        let mut desk = self.desk();
        desk.waiting.clear();
        self.add(&mut desk, tables);
    }

    /// Has these tables made soon, too.
    pub(super) fn ask(&self, tables: &Arc<Tables>) {
        let mut desk = self.desk();
        // What is gone is not kept in mind.
        desk.waiting.retain(|waiting| waiting.strong_count() > 0);
        self.add(&mut desk, tables);
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, desk: &mut Desk, tables: &Arc<Tables>) {
        desk.waiting.push(Arc::downgrade(tables));
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
            let mut desk = self.desk();
            let Some(tables) = desk.waiting.pop() else {
                desk.busy = false;
                return;
            };
            drop(desk);
            if let Some(tables) = tables.upgrade() {
                tables.make();
            }
        }
    }
}
