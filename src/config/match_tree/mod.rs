//! The generic matching API: `xds.type.matcher.v3.Matcher`, a tree of conditions whose leaves are actions.
//!
//! What an action is whoever uses the tree decides: a range of routes, the name of a cluster. A matcher is read with
//! `MatchTree::from_proto` and asked with [`MatchTree::find`].

mod domains;
mod find;
mod from_proto;
mod input;
mod networks;
mod older;
mod predicate;
mod subject;
mod test;
mod unparsed;

use std::collections::HashMap;

use domains::Domains;
pub use from_proto::Leaves;
pub use input::{Given, Input};
use networks::Networks;
pub use older::newer;
pub use predicate::Predicate;
pub use subject::{Named, Noted, PeerCertificate, Peers, Subject};
pub use unparsed::Count;

/// `xds.type.matcher.v3.Matcher`
#[derive(Clone, Debug, PartialEq)]
pub struct MatchTree<A> {
    choice: Choice<A>,
    /// Where nothing else matches.
    on_no_match: Option<OnMatch<A>>,
}

/// `Matcher.matcher_type`
#[derive(Clone, Debug, PartialEq)]
enum Choice<A> {
    /// There is none: `on_no_match` always holds.
    None,
    /// `matcher_list`: what holds and leads to an action first.
    List(Vec<(Predicate, OnMatch<A>)>),
    /// `matcher_tree.exact_match_map`
    Exact(Input, HashMap<String, OnMatch<A>>),
    /// `matcher_tree.prefix_match_map`: the longest prefix that leads to an action; with the lengths that there are, the
    /// longest first.
    Prefix(Input, HashMap<String, OnMatch<A>>, Box<[usize]>),
    /// `matcher_tree.custom_match`: `xds.type.matcher.v3.ServerNameMatcher`
    Domains(Input, Domains<A>),
    /// `matcher_tree.custom_match`: `xds.type.matcher.v3.IPMatcher`
    Networks(Input, Networks<A>),
}

/// `Matcher.OnMatch`
#[derive(Clone, Debug, PartialEq)]
enum OnMatch<A> {
    /// A tree to go on with.
    Tree(Box<MatchTree<A>>),
    /// The end.
    Action(A),
}

/// What a condition looks at is not there yet: it cannot be said whether it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotYet;

#[cfg(test)]
mod tests;
