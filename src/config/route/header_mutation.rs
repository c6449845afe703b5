//! Changes of headers one by one: `envoy.config.common.mutation_rules.v3.HeaderMutation`.

use envoy_types::pb::envoy::config::common::mutation_rules::v3;

use super::HeaderValueOption;
use crate::config::field::{Scope, open};
use crate::config::format::{Format, Formatters};
use crate::config::matcher::StringMatcher;

/// One change of the headers, or trailers, of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderMutation {
    /// Takes a header away; its name in lower case.
    Remove(String),
    /// Takes every header away whose name matches.
    RemoveOnMatch(StringMatcher),
    /// Gives a header a value.
    Append(HeaderValueOption),
}

impl HeaderMutation {
    /// From its proto.
    pub fn from_proto(message: v3::HeaderMutation, at: &mut Scope<'_>) -> Option<Self> {
        Self::with(&Formatters::default(), message, at)
    }

    /// The same beside which formatter extensions are configured.
    pub fn with(formatters: &Formatters, message: v3::HeaderMutation, at: &mut Scope<'_>) -> Option<Self> {
        use v3::header_mutation::{Action, RemoveOnMatch};
        open! { at, v3::HeaderMutation = message; implemented { action } }
        match at.required("action", action)? {
            Action::Remove(name) if is_essential(&name) => {
                at.reject("remove", "what a message is made of stays: :-prefixed headers and host");
                None
            }
            Action::Remove(name) => Some(HeaderMutation::Remove(name.to_ascii_lowercase())),
            Action::Append(option) => HeaderValueOption::with(formatters, option, &mut at.field("append"))
                .map(HeaderMutation::Append),
            Action::RemoveOnMatch(message) => {
                let mut at = at.field("remove_on_match");
                let at = &mut at;
                open! { at, RemoveOnMatch = message; implemented { key_matcher } }
                let matcher = at.required("key_matcher", key_matcher);
                at.message("key_matcher", matcher, StringMatcher::from_proto)
                    .map(HeaderMutation::RemoveOnMatch)
            }
        }
    }

    /// What makes the value of a header that is added.
    pub fn format(&self) -> Option<&Format> {
        match self {
            HeaderMutation::Append(option) => Some(&option.value),
            HeaderMutation::Remove(_) | HeaderMutation::RemoveOnMatch(_) => None,
        }
    }
}

/// Whether no message can do without a header.
fn is_essential(name: &str) -> bool {
    name.starts_with(':') || name.eq_ignore_ascii_case("host")
}
