//! Conditions on cookies: `envoy.config.route.v3.CookieMatcher`.

use envoy_types::pb::envoy::config::route::v3;

use crate::base::headers::{Headers, cookie};
use crate::config::field::{Scope, open};
use crate::config::matcher::StringMatcher;

/// A condition on one cookie of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct CookieMatcher {
    /// The cookie's name, case counts.
    pub name: String,
    /// What is asked of its value. A missing cookie does not match.
    pub value: StringMatcher,
    /// Turns the answer round, that for a missing cookie too.
    pub invert: bool,
}

impl CookieMatcher {
    /// Whether these headers match.
    pub fn matches(&self, headers: &Headers) -> bool {
        let value = cookie(headers, self.name.as_bytes());
        value.is_some_and(|value| self.value.matches(value)) != self.invert
    }

    pub(super) fn from_proto(message: v3::CookieMatcher, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::CookieMatcher = message; implemented { name, string_match, invert_match } }
        let name = at.required_string("name", name);
        let string_match = at.required("string_match", string_match);
        let value = at.message("string_match", string_match, StringMatcher::from_proto)?;
        Some(CookieMatcher { name, value, invert: invert_match })
    }
}
