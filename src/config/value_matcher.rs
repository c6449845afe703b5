//! Matchers of what filters note of a request: `envoy.type.matcher.v3.MetadataMatcher` and `FilterStateMatcher`.

use std::ops::Range;

use envoy_types::pb::envoy::r#type::matcher::v3;
use envoy_types::pb::envoy::r#type::v3::DoubleRange;
use serde_json::Value;

use super::field::{Scope, open};
use super::matcher::{CidrRange, StringMatcher};

/// `envoy.type.matcher.v3.MetadataMatcher`
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataMatcher {
    /// The name of the metadata (`filter`), then the keys of `path`.
    pub path: Vec<String>,
    /// What is asked of the value there.
    pub value: ValueMatcher,
    /// Turns the answer round.
    pub invert: bool,
}

/// `envoy.type.matcher.v3.ValueMatcher`
#[derive(Clone, Debug, PartialEq)]
pub enum ValueMatcher {
    /// `null_match`: a null that is there.
    Null,
    /// `double_match`: this number.
    Exact(f64),
    /// `double_match`: a number of this range; the end is excluded.
    Range(Range<f64>),
    /// `string_match`: a text that matches.
    String(StringMatcher),
    /// `bool_match`: this truth.
    Bool(bool),
    /// `present_match`: any value, if `true`; nothing matches `false`, as in Envoy.
    Present(bool),
    /// `list_match`: a list, an item of which matches.
    OneOf(Box<ValueMatcher>),
    /// `or_match`: one of these matches.
    Or(Vec<ValueMatcher>),
}

/// `envoy.type.matcher.v3.FilterStateMatcher`
#[derive(Clone, Debug, PartialEq)]
pub struct FilterStateMatcher {
    /// The object's name.
    pub key: String,
    /// What is asked of it.
    pub object: ObjectMatcher,
}

/// `FilterStateMatcher.matcher`
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectMatcher {
    /// `string_match`: its text matches.
    Text(StringMatcher),
    /// `address_match`: it is an address of one of these networks.
    Address {
        /// The networks.
        ranges: Vec<CidrRange>,
        /// Of none of them, then. What is no address does not match either way.
        invert: bool,
    },
}

impl MetadataMatcher {
    /// From its proto.
    pub fn from_proto(message: v3::MetadataMatcher, at: &mut Scope<'_>) -> Option<Self> {
        use v3::metadata_matcher::path_segment::Segment;
        open! { at, v3::MetadataMatcher = message; implemented { filter, path, value, invert } }
        if path.is_empty() {
            at.field("path").violation("value must contain at least 1 item(s)");
        }
        let keys = at.list("path", path, |segment, at| {
            open! { at, v3::metadata_matcher::PathSegment = segment; implemented { segment } }
            let Segment::Key(key) = at.required("segment", segment)?;
            Some(at.required_string("key", key))
        });
        let path = std::iter::once(at.required_string("filter", filter)).chain(keys).collect();
        let value = at.required("value", value);
        let value = at.message("value", value, ValueMatcher::from_proto)?;
        Some(MetadataMatcher { path, value, invert })
    }

    /// Whether the value at the path matches; `None` where there is none.
    pub fn matches(&self, value: Option<&Value>) -> bool {
        self.value.matches(value) != self.invert
    }
}

impl ValueMatcher {
    pub(in crate::config) fn from_proto(message: v3::ValueMatcher, at: &mut Scope<'_>) -> Option<Self> {
        use v3::value_matcher::MatchPattern;
        open! { at, v3::ValueMatcher = message; implemented { match_pattern } }
        match at.required("match_pattern", match_pattern)? {
            MatchPattern::NullMatch(message) => {
                let at = &mut at.field("null_match");
                open! { at, v3::value_matcher::NullMatch = message; implemented {} }
                Some(ValueMatcher::Null)
            }
            MatchPattern::DoubleMatch(message) => double(message, &mut at.field("double_match")),
            MatchPattern::StringMatch(message) => {
                StringMatcher::from_proto(message, &mut at.field("string_match")).map(ValueMatcher::String)
            }
            MatchPattern::BoolMatch(truth) => Some(ValueMatcher::Bool(truth)),
            MatchPattern::PresentMatch(present) => Some(ValueMatcher::Present(present)),
            MatchPattern::ListMatch(list) => {
                let at = &mut at.field("list_match");
                open! { at, v3::ListMatcher = *list; implemented { match_pattern } }
                let v3::list_matcher::MatchPattern::OneOf(item) =
                    at.required("match_pattern", match_pattern)?;
                let item = Self::from_proto(*item, &mut at.field("one_of"))?;
                Some(ValueMatcher::OneOf(Box::new(item)))
            }
            MatchPattern::OrMatch(or) => {
                let at = &mut at.field("or_match");
                open! { at, v3::OrMatcher = or; implemented { value_matchers } }
                if value_matchers.len() < 2 {
                    at.field("value_matchers").violation("value must contain at least 2 item(s)");
                }
                Some(ValueMatcher::Or(at.list("value_matchers", value_matchers, Self::from_proto)))
            }
        }
    }

