//! Conditions: `xds.type.matcher.v3.Matcher.MatcherList.Predicate`.

use envoy_types::pb::xds::r#type::matcher::v3 as xds;
use xds::matcher::matcher_list::predicate::SinglePredicate;
use xds::matcher::matcher_list::{Predicate as Message, predicate as message};

use super::input::Input;
use super::test::Test;
use super::{Count, NotYet, Subject};
use crate::config::field::{Scope, open};

/// A condition on a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// On one input; what has no value does not hold.
    Single(Input, Test),
    /// One of them holds.
    Or(Vec<Predicate>),
    /// All of them hold.
    And(Vec<Predicate>),
    /// It does not hold.
    Not(Box<Predicate>),
}

impl Predicate {
    /// Whether it holds for a request.
    ///
    /// # Errors
    /// What it looks at is not there yet.
    pub fn holds(&self, subject: &Subject<'_>) -> Result<bool, NotYet> {
        match self {
            Predicate::Single(input, test) => test.passes(input.value(subject), subject),
            Predicate::Or(predicates) => {
                let mut none = Ok(false);
                for predicate in predicates {
                    match predicate.holds(subject) {
                        Ok(true) => return Ok(true),
                        Ok(false) => {}
                        Err(NotYet) => none = Err(NotYet),
                    }
                }
                none
            }
            Predicate::And(predicates) => {
                for predicate in predicates {
                    if !predicate.holds(subject)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Predicate::Not(predicate) => predicate.holds(subject).map(|holds| !holds),
        }
    }

    pub(super) fn count_with(&self, make: &dyn Fn(&str) -> Box<dyn Count>) {
        match self {
            Predicate::Single(_, test) => test.count_with(make),
            Predicate::Or(predicates) | Predicate::And(predicates) => {
                predicates.iter().for_each(|predicate| predicate.count_with(make));
            }
            Predicate::Not(predicate) => predicate.count_with(make),
        }
    }

    /// The inputs that it looks at must all be `allowed`.
    pub(super) fn from_proto(
        message: Message,
        allowed: &mut dyn FnMut(&Input, &mut Scope<'_>),
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, Message = message; implemented { match_type } }
        match at.required("match_type", match_type)? {
            message::MatchType::SinglePredicate(message) => {
                single(message, allowed, &mut at.field("single_predicate"))
            }
            message::MatchType::OrMatcher(list) => {
                several(list, allowed, &mut at.field("or_matcher")).map(Predicate::Or)
            }
            message::MatchType::AndMatcher(list) => {
                several(list, allowed, &mut at.field("and_matcher")).map(Predicate::And)
            }
            message::MatchType::NotMatcher(message) => {
                let predicate = Predicate::from_proto(*message, allowed, &mut at.field("not_matcher"))?;
                Some(Predicate::Not(Box::new(predicate)))
            }
        }
    }
}

fn several(
    message: message::PredicateList,
    allowed: &mut dyn FnMut(&Input, &mut Scope<'_>),
    at: &mut Scope<'_>,
) -> Option<Vec<Predicate>> {
    use message::PredicateList;
    open! { at, PredicateList = message; implemented { predicate } }
    if predicate.len() < 2 {
        at.field("predicate").violation("value must contain at least 2 item(s)");
    }
    Some(at.list("predicate", predicate, |message, at| Predicate::from_proto(message, allowed, at)))
}

fn single(
    message: SinglePredicate,
    allowed: &mut dyn FnMut(&Input, &mut Scope<'_>),
    at: &mut Scope<'_>,
) -> Option<Predicate> {
    use message::single_predicate::Matcher;
    open! { at, SinglePredicate = message; implemented { input, matcher } }
    let input = at.required("input", input);
    let input = at.message("input", input, Input::of_any);
    let test = match at.required("matcher", matcher)? {
        Matcher::ValueMatch(message) => Test::of_value(message, &mut at.field("value_match")),
        Matcher::CustomMatch(message) => Test::custom(message, &mut at.field("custom_match")),
    };
    let (input, test) = (input?, test?);
    allowed(&input, at);
    if input.kind() != test.kind() {
        at.error(format!(
            "Unsupported data input type: {}. The matcher supports input type: {}",
            input.kind().name(),
            test.kind().name()
        ));
    }
    Some(Predicate::Single(input, test))
}
