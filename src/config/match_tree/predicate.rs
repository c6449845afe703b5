//! Conditions: `xds.type.matcher.v3.Matcher.MatcherList.Predicate`.

use envoy_types::pb::envoy::extensions::matching::input_matchers::ip::v3::Ip;
use envoy_types::pb::envoy::r#type::matcher::v3 as envoy;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;
use envoy_types::pb::xds::r#type::matcher::v3 as xds;
use xds::matcher::matcher_list::predicate::SinglePredicate;
use xds::matcher::matcher_list::{Predicate as Message, predicate as message};

use super::input::{Input, Subject};
use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::matcher::{CidrRange, StringMatcher};

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

/// What is asked of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// `value_match`
    Value(StringMatcher),
    /// `envoy.extensions.matching.input_matchers.ip.v3.Ip`: it is an address of one of these networks.
    Ip(Vec<CidrRange>),
}

impl Predicate {
    /// Whether it holds for a request.
    pub fn holds(&self, subject: &Subject<'_>) -> bool {
        match self {
            Predicate::Single(input, test) => input.value(subject).is_some_and(|value| test.passes(&value)),
            Predicate::Or(predicates) => predicates.iter().any(|predicate| predicate.holds(subject)),
            Predicate::And(predicates) => predicates.iter().all(|predicate| predicate.holds(subject)),
            Predicate::Not(predicate) => !predicate.holds(subject),
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

impl Test {
    fn passes(&self, value: &[u8]) -> bool {
        match self {
            Test::Value(matcher) => matcher.matches(value),
            Test::Ip(ranges) => {
                let address = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                address.is_some_and(|address| ranges.iter().any(|range| range.contains(address)))
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
    let input = at.message("input", input, Input::from_proto);
    let test = match at.required("matcher", matcher)? {
        Matcher::ValueMatch(message) => value_match(message, &mut at.field("value_match")).map(Test::Value),
        Matcher::CustomMatch(message) => custom_match(message, &mut at.field("custom_match")),
    };
    let input = input?;
    allowed(&input, at);
    Some(Predicate::Single(input, test?))
}

/// `xds.type.matcher.v3.StringMatcher`, which is Envoy's own but for its package.
fn value_match(message: xds::StringMatcher, at: &mut Scope<'_>) -> Option<StringMatcher> {
    use xds::StringMatcher as Message;
    use xds::string_matcher::MatchPattern;
    open! { at, Message = message; implemented { ignore_case, match_pattern } }
    let pattern = match at.required("match_pattern", match_pattern)? {
        MatchPattern::Exact(text) => envoy::string_matcher::MatchPattern::Exact(text),
        MatchPattern::Prefix(text) => envoy::string_matcher::MatchPattern::Prefix(text),
        MatchPattern::Suffix(text) => envoy::string_matcher::MatchPattern::Suffix(text),
        MatchPattern::Contains(text) => envoy::string_matcher::MatchPattern::Contains(text),
        MatchPattern::SafeRegex(message) => {
            let mut at = at.field("safe_regex");
            envoy::string_matcher::MatchPattern::SafeRegex(regex(message, &mut at))
        }
        MatchPattern::Custom(_) => {
            at.reject("custom", "no string matcher extensions are known");
            return None;
        }
    };
    let message = envoy::StringMatcher { match_pattern: Some(pattern), ignore_case };
    StringMatcher::from_proto(message, at)
}

/// RE2 is the only engine there is.
fn regex(message: xds::RegexMatcher, at: &mut Scope<'_>) -> envoy::RegexMatcher {
    use xds::RegexMatcher as Message;
    open! { at, Message = message; implemented { regex, engine_type } }
    if let Some(xds::regex_matcher::EngineType::GoogleRe2(message)) = engine_type {
        use xds::regex_matcher::GoogleRe2;
        open! { at, GoogleRe2 = message; implemented {} }
    }
    envoy::RegexMatcher { regex, ..envoy::RegexMatcher::default() }
}

fn custom_match(message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Test> {
    open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
    let any = at.required("typed_config", typed_config)?;
    let type_name = extension::contained_type(&any);
    let mut at = at.field("typed_config");
    if type_name != <Ip as prost::Name>::full_name() {
        at.unsupported(format!(
            "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'; \
             known: envoy.extensions.matching.input_matchers.ip.v3.Ip"
        ));
        return None;
    }
    let message = extension::read::<Ip>(any, &mut at)?;
    open! { at, Ip = message;
        implemented { cidr_ranges }
        ignored { stat_prefix: "it is for a counter of values that are no addresses" }
    }
    Some(Test::Ip(at.list("cidr_ranges", cidr_ranges, CidrRange::from_proto)))
}
