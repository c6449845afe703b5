//! Scopes of requests, each with a route table of its own: `envoy.config.route.v3.ScopedRouteConfiguration`.

use std::borrow::Borrow;
use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3;
use smallvec::SmallVec;
use v3::scoped_route_configuration::key::{Fragment, fragment::Type};

use super::RouteConfiguration;
use crate::config::extension::Extensions;
use crate::config::field::{self, Notes, Scope, open};

/// One scope: the requests with its key, and their route table.
#[derive(Clone, Debug, PartialEq)]
pub struct ScopedRoute {
    /// Its name, by which SRDS changes it.
    pub name: String,
    /// What requests must yield to be in it.
    pub key: ScopeKey,
    /// Their routes.
    pub table: ScopedTable,
    /// `on_demand`: whether a table that comes over RDS comes only when a request asks for it.
    pub on_demand: bool,
}

/// The route table of a scope.
#[derive(Clone, Debug, PartialEq)]
pub enum ScopedTable {
    /// `route_configuration_name`: over RDS.
    Named(String),
    /// `route_configuration`
    Inline(Arc<RouteConfiguration>),
}

/// The fragments of a key, each with its length before it: no two lists of fragments are the same bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeKey(SmallVec<[u8; 48]>);

impl ScopeKey {
    /// Appends a fragment.
    pub fn push(&mut self, fragment: &[u8]) {
        self.0.extend_from_slice(&fragment.len().to_le_bytes());
        self.0.extend_from_slice(fragment);
    }
}

impl<'a> FromIterator<&'a [u8]> for ScopeKey {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(fragments: I) -> Self {
        let mut key = ScopeKey::default();
        fragments.into_iter().for_each(|fragment| key.push(fragment));
        key
    }
}

impl Borrow<[u8]> for ScopeKey {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl ScopedRoute {
    /// From the bytes of its proto.
    ///
    /// # Errors
    /// Every error of the resource.
    pub fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<field::Error>> {
        field::parse(bytes, extensions, Self::from_proto)
    }

    /// From its proto.
    pub fn from_proto(message: v3::ScopedRouteConfiguration, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::ScopedRouteConfiguration = message;
            implemented { name, route_configuration_name, route_configuration, key, on_demand }
        }
        let name = at.required_string("name", name);
        let key = at.message("key", key, key_from_proto);
        let inline =
            at.message("route_configuration", route_configuration, RouteConfiguration::inline_from_proto);
        let table = match (inline, route_configuration_name.is_empty()) {
            (Some(inline), true) => ScopedTable::Inline(Arc::new(inline)),
            (None, false) => ScopedTable::Named(route_configuration_name),
            (Some(_), false) => {
                at.error("set route_configuration or route_configuration_name, not both");
                return None;
            }
            (None, true) => {
                at.error("set route_configuration or route_configuration_name");
                return None;
            }
        };
        Some(ScopedRoute { name, key: at.required("key", key)?, table, on_demand })
    }
}

fn key_from_proto(message: v3::scoped_route_configuration::Key, at: &mut Scope<'_>) -> Option<ScopeKey> {
    open! { at, v3::scoped_route_configuration::Key = message; implemented { fragments } }
    let fragments = at.list("fragments", fragments, |message: Fragment, at| {
        open! { at, Fragment = message; implemented { r#type } }
        let Type::StringKey(key) = at.required("type", r#type)?;
        Some(key)
    });
    Some(fragments.iter().map(String::as_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_where_their_fragments_do() {
        let key = |fragments: &[&str]| fragments.iter().map(|text| text.as_bytes()).collect::<ScopeKey>();
        assert_eq!(key(&["a", "b"]), key(&["a", "b"]));
        for other in [&["ab"][..], &["a"], &["b", "a"], &["a", "b", ""], &["", "ab"]] {
            assert_ne!(key(&["a", "b"]), key(other), "{other:?}");
        }
    }
}
