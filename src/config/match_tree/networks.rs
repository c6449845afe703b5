//! Trees of networks: `xds.type.matcher.v3.IPMatcher`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use envoy_types::pb::envoy::config::core::v3::CidrRange as Range;
use envoy_types::pb::xds::core::v3::CidrRange as Message;

use super::from_proto::Leaves;
use super::{NotYet, OnMatch, Subject};
use crate::config::field::{Scope, open};
use crate::config::matcher::CidrRange;
use crate::config::messages::xds::r#type::matcher::v3;

/// Networks and where they lead: the smallest network that leads to an action, of equal ones the first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Networks<A> {
    matches: Vec<Match<A>>,
    /// By the bits of the networks, the most first; to each network the places in `matches`, in their order.
    by_length: BTreeMap<Reverse<u8>, HashMap<IpAddr, Vec<usize>>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Match<A> {
    on_match: OnMatch<A>,
    /// Only where no smaller network holds the address.
    exclusive: bool,
}

impl<A> Networks<A> {
    pub(super) fn from_proto(
        message: v3::IpMatcher,
        leaves: &mut dyn Leaves<Action = A>,
        at: &mut Scope<'_>,
    ) -> Self {
        use v3::ip_matcher::IpRangeMatcher;
        open! { at, v3::IpMatcher = message; implemented { range_matchers } }
        let mut read = Networks { matches: Vec::new(), by_length: BTreeMap::new() };
        for (index, message) in range_matchers.into_iter().enumerate() {
            let mut at = at.index("range_matchers", index);
            open! { at, IpRangeMatcher = message; implemented { ranges, on_match, exclusive } }
            if ranges.is_empty() {
                at.field("ranges").violation("value must contain at least 1 item(s)");
            }
            let on_match = at.required("on_match", on_match);
            let on_match =
                at.message("on_match", on_match, |message, at| OnMatch::from_proto(message, leaves, at));
            let place = read.matches.len();
            read.matches.extend(on_match.map(|on_match| Match { on_match, exclusive }));
            for range in at.list("ranges", ranges, range) {
                let networks = read.by_length.entry(Reverse(range.prefix_len)).or_default();
                networks.entry(range.address).or_default().push(place);
            }
        }
        read
    }

    pub(super) fn find(&self, address: IpAddr, subject: &Subject<'_>) -> Result<Option<&A>, NotYet> {
        let holding = self.by_length.iter().filter_map(|(Reverse(length), networks)| {
            networks.get(&CidrRange::around(address, *length).address)
        });
        let matches = holding.flatten().filter_map(|place| self.matches.get(*place));
        for (number, found) in matches.enumerate() {
            if number > 0 && found.exclusive {
                continue;
            }
            if let Some(action) = found.on_match.follow(subject)? {
                return Ok(Some(action));
            }
        }
        Ok(None)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &OnMatch<A>> {
        self.matches.iter().map(|found| &found.on_match)
    }
}

/// `xds.core.v3.CidrRange`, which is Envoy's own but for its package.
fn range(message: Message, at: &mut Scope<'_>) -> Option<CidrRange> {
    open! { at, Message = message; implemented { address_prefix, prefix_len } }
    CidrRange::from_proto(Range { address_prefix, prefix_len }, at)
}
