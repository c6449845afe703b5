//! Trees of domains: `xds.type.matcher.v3.ServerNameMatcher`.

use std::collections::HashMap;

use super::OnMatch;
use super::from_proto::Leaves;
use crate::config::field::{Scope, open};
use crate::config::messages::xds::r#type::matcher::v3;

/// Domains and where they lead. Case counts, as in Envoy.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Domains<A> {
    matches: Vec<OnMatch<A>>,
    /// Whole names, each with its place in `matches`.
    exact: HashMap<String, usize>,
    /// What stands behind `*.`, likewise.
    suffixes: HashMap<String, usize>,
    /// Bytes of the longest of these: what is longer need not be looked for, however many dots a name has.
    longest_suffix: usize,
    /// `*`
    any: Option<usize>,
}

impl<A> Domains<A> {
    pub(super) fn from_proto(
        message: v3::ServerNameMatcher,
        leaves: &mut dyn Leaves<Action = A>,
        at: &mut Scope<'_>,
    ) -> Self {
        use v3::server_name_matcher::DomainMatcher;
        open! { at, v3::ServerNameMatcher = message; implemented { domain_matchers } }
        let mut read = Domains {
            matches: Vec::new(),
            exact: HashMap::new(),
            suffixes: HashMap::new(),
            longest_suffix: 0,
            any: None,
        };
        for (index, message) in domain_matchers.into_iter().enumerate() {
            let mut at = at.index("domain_matchers", index);
            open! { at, DomainMatcher = message; implemented { domains, on_match } }
            if domains.is_empty() {
                at.field("domains").violation("value must contain at least 1 item(s)");
            }
            let on_match = at.required("on_match", on_match);
            let on_match =
                at.message("on_match", on_match, |message, at| OnMatch::from_proto(message, leaves, at));
            let place = read.matches.len();
            read.matches.extend(on_match);
            for (index, domain) in domains.into_iter().enumerate() {
                read.add(domain, place, &mut at.index("domains", index));
            }
        }
        read
    }

    fn add(&mut self, domain: String, place: usize, at: &mut Scope<'_>) {
        let taken = match domain.strip_prefix("*.") {
            _ if domain == "*" => self.any.replace(place),
            _ if domain.is_empty() => {
                at.error("Empty domain in ServerNameMatcher");
                None
            }
            Some(suffix) if !suffix.is_empty() && !suffix.contains('*') => {
                self.longest_suffix = self.longest_suffix.max(suffix.len());
                self.suffixes.insert(suffix.to_owned(), place)
            }
            None if !domain.contains('*') => self.exact.insert(domain.clone(), place),
            _ => {
                let problem = match domain.strip_prefix("*.").is_some_and(|suffix| !suffix.is_empty()) {
                    true => "Multiple wildcards are not supported",
                    false => "Only '*' and '*.domain' patterns are supported",
                };
                at.error(format!("Invalid wildcard domain format: {domain}. {problem}"));
                None
            }
        };
        if taken.is_some() {
            at.error(format!("Duplicate domain in ServerNameMatcher: {domain}"));
        }
    }

    /// Where a name leads: the name itself, then the longest suffix, then all names.
    pub(super) fn of<'d, 'n>(
        &'d self,
        name: &'n str,
    ) -> impl Iterator<Item = &'d OnMatch<A>> + use<'d, 'n, A> {
        let whole = self.exact.get(name);
        let dots = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
        let dots = dots.filter(|suffix| suffix.len() <= self.longest_suffix);
        let suffixes = dots.filter_map(|suffix| self.suffixes.get(suffix));
        let any = self.any.as_ref().filter(|_| !name.is_empty());
        let places = whole.into_iter().chain(suffixes).chain(any);
        places.filter_map(|place| self.matches.get(*place))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &OnMatch<A>> {
        self.matches.iter()
    }
}
