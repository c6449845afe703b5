//! Tables that come, and what becomes of them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Routes, TableId};
use crate::config::field::Error;
use crate::config::route::KnownClusters;
use crate::control::push::{Body, Change, Kind};
use crate::control::resources::Record;
use crate::control::subscriptions::Counted;
use crate::control::verdict::Problem;
use crate::route::Table;

impl Routes {
    /// Takes one table from the source of this index; what is wrong with it. `known` are the clusters that there are.
    pub fn update(
        &mut self,
        source: usize,
        change: Change<Table>,
        known: &KnownClusters<'_>,
    ) -> Option<Problem> {
        let Change { name, record, body } = change;
        let id = TableId { source, name };
        if !self.wanted.contains_key(&id) {
            return None;
        }
        let errors = match body {
            Body::Same => {
                self.sources[source].resources.confirm(&id.name);
                self.settle(&id, &record, false);
                return None;
            }
            Body::Bad(errors) => errors,
            Body::New(table) => {
                // Over RDS clusters are checked only where the table asks for it.
                let mut unknown = table.configuration().unknown_clusters(false, known);
                let served = self.secrets.serve(&table.configuration().format_secrets);
                unknown.extend(served.err().map(Error::of_resource));
                match unknown.is_empty() {
                    true => return self.take(&id, table, record, known),
                    false => unknown,
                }
            }
        };
        Some(self.reject(&id, errors, record))
    }

    /// Notes a table that is not in force. A listener does not wait for the next version of it.
    pub(super) fn reject(&mut self, id: &TableId, errors: Vec<Error>, record: Record) -> Problem {
        let problem = Problem::new(Table::MESSAGE, &id.name, errors, &record);
        self.sources[id.source].resources.reject(&problem, record);
        if let Some(wanted) = self.wanted.get_mut(id) {
            wanted.settled = true;
            wanted.counted().for_each(Counted::rejected);
        }
        problem
    }

    pub(super) fn put_in_force(&mut self, id: &TableId, table: Arc<Table>, record: Record) {
        let current = self.in_force(id);
        let equal = current.is_some_and(|current| current.configuration() == table.configuration());
        if !equal {
            self.insert(id, table);
        }
        self.settle(id, &record, !equal);
        self.note_in_force(id, record);
    }

    pub(super) fn insert(&mut self, id: &TableId, table: Arc<Table>) {
        table.count_in(&self.registry);
        let source = &self.sources[id.source].config.from;
        Arc::make_mut(&mut self.tables).insert(source, &id.name, table);
    }

    pub(super) fn note_in_force(&mut self, id: &TableId, record: Record) {
        let resources = &mut self.sources[id.source].resources;
        resources.warm(&id.name, record);
        resources.activate(&id.name);
    }

    fn settle(&mut self, id: &TableId, record: &Record, changed: bool) {
        if let Some(wanted) = self.wanted.get_mut(id) {
            wanted.settled = true;
            for counted in wanted.counted() {
                counted.succeeded(&record.version, changed, record.last_updated, since(record.last_updated));
            }
        }
    }
}

/// How long ago that was.
fn since(then: SystemTime) -> Duration {
    then.elapsed().unwrap_or_default()
}
