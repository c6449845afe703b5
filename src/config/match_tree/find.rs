//! Finding the action of a tree.

use super::input::Subject;
use super::{Choice, MatchTree, OnMatch};

impl<A> MatchTree<A> {
    /// The action for a request; `None` where nothing matches.
    ///
    /// A condition that holds but whose own tree leads nowhere lets the next one have it, as in Envoy.
    pub fn find(&self, subject: &Subject<'_>) -> Option<&A> {
        let found = match &self.choice {
            Choice::None => None,
            Choice::List(matchers) => {
                let mut held = matchers.iter().filter(|(predicate, _)| predicate.holds(subject));
                held.find_map(|(_, on_match)| on_match.follow(subject))
            }
            Choice::Exact(input, map) => {
                let value = input.value(subject);
                let text = value.as_deref().and_then(|value| std::str::from_utf8(value).ok());
                text.and_then(|text| map.get(text)?.follow(subject))
            }
            Choice::Prefix(input, map, longest) => {
                let value = input.value(subject);
                value.and_then(|value| {
                    let lengths = (0..=value.len().min(*longest)).rev();
                    let prefixes = lengths.filter_map(|length| std::str::from_utf8(&value[..length]).ok());
                    prefixes.filter_map(|prefix| map.get(prefix)).find_map(|found| found.follow(subject))
                })
            }
        };
        found.or_else(|| self.on_no_match.as_ref()?.follow(subject))
    }

    /// All actions, those that nothing leads to as well.
    pub fn actions(&self) -> Vec<&A> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found
    }

    fn collect<'t>(&'t self, found: &mut Vec<&'t A>) {
        let below: Vec<&OnMatch<A>> = match &self.choice {
            Choice::None => Vec::new(),
            Choice::List(matchers) => matchers.iter().map(|(_, on_match)| on_match).collect(),
            Choice::Exact(_, map) | Choice::Prefix(_, map, _) => map.values().collect(),
        };
        for on_match in below.into_iter().chain(&self.on_no_match) {
            match on_match {
                OnMatch::Tree(tree) => tree.collect(found),
                OnMatch::Action(action) => found.push(action),
            }
        }
    }
}

impl<A> OnMatch<A> {
    fn follow(&self, subject: &Subject<'_>) -> Option<&A> {
        match self {
            OnMatch::Tree(tree) => tree.find(subject),
            OnMatch::Action(action) => Some(action),
        }
    }
}
