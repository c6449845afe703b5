//! What is found by the network that an address is in.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::config::matcher::CidrRange;

use super::Clash;

/// Something by networks: the smallest that holds an address counts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ByNetwork<T> {
    /// By the bits of the networks, the most first.
    by_length: BTreeMap<Reverse<u8>, HashMap<IpAddr, T>>,
    any: Option<Box<T>>,
}

impl<T> Default for ByNetwork<T> {
    fn default() -> Self {
        ByNetwork { by_length: BTreeMap::new(), any: None }
    }
}

impl<T: Default> ByNetwork<T> {
    /// Calls for each of the networks, or for any address where there is none.
    pub(super) fn of_each(
        &mut self,
        ranges: &[CidrRange],
        mut add: impl FnMut(&mut T) -> Result<(), Clash>,
    ) -> Result<(), Clash> {
        if ranges.is_empty() {
            return add(self.any.get_or_insert_default());
        }
        ranges.iter().try_for_each(|range| {
            let networks = self.by_length.entry(Reverse(range.prefix_len)).or_default();
            add(networks.entry(range.address).or_default())
        })
    }

    /// What is there for the smallest network that holds an address, or else for any.
    pub(super) fn get(&self, address: IpAddr) -> Option<&T> {
        let mut holding = self.by_length.iter().filter_map(|(Reverse(length), networks)| {
            networks.get(&CidrRange::around(address, *length).address)
        });
        holding.next().or(self.any.as_deref())
    }
}
