//! Finding the action of a tree.

use super::input::Given;
use super::{Choice, Count, MatchTree, NotYet, OnMatch, Subject};

impl<A> MatchTree<A> {
    /// The action for a request; `None` where nothing matches, or where what a condition looks at is not there yet.
    ///
    /// A condition that holds but whose own tree leads nowhere lets the next one have it, as in Envoy.
    pub fn find(&self, subject: &Subject<'_>) -> Option<&A> {
        self.search(subject).ok().flatten()
    }

    fn search(&self, subject: &Subject<'_>) -> Result<Option<&A>, NotYet> {
        match (self.choose(subject)?, &self.on_no_match) {
            (None, Some(on_no_match)) => on_no_match.follow(subject),
            (found, _) => Ok(found),
        }
    }

    fn choose(&self, subject: &Subject<'_>) -> Result<Option<&A>, NotYet> {
        let input = match &self.choice {
            Choice::None => return Ok(None),
            Choice::List(matchers) => {
                let held =
                    matchers.iter().filter_map(|(predicate, on_match)| match predicate.holds(subject) {
                        Ok(holds) => holds.then_some(Ok(on_match)),
                        Err(NotYet) => Some(Err(NotYet)),
                    });
                return first(held, subject);
            }
            Choice::Exact(input, _)
            | Choice::Prefix(input, ..)
            | Choice::Domains(input, _)
            | Choice::Networks(input, _) => input,
        };
        let value = match input.value(subject) {
            Given::Text(value) => value,
            Given::NotYet => return Err(NotYet),
            Given::Nothing | Given::Metadata(_) | Given::Attributes => return Ok(None),
        };
        let text = std::str::from_utf8(&value).ok();
        match &self.choice {
            Choice::None | Choice::List(_) => Ok(None),
            Choice::Exact(_, map) => first(text.and_then(|text| map.get(text)).map(Ok), subject),
            Choice::Prefix(_, map, lengths) => {
                first(prefixes(&value, lengths).filter_map(|prefix| map.get(prefix)).map(Ok), subject)
            }
            Choice::Domains(_, domains) => {
                first(text.into_iter().flat_map(|text| domains.of(text)).map(Ok), subject)
            }
            Choice::Networks(_, networks) => match text.and_then(|text| text.parse().ok()) {
                Some(address) => networks.find(address, subject),
                None => Ok(None),
            },
        }
    }

    /// All actions, those that nothing leads to as well.
    pub fn actions(&self) -> Vec<&A> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found
    }

    /// Lets conditions that count something do so from now on: `make` makes the counter of a `stat_prefix`.
    pub fn count_with(&self, make: &dyn Fn(&str) -> Box<dyn Count>) {
        if let Choice::List(matchers) = &self.choice {
            matchers.iter().for_each(|(predicate, _)| predicate.count_with(make));
        }
        for on_match in self.below() {
            if let OnMatch::Tree(tree) = on_match {
                tree.count_with(make);
            }
        }
    }

    /// Where it leads to, be it to another tree or to an action.
    fn below(&self) -> Vec<&OnMatch<A>> {
        let mut below: Vec<_> = match &self.choice {
            Choice::None => Vec::new(),
            Choice::List(matchers) => matchers.iter().map(|(_, on_match)| on_match).collect(),
            Choice::Exact(_, map) | Choice::Prefix(_, map, _) => map.values().collect(),
            Choice::Domains(_, domains) => domains.all().collect(),
            Choice::Networks(_, networks) => networks.all().collect(),
        };
        below.extend(&self.on_no_match);
        below
    }

    fn collect<'t>(&'t self, found: &mut Vec<&'t A>) {
        for on_match in self.below() {
            match on_match {
                OnMatch::Tree(tree) => tree.collect(found),
                OnMatch::Action(action) => found.push(action),
            }
        }
    }
}

impl<A> OnMatch<A> {
    pub(super) fn follow(&self, subject: &Subject<'_>) -> Result<Option<&A>, NotYet> {
        match self {
            OnMatch::Tree(tree) => tree.search(subject),
            OnMatch::Action(action) => Ok(Some(action)),
        }
    }
}

/// The beginnings of a value that have one of these lengths, as far as it is UTF-8.
pub(super) fn prefixes<'v>(value: &'v [u8], lengths: &[usize]) -> impl Iterator<Item = &'v str> {
    let text = value.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    lengths.iter().filter_map(move |length| text.get(..*length))
}

/// The first of these that leads to an action, unless one before it cannot be told.
fn first<'t, A: 't>(
    matches: impl IntoIterator<Item = Result<&'t OnMatch<A>, NotYet>>,
    subject: &Subject<'_>,
) -> Result<Option<&'t A>, NotYet> {
    for on_match in matches {
        if let Some(action) = on_match?.follow(subject)? {
            return Ok(Some(action));
        }
    }
    Ok(None)
}
