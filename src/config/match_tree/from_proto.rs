//! `xds.type.matcher.v3.Matcher` to [`MatchTree`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use envoy_types::pb::xds::core::v3::TypedExtensionConfig;
use envoy_types::pb::xds::r#type::matcher::v3;
use v3::matcher::matcher_list::FieldMatcher;
use v3::matcher::matcher_tree::{MatchMap, TreeType};
use v3::matcher::{MatcherList, MatcherTree, MatcherType};

use super::domains::Domains;
use super::input::{Input, Kind};
use super::networks::Networks;
use super::predicate::Predicate;
use super::{Choice, MatchTree, OnMatch};
use crate::config::extension;
use crate::config::field::{Scope, open};

/// What a user of trees makes of the parts that are its own.
pub trait Leaves {
    /// What an action is.
    type Action;

    /// Reads an action; problems go into the scope, `None` then.
    fn action(&mut self, message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Self::Action>;

    /// Notes an error where an input is of no use here.
    fn check_input(&mut self, input: &Input, at: &mut Scope<'_>);

    /// Whether hosts are looked at, and not who comes to the proxy.
    fn looks_at_hosts(&self) -> bool {
        false
    }

    /// Whether connections are looked at whose filter chains are not chosen yet.
    fn looks_at_greetings(&self) -> bool {
        false
    }
}

/// Notes an error where an input is of no use to whoever uses the tree.
fn check<A>(leaves: &mut dyn Leaves<Action = A>, input: &Input, at: &mut Scope<'_>) {
    let is_misplaced = input.is_of_host() && !leaves.looks_at_hosts();
    if is_misplaced || input.is_of_greeting() && !leaves.looks_at_greetings() {
        return input.refuse(at);
    }
    leaves.check_input(input, at);
}

impl<A> MatchTree<A> {
    /// From its proto.
    pub fn from_proto(
        message: v3::Matcher,
        leaves: &mut dyn Leaves<Action = A>,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        use v3::Matcher;
        open! { at, Matcher = message; implemented { matcher_type, on_no_match } }
        let choice = match matcher_type {
            None => Some(Choice::None),
            Some(MatcherType::MatcherList(message)) => {
                list(message, leaves, &mut at.field("matcher_list")).map(Choice::List)
            }
            Some(MatcherType::MatcherTree(message)) => tree(message, leaves, &mut at.field("matcher_tree")),
        };
        let on_no_match =
            at.message("on_no_match", on_no_match, |message, at| OnMatch::from_proto(*message, leaves, at));
        Some(MatchTree { choice: choice?, on_no_match })
    }
}

impl<A> OnMatch<A> {
    pub(super) fn from_proto(
        message: v3::matcher::OnMatch,
        leaves: &mut dyn Leaves<Action = A>,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        use v3::matcher::OnMatch as Message;
        open! { at, Message = message; implemented { on_match, keep_matching } }
        if keep_matching {
            at.error("keep_matching is not supported in this context");
        }
        match at.required("on_match", on_match)? {
            v3::matcher::on_match::OnMatch::Matcher(message) => {
                let tree = MatchTree::from_proto(*message, leaves, &mut at.field("matcher"))?;
                Some(OnMatch::Tree(Box::new(tree)))
            }
            v3::matcher::on_match::OnMatch::Action(message) => {
                leaves.action(message, &mut at.field("action")).map(OnMatch::Action)
            }
        }
    }
}

fn list<A>(
    message: MatcherList,
    leaves: &mut dyn Leaves<Action = A>,
    at: &mut Scope<'_>,
) -> Option<Vec<(Predicate, OnMatch<A>)>> {
    open! { at, MatcherList = message; implemented { matchers } }
    if matchers.is_empty() {
        at.field("matchers").violation("value must contain at least 1 item(s)");
    }
    Some(at.list("matchers", matchers, |message, at| {
        open! { at, FieldMatcher = message; implemented { predicate, on_match } }
        let predicate = at.required("predicate", predicate);
        let predicate = at.message("predicate", predicate, |message, at| {
            Predicate::from_proto(message, &mut |input, at| check(leaves, input, at), at)
        });
        let on_match = at.required("on_match", on_match);
        let on_match =
            at.message("on_match", on_match, |message, at| OnMatch::from_proto(message, leaves, at));
        Some((predicate?, on_match?))
    }))
}

fn tree<A>(
    message: MatcherTree,
    leaves: &mut dyn Leaves<Action = A>,
    at: &mut Scope<'_>,
) -> Option<Choice<A>> {
    open! { at, MatcherTree = message; implemented { input, tree_type } }
    let input = at.required("input", input);
    let input = at.message("input", input, Input::of_any);
    if let Some(input) = &input {
        check(leaves, input, at);
        if input.kind() != Kind::String {
            at.error(format!(
                "Unsupported data input type: {}, currently only string type is supported in map matcher",
                input.kind().name()
            ));
        }
    }
    match at.required("tree_type", tree_type)? {
        TreeType::ExactMatchMap(message) => {
            let map = map(message, leaves, &mut at.field("exact_match_map"));
            Some(Choice::Exact(input?, map))
        }
        TreeType::PrefixMatchMap(message) => {
            let map = map(message, leaves, &mut at.field("prefix_match_map"));
            let lengths: BTreeSet<usize> = map.keys().map(String::len).collect();
            Some(Choice::Prefix(input?, map, lengths.into_iter().rev().collect()))
        }
        TreeType::CustomMatch(message) => custom(message, input?, leaves, &mut at.field("custom_match")),
    }
}

fn custom<A>(
    message: TypedExtensionConfig,
    input: Input,
    leaves: &mut dyn Leaves<Action = A>,
    at: &mut Scope<'_>,
) -> Option<Choice<A>> {
    open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
    let any = at.required("typed_config", typed_config)?;
    let type_name = extension::contained_type(&any);
    let at = &mut at.field("typed_config");
    let looks_at_hosts = leaves.looks_at_hosts();
    match type_name.as_str() {
        // They look at who comes to the proxy.
        _ if looks_at_hosts => {
            at.error(format!(
                "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'"
            ));
            None
        }
        "xds.type.matcher.v3.ServerNameMatcher" => {
            Some(Choice::Domains(input, Domains::from_proto(extension::read(any, at)?, leaves, at)))
        }
        "xds.type.matcher.v3.IPMatcher" => {
            Some(Choice::Networks(input, Networks::from_proto(extension::read(any, at)?, leaves, at)))
        }
        _ => {
            at.error(format!(
                "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'; \
                 known: xds.type.matcher.v3.ServerNameMatcher, xds.type.matcher.v3.IPMatcher"
            ));
            None
        }
    }
}

fn map<A>(
    message: MatchMap,
    leaves: &mut dyn Leaves<Action = A>,
    at: &mut Scope<'_>,
) -> HashMap<String, OnMatch<A>> {
    open! { at, MatchMap = message; implemented { map } }
    if map.is_empty() {
        at.field("map").violation("value must contain at least 1 pair(s)");
    }
    // In order, so that errors come in the same order each time.
    let map: BTreeMap<_, _> = map.into_iter().collect();
    let read = map.into_iter().filter_map(|(key, message)| {
        let on_match = OnMatch::from_proto(message, leaves, &mut at.key("map", &key))?;
        Some((key, on_match))
    });
    read.collect()
}
