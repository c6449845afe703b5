//! A tree of conditions that chooses filter chains: `Listener.filter_chain_matcher`.

use std::collections::HashMap;

use envoy_types::pb::google::protobuf::StringValue;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;
use envoy_types::pb::xds::r#type::matcher::v3::Matcher;
use prost::Name as _;

use super::FilterChain;
use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::match_tree::{Count, Input, Leaves, MatchTree, Subject};

/// The tree; it leads to filter chains by their names.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainMatcher(MatchTree<Option<usize>>);

/// Where a tree leads to for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// To the chain at this place.
    Chain(usize),
    /// To a name that no chain has: as in Envoy there is no chain then, not even the default one.
    Nowhere,
    /// Nothing matches.
    Nothing,
}

impl ChainMatcher {
    /// From its proto; its actions name these chains.
    pub(super) fn from_proto(message: Matcher, chains: &[FilterChain], at: &mut Scope<'_>) -> Option<Self> {
        let places = chains.iter().enumerate().map(|(place, chain)| (chain.name.as_str(), place)).collect();
        MatchTree::from_proto(message, &mut Chains(places), at).map(ChainMatcher)
    }

    /// Lets conditions that count something do so from now on: `make` makes the counter of a `stat_prefix`.
    pub fn count_with(&self, make: &dyn Fn(&str) -> Box<dyn Count>) {
        self.0.count_with(make);
    }

    /// Where it leads to for a connection.
    pub fn find(&self, connection: &Subject<'_>) -> Matched {
        match self.0.find(connection) {
            Some(Some(place)) => Matched::Chain(*place),
            Some(None) => Matched::Nowhere,
            None => Matched::Nothing,
        }
    }
}

/// The places of chains by their names, while the tree is read.
struct Chains<'c>(HashMap<&'c str, usize>);

impl Leaves for Chains<'_> {
    type Action = Option<usize>;

    fn action(&mut self, message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Option<usize>> {
        open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
        let any = at.required("typed_config", typed_config)?;
        let (found, known) = (extension::contained_type(&any), StringValue::full_name());
        let mut at = at.field("typed_config");
        if found != known {
            at.error(format!(
                "Didn't find a registered implementation for '{name}' with type URL: '{found}'; known: {known}"
            ));
            return None;
        }
        let name = extension::read::<StringValue>(any, &mut at)?.value;
        Some(self.0.get(name.as_str()).copied())
    }

    fn check_input(&mut self, input: &Input, at: &mut Scope<'_>) {
        let is_else = matches!(input, Input::SourceType | Input::Environment(_));
        if !(input.is_of_connections() || input.is_of_greeting() || is_else) {
            input.refuse(at);
        }
    }

    fn looks_at_greetings(&self) -> bool {
        true
    }
}
