//! Changes of headers one by one, in their order (`envoy.config.common.mutation_rules.v3.HeaderMutation`).

use crate::base::headers::{Headers, Name};
use crate::config::matcher::StringMatcher;
use crate::config::route::HeaderMutation;

use super::mutation::{Part, Render, change};

/// Makes one change in the headers of this part of a message; `value` is what its format gave.
pub fn apply(mutation: &HeaderMutation, headers: &mut Headers, value: &[u8], part: Part) {
    match mutation {
        HeaderMutation::Remove(name) => {
            headers.remove(Name::new(name.as_bytes()));
        }
        HeaderMutation::RemoveOnMatch(matcher) => headers.retain(|name, _| keeps(matcher, name)),
        HeaderMutation::Append(option) => change(headers, option, value, part),
    }
}

/// Makes the changes of a request's headers; each sees what the ones before it have left.
pub fn apply_to_request(mutations: &[HeaderMutation], headers: &mut Headers, render: Render<'_>) {
    let mut value = Vec::new();
    for mutation in mutations {
        value.clear();
        if let Some(format) = mutation.format() {
            render(format, headers, &mut value);
        }
        apply(mutation, headers, &value, Part::Request);
    }
}

/// Whether a header stays. What a message is made of does, whatever the matcher says.
fn keeps(matcher: &StringMatcher, name: Name<'_>) -> bool {
    let name = name.as_bytes();
    name.starts_with(b":") || !matcher.matches(name)
}
