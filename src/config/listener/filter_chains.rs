//! The filter chains of a listener, and how one of them is chosen for a connection.

use std::collections::{HashMap, HashSet};

use envoy_types::pb::envoy::config::listener::v3;
use envoy_types::pb::xds::r#type::matcher::v3::Matcher;
use prost::{Message as _, Name as _};

use crate::config::field::Scope;

use super::chain_index::{ChainIndex, Clash};
use super::chain_matcher::ChainMatcher;
use super::filter_chain::FilterChain;

/// The chains, and the index by which one of them is found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Chosen {
    pub(super) chains: Vec<FilterChain>,
    pub(super) index: ChainIndex,
    pub(super) matcher: Option<ChainMatcher>,
}

/// Reads the chains of a listener at this address, which may be without where something else serves its connections.
pub(super) fn from_proto(
    messages: Vec<v3::FilterChain>,
    matcher: Option<Matcher>,
    may_have_none: bool,
    address: &str,
    at: &mut Scope<'_>,
) -> Chosen {
    if messages.is_empty() && !may_have_none {
        at.field("filter_chains").error("no filter chains specified");
    }
    if let Some(matcher) = matcher {
        return of_matcher(messages, matcher, address, at);
    }
    let mut chosen = Chosen { chains: Vec::with_capacity(messages.len()), ..Chosen::default() };
    // The bytes of what is asked of a chain, and its name.
    let mut asked: HashMap<Vec<u8>, String> = HashMap::new();
    for (number, message) in messages.into_iter().enumerate() {
        let mut at = at.index("filter_chains", number);
        let criteria = message.filter_chain_match.clone().unwrap_or_default();
        let name = message.name.clone();
        let errors = at.errors();
        let Some(chain) = FilterChain::from_proto(message, &mut at) else { continue };
        let refused = |problem: &str| format!("error adding listener '{address}': {problem}");
        // What cannot be read has been told of; it clashes with nothing.
        if at.errors() == errors {
            let bytes = criteria.encode_to_vec();
            if let Some(other) = asked.get(&bytes) {
                let asked = printed(&bytes);
                at.error(refused(&format!(
                    "filter chain '{name}' has the same matching rules defined as '{other}'. duplicate matcher is: {asked}"
                )));
            } else {
                asked.insert(bytes, name);
                let problem = match chosen.index.add(&chain.criteria, chosen.chains.len()) {
                    Ok(()) => None,
                    Err(Clash::Overlap) => {
                        Some("multiple filter chains with overlapping matching rules are defined")
                    }
                    Err(Clash::TooMany) => {
                        Some("the filter chains ask for more than a million combinations of criteria")
                    }
                };
                if let Some(problem) = problem {
                    at.error(refused(problem));
                }
            }
        }
        chosen.chains.push(chain);
    }
    chosen
}

/// The chains of a listener whose matcher names them; what they ask for themselves does not count.
fn of_matcher(messages: Vec<v3::FilterChain>, matcher: Matcher, address: &str, at: &mut Scope<'_>) -> Chosen {
    let mut names = HashSet::new();
    let refused = |problem: &str| format!("error adding listener '{address}': {problem}");
    let chains = at.list("filter_chains", messages, |message, at| {
        if message.name.is_empty() {
            at.error(refused("\"name\" field is required when using a listener matcher"));
        } else if !names.insert(message.name.clone()) {
            at.error(refused(&format!("\"name\" field is duplicated with value '{}'", message.name)));
        }
        FilterChain::from_proto(message, at)
    });
    let matcher = at.message("filter_chain_matcher", Some(matcher), |message, at| {
        ChainMatcher::from_proto(message, &chains, at)
    });
    Chosen { chains, index: ChainIndex::default(), matcher }
}

/// What is asked of a chain, as Envoy shows it.
fn printed(bytes: &[u8]) -> String {
    let options = dragoman_proto::PrintOptions::default();
    dragoman_proto::print(bytes, &v3::FilterChainMatch::full_name(), &options)
        .map_or_else(|_| String::new(), |value| value.to_string())
}
