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
pub struct ChainMatcher {
    /// Its leaves are places among the names.
    tree: MatchTree<usize>,
    /// Each once.
    names: Vec<String>,
    /// The place of the chain of each name, where there is one.
    places: Vec<Option<usize>>,
}

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
        let mut found = Chains::default();
        let tree = MatchTree::from_proto(message, &mut found, at)?;
        let mut matcher = ChainMatcher { tree, names: found.names, places: Vec::new() };
        matcher.place(chains);
        Some(matcher)
    }

    /// Lets the names lead to these chains from now on.
    pub(super) fn place(&mut self, chains: &[FilterChain]) {
        let places: HashMap<&str, usize> =
            chains.iter().enumerate().map(|(place, chain)| (chain.name.as_str(), place)).collect();
        self.places = self.names.iter().map(|name| places.get(name.as_str()).copied()).collect();
    }

    /// The names that no chain has.
    pub(super) fn missing(&self) -> impl Iterator<Item = &str> {
        let missing = self.names.iter().zip(&self.places).filter(|(_, place)| place.is_none());
        missing.map(|(name, _)| name.as_str())
    }

    /// Lets conditions that count something do so from now on: `make` makes the counter of a `stat_prefix`.
    pub fn count_with(&self, make: &dyn Fn(&str) -> Box<dyn Count>) {
        self.tree.count_with(make);
    }

    /// Where it leads to for a connection.
    pub fn find(&self, connection: &Subject<'_>) -> Matched {
        match self.tree.find(connection).map(|name| self.places.get(*name).copied().flatten()) {
            Some(Some(place)) => Matched::Chain(place),
            Some(None) => Matched::Nowhere,
            None => Matched::Nothing,
        }
    }
}

/// The names of chains, while the tree is read.
#[derive(Default)]
struct Chains {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Leaves for Chains {
    type Action = usize;

    fn action(&mut self, message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<usize> {
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
        if let Some(number) = self.numbers.get(&name) {
            return Some(*number);
        }
        self.numbers.insert(name.clone(), self.names.len());
        self.names.push(name);
        Some(self.names.len() - 1)
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
