//! Tables of scopes that come when a request asks for them (`on_demand`), and the requests that wait.

use tokio::sync::oneshot;

use super::{Scopes, Source};
use crate::config::route::{ScopeKey, ScopedRoute, ScopedTable};
use crate::config::source::SourceKind;
use crate::snapshot::RouteTables;

/// A request that waits for a table.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The index of the source that its scope is of.
    source: usize,
    /// The scope's name.
    scope: String,
    /// Where its table comes from.
    tables: SourceKind,
    answer: oneshot::Sender<()>,
}

impl Scopes {
    /// A request asks for the table of the scope with this key, which is to come from `tables`. True if nobody did before.
    pub fn ask(
        &mut self,
        source: &SourceKind,
        tables: SourceKind,
        key: &ScopeKey,
        answer: oneshot::Sender<()>,
    ) -> bool {
        let Some(index) = self.sources.iter().position(|known| known.config.from == *source) else {
            return false;
        };
        let source = &mut self.sources[index];
        let Some(scope) = source.scopes.values().find(|scope| scope.key == *key) else {
            return false;
        };
        if self.waiting.len().is_power_of_two() {
            self.waiting.retain(|waiting| !waiting.answer.is_closed());
        }
        self.waiting.push(Waiting { source: index, scope: scope.name.clone(), tables, answer });
        let wakes = scope.on_demand && source.awake.insert(scope.name.clone());
        if wakes {
            self.compile();
        }
        wakes
    }

    /// The answers that can be given now that these tables are in force: to requests whose table is among them, or
    /// whose scope is gone. They are given by dropping what comes back.
    pub fn take_served(&mut self, tables: &RouteTables) -> Vec<oneshot::Sender<()>> {
        let sources = &self.sources;
        let served = self.waiting.extract_if(.., |waiting| {
            let scope = sources[waiting.source].scopes.get(&waiting.scope);
            scope.is_none_or(|scope| match &scope.table {
                ScopedTable::Named(name) => tables.find(&waiting.tables, name).is_some(),
                ScopedTable::Inline(_) => true,
            })
        });
        served.map(|waiting| waiting.answer).collect()
    }
}

impl Source {
    /// Whether the table of a scope comes without being asked for, or was asked for.
    pub(super) fn is_awake(&self, scope: &ScopedRoute) -> bool {
        !scope.on_demand || self.awake.contains(&scope.name)
    }

    /// The tables that come over RDS, as far as they are to come.
    pub(super) fn tables(&self) -> impl Iterator<Item = &str> {
        self.scopes.values().filter(|scope| self.is_awake(scope)).filter_map(|scope| match &scope.table {
            ScopedTable::Named(name) => Some(name.as_str()),
            ScopedTable::Inline(_) => None,
        })
    }

    /// Forgets what was asked for of scopes that are gone.
    pub(super) fn forget_gone(&mut self) {
        let scopes = &self.scopes;
        self.awake.retain(|name| scopes.contains_key(name));
    }
}
