//! `envoy.config.common.matcher.v3.Matcher`, what trees of conditions were before they had a package of their own.
//!
//! Each message has a newer one with the same fields, which it is turned into.

use envoy_types::pb::envoy::config::common::matcher::v3;
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig as XdsExtension;
use envoy_types::pb::xds::r#type::matcher::v3 as xds;
use prost::Message as _;
use v3::matcher::matcher_list::predicate::{self, PredicateList, SinglePredicate, single_predicate};
use v3::matcher::matcher_list::{FieldMatcher, Predicate};
use v3::matcher::matcher_tree::{MatchMap, TreeType};
use v3::matcher::{MatcherList, MatcherTree, MatcherType, OnMatch, on_match};
use xds::matcher::matcher_list as xds_list;
use xds::matcher::matcher_list::predicate as xds_predicate;
use xds::matcher::matcher_tree as xds_tree;

use crate::config::field::{Scope, open};

/// The same in the newer message.
pub fn newer(message: v3::Matcher, at: &mut Scope<'_>) -> xds::Matcher {
    open! { at, v3::Matcher = message; implemented { matcher_type, on_no_match } }
    xds::Matcher {
        matcher_type: matcher_type.map(|kind| match kind {
            MatcherType::MatcherList(message) => xds::matcher::MatcherType::MatcherList(list(message, at)),
            MatcherType::MatcherTree(message) => xds::matcher::MatcherType::MatcherTree(tree(message, at)),
        }),
        on_no_match: on_no_match.map(|message| Box::new(outcome(*message, at))),
    }
}

fn list(message: MatcherList, at: &mut Scope<'_>) -> xds::matcher::MatcherList {
    open! { at, MatcherList = message; implemented { matchers } }
    let mut matcher = |message| {
        open! { at, FieldMatcher = message; implemented { predicate, on_match } }
        let predicate = predicate.map(|message| condition(message, at));
        let on_match = on_match.map(|message| outcome(message, at));
        xds_list::FieldMatcher { predicate, on_match }
    };
    xds::matcher::MatcherList { matchers: matchers.into_iter().map(&mut matcher).collect() }
}

fn condition(message: Predicate, at: &mut Scope<'_>) -> xds_list::Predicate {
    use predicate::MatchType;
    open! { at, Predicate = message; implemented { match_type } }
    let match_type = match_type.map(|kind| match kind {
        MatchType::SinglePredicate(message) => xds_predicate::MatchType::SinglePredicate(single(message, at)),
        MatchType::OrMatcher(message) => xds_predicate::MatchType::OrMatcher(several(message, at)),
        MatchType::AndMatcher(message) => xds_predicate::MatchType::AndMatcher(several(message, at)),
        MatchType::NotMatcher(message) => {
            xds_predicate::MatchType::NotMatcher(Box::new(condition(*message, at)))
        }
    });
    xds_list::Predicate { match_type }
}

fn several(message: PredicateList, at: &mut Scope<'_>) -> xds_predicate::PredicateList {
    open! { at, PredicateList = message; implemented { predicate } }
    let predicate = predicate.into_iter().map(|message| condition(message, at)).collect();
    xds_predicate::PredicateList { predicate }
}

fn single(message: SinglePredicate, at: &mut Scope<'_>) -> xds_predicate::SinglePredicate {
    use single_predicate::Matcher;
    use xds_predicate::single_predicate as newer;
    open! { at, SinglePredicate = message; implemented { input, matcher } }
    let matcher = matcher.map(|matcher| match matcher {
        // The newer message has the same fields with the same numbers, so its bytes are the same.
        Matcher::ValueMatch(message) => newer::Matcher::ValueMatch(
            xds::StringMatcher::decode(&*message.encode_to_vec()).unwrap_or_default(),
        ),
        Matcher::CustomMatch(message) => newer::Matcher::CustomMatch(extension(message, at)),
    });
    xds_predicate::SinglePredicate { input: input.map(|message| extension(message, at)), matcher }
}

fn tree(message: MatcherTree, at: &mut Scope<'_>) -> xds::matcher::MatcherTree {
    open! { at, MatcherTree = message; implemented { input, tree_type } }
    let tree_type = tree_type.map(|kind| match kind {
        TreeType::ExactMatchMap(message) => xds_tree::TreeType::ExactMatchMap(map(message, at)),
        TreeType::PrefixMatchMap(message) => xds_tree::TreeType::PrefixMatchMap(map(message, at)),
        TreeType::CustomMatch(message) => xds_tree::TreeType::CustomMatch(extension(message, at)),
    });
    xds::matcher::MatcherTree { input: input.map(|message| extension(message, at)), tree_type }
}

fn map(message: MatchMap, at: &mut Scope<'_>) -> xds_tree::MatchMap {
    open! { at, MatchMap = message; implemented { map } }
    xds_tree::MatchMap { map: map.into_iter().map(|(key, message)| (key, outcome(message, at))).collect() }
}

fn outcome(message: OnMatch, at: &mut Scope<'_>) -> xds::matcher::OnMatch {
    open! { at, OnMatch = message; implemented { keep_matching, on_match } }
    let on_match = on_match.map(|kind| match kind {
        on_match::OnMatch::Matcher(message) => {
            xds::matcher::on_match::OnMatch::Matcher(Box::new(newer(*message, at)))
        }
        on_match::OnMatch::Action(message) => xds::matcher::on_match::OnMatch::Action(extension(message, at)),
    });
    xds::matcher::OnMatch { keep_matching, on_match }
}

fn extension(message: TypedExtensionConfig, at: &mut Scope<'_>) -> XdsExtension {
    open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
    XdsExtension { name, typed_config }
}
