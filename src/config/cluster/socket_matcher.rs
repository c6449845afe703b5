//! A tree of conditions that chooses how a host is spoken to: `Cluster.transport_socket_matcher`.

use std::collections::HashSet;

use envoy_types::pb::envoy::extensions::matching::common_inputs::transport_socket::v3::TransportSocketNameAction;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;
use envoy_types::pb::xds::r#type::matcher::v3::Matcher;
use prost::Name as _;

use super::SocketMatch;
use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::match_tree::{Count, Input, Leaves, MatchTree, Subject};

/// The tree; it leads to places in `transport_socket_matches`.
#[derive(Clone, Debug, PartialEq)]
pub struct SocketMatcher {
    tree: MatchTree<Option<usize>>,
    /// Whether requests have a say in it: it looks at the filter state that connections to hosts are told of.
    pub looks_at_requests: bool,
}

impl SocketMatcher {
    /// From its proto; its actions name these.
    pub(super) fn from_proto(message: Matcher, matches: &[SocketMatch], at: &mut Scope<'_>) -> Option<Self> {
        let mut names = HashSet::new();
        if let Some(twice) = matches.iter().find(|one| !names.insert(&one.name)) {
            at.error(format!(
                "Duplicate transport socket name '{}' found in transport_socket_matches",
                twice.name
            ));
        }
        let mut leaves = Sockets { matches, looks_at_requests: false };
        let tree = MatchTree::from_proto(message, &mut leaves, at)?;
        Some(SocketMatcher { tree, looks_at_requests: leaves.looks_at_requests })
    }

    /// Lets conditions that count something do so from now on: `make` makes the counter of a `stat_prefix`.
    pub fn count_with(&self, make: &dyn Fn(&str) -> Box<dyn Count>) {
        self.tree.count_with(make);
    }

    /// The place in the list that it leads to for a host; `None` where that is none.
    pub fn find(&self, host: &Subject<'_>) -> Option<usize> {
        *self.tree.find(host)?
    }
}

/// The actions of a tree while it is read. One that names nothing in the list leads to none, as in Envoy.
struct Sockets<'m> {
    matches: &'m [SocketMatch],
    looks_at_requests: bool,
}

impl Leaves for Sockets<'_> {
    type Action = Option<usize>;

    fn action(&mut self, message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Option<usize>> {
        open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
        let any = at.required("typed_config", typed_config)?;
        let found = extension::contained_type(&any);
        let known = TransportSocketNameAction::full_name();
        if found != known {
            at.error(format!(
                "Didn't find a registered implementation for '{name}' with type URL: '{found}'; known: {known}"
            ));
            return None;
        }
        let mut at = at.field("typed_config");
        let message = extension::read(any, &mut at)?;
        open! { at, TransportSocketNameAction = message; implemented { name } }
        let name = at.required_string("name", name);
        Some(self.matches.iter().position(|one| one.name == name))
    }

    fn check_input(&mut self, input: &Input, at: &mut Scope<'_>) {
        match input {
            Input::SharedState(_) => self.looks_at_requests = true,
            Input::EndpointMetadata(_) | Input::LocalityMetadata(_) | Input::Environment(_) => {}
            _ => input.refuse(at),
        }
    }

    fn looks_at_hosts(&self) -> bool {
        true
    }
}
