//! Where a connection manager finds the route table of a request.

use std::sync::Arc;

use crate::base::headers::Headers;
use crate::config::http_connection_manager::{HeaderValueExtractor, RouteSpecifier, ScopesSpecifier};
use crate::config::source::SourceKind;
use crate::observability::stats::Registry;
use crate::route::Table;
use crate::route::scopes::{self, ScopeTable, Scopes};
use crate::snapshot::{Place, Places, Snapshot, Wanted};

/// `HttpConnectionManager.route_specifier`, compiled.
#[derive(Debug)]
pub(super) enum TableSource {
    /// One table, which stands in the connection manager.
    Inline(Table),
    /// One table, which comes over RDS, and where it then is.
    Rds(Arc<Place>),
    /// A table for each scope of requests.
    Scoped(Box<[HeaderValueExtractor]>, Scoped),
}

/// Where the scopes are.
#[derive(Debug)]
pub(super) enum Scoped {
    /// In the connection manager.
    Inline(Scopes),
    /// In the snapshot.
    Srds {
        /// From where they come over SRDS.
        scopes: SourceKind,
        /// From where the tables come over RDS that they name.
        tables: SourceKind,
    },
}

impl TableSource {
    pub(super) fn new(routes: &RouteSpecifier, registry: &Registry, places: &Places) -> Self {
        match routes {
            RouteSpecifier::Inline(routes) => {
                let table = Table::new(Arc::clone(routes));
                table.count_in(registry);
                TableSource::Inline(table)
            }
            RouteSpecifier::Rds { route_config_name, source } => {
                TableSource::Rds(places.of(&source.from, route_config_name))
            }
            RouteSpecifier::Scoped(scoped) => {
                let scopes = match &scoped.scopes {
                    ScopesSpecifier::Inline(scopes) => {
                        Scoped::Inline(Scopes::new(scopes.iter().map(|scope| (scope, true)), registry))
                    }
                    ScopesSpecifier::Srds { scopes, tables } => {
                        Scoped::Srds { scopes: scopes.from.clone(), tables: tables.from.clone() }
                    }
                };
                TableSource::Scoped(scoped.fragments.clone().into(), scopes)
            }
        }
    }

    /// The table of a request; `None` before it has come, or when the request is in no scope.
    pub(super) fn find<'s>(&'s self, snapshot: &'s Snapshot, request: &Headers) -> Option<&'s Table> {
        let named = |source, name| snapshot.routes.find(source, name).map(|table| &**table);
        match self {
            TableSource::Inline(table) => Some(table),
            TableSource::Rds(place) => snapshot.routes.at(place),
            TableSource::Scoped(fragments, scopes) => {
                let (scopes, tables) = match scopes {
                    Scoped::Inline(scopes) => (scopes, None),
                    Scoped::Srds { scopes, tables } => (snapshot.scopes_of(scopes)?, Some(tables)),
                };
                match scopes.find(fragments, request)? {
                    ScopeTable::Inline(table) => Some(table),
                    ScopeTable::Named(name) => named(tables?, name),
                    ScopeTable::Asleep => None,
                }
            }
        }
    }

    /// What a request without a table may wait for: that of its scope, if it is in one.
    pub(super) fn lacking(&self, snapshot: &Snapshot, request: &Headers) -> Option<Wanted> {
        let TableSource::Scoped(fragments, Scoped::Srds { scopes: source, tables }) = self else {
            return None;
        };
        let key = scopes::key(fragments, request)?;
        let is_lacking = match snapshot.scopes_of(source)?.of(&key)? {
            ScopeTable::Asleep => true,
            ScopeTable::Named(name) => snapshot.routes.find(tables, name).is_none(),
            ScopeTable::Inline(_) => false,
        };
        is_lacking.then(|| Wanted::ScopeTable { source: source.clone(), tables: tables.clone(), key })
    }
}