    /// Whether a value matches; `None` where there is none.
    pub fn matches(&self, value: Option<&Value>) -> bool {
        match self {
            ValueMatcher::Null => value == Some(&Value::Null),
            ValueMatcher::Exact(number) => value.and_then(Value::as_f64) == Some(*number),
            ValueMatcher::Range(range) => {
                value.and_then(Value::as_f64).is_some_and(|number| range.contains(&number))
            }
            ValueMatcher::String(matcher) => {
                value.and_then(Value::as_str).is_some_and(|text| matcher.matches(text.as_bytes()))
            }
            ValueMatcher::Bool(truth) => value.and_then(Value::as_bool) == Some(*truth),
            ValueMatcher::Present(present) => *present && value.is_some(),
            ValueMatcher::OneOf(matcher) => value
                .and_then(Value::as_array)
                .is_some_and(|items| items.iter().any(|item| matcher.matches(Some(item)))),
            ValueMatcher::Or(matchers) => matchers.iter().any(|matcher| matcher.matches(value)),
        }
    }
}

fn double(message: v3::DoubleMatcher, at: &mut Scope<'_>) -> Option<ValueMatcher> {
    use v3::double_matcher::MatchPattern;
    open! { at, v3::DoubleMatcher = message; implemented { match_pattern } }
    Some(match at.required("match_pattern", match_pattern)? {
        MatchPattern::Exact(number) => ValueMatcher::Exact(number),
        MatchPattern::Range(range) => {
            let at = &mut at.field("range");
            open! { at, DoubleRange = range; implemented { start, end } }
            ValueMatcher::Range(start..end)
        }
    })
}

impl FilterStateMatcher {
    /// From its proto.
    pub fn from_proto(message: v3::FilterStateMatcher, at: &mut Scope<'_>) -> Option<Self> {
        use v3::filter_state_matcher::Matcher;
        open! { at, v3::FilterStateMatcher = message; implemented { key, matcher } }
        let key = at.required_string("key", key);
        match at.required("matcher", matcher)? {
            Matcher::StringMatch(message) => {
                let text = StringMatcher::from_proto(message, &mut at.field("string_match"))?;
                Some(FilterStateMatcher { key, object: ObjectMatcher::Text(text) })
            }
            Matcher::AddressMatch(message) => {
                let (ranges, invert) = addresses(message, &mut at.field("address_match"));
                Some(FilterStateMatcher { key, object: ObjectMatcher::Address { ranges, invert } })
            }
        }
    }
}

/// `envoy.type.matcher.v3.AddressMatcher`: networks, and whether an address has to be outside of them.
pub(in crate::config) fn addresses(
    message: v3::AddressMatcher,
    at: &mut Scope<'_>,
) -> (Vec<CidrRange>, bool) {
    open! { at, v3::AddressMatcher = message; implemented { ranges, invert_match } }
    (at.list("ranges", ranges, CidrRange::from_xds), invert_match)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::matcher::StringPattern;

    fn exact(text: &str) -> ValueMatcher {
        ValueMatcher::String(StringMatcher { pattern: StringPattern::Exact(text.into()), ignore_case: false })
    }

    #[test]
    fn a_value_matches_by_its_kind() {
        for (matcher, value, expected) in [
            (ValueMatcher::Null, json!(null), true),
            (ValueMatcher::Null, json!(0), false),
            (ValueMatcher::Exact(5.0), json!(5), true),
            (ValueMatcher::Exact(5.0), json!("5"), false),
            (ValueMatcher::Range(4.0..6.0), json!(4), true),
            (ValueMatcher::Range(4.0..6.0), json!(6), false),
            (ValueMatcher::Bool(false), json!(false), true),
            (ValueMatcher::Bool(true), json!("true"), false),
            (ValueMatcher::Present(true), json!(null), true),
            (ValueMatcher::Present(false), json!(1), false),
            (ValueMatcher::OneOf(Box::new(exact("b"))), json!(["a", "b"]), true),
            (ValueMatcher::OneOf(Box::new(exact("b"))), json!("b"), false),
            (ValueMatcher::Or(vec![exact("a"), ValueMatcher::Exact(1.0)]), json!(1), true),
        ] {
            assert_eq!(matcher.matches(Some(&value)), expected, "{matcher:?} {value}");
        }
    }

    #[test]
    fn where_there_is_no_value_only_an_inverted_matcher_matches() {
        for value in [ValueMatcher::Null, ValueMatcher::Present(false), exact("")] {
            assert!(!value.matches(None), "{value:?}");
            assert!(MetadataMatcher { path: Vec::new(), value, invert: true }.matches(None));
        }
    }
}
