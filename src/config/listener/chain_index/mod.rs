//! Which filter chain a connection takes, found without looking at each of them.
//!
//! The criteria come one after the other, in Envoy's order. At each the most specific entry that holds is taken, and
//! there is no way back: a connection for which a later criterion of that entry does not hold matches nothing, whatever
//! less specific entries there are.

mod by_network;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::filter_chain_match::{FilterChainMatch, SourceType};

use by_network::ByNetwork;

/// Combinations of criteria that a listener may have in all: what is within holds some hundred megabytes.
const MAX_ENTRIES: usize = 1_000_000;

/// What stands for addresses that are no IP addresses.
const NO_IP: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);

/// What criteria look at.
#[derive(Clone, Copy, Debug)]
pub struct Traits<'a> {
    /// Where the connection went to; `None` for Unix sockets.
    pub local: Option<SocketAddr>,
    /// Where it came from; `None` for Unix sockets.
    pub remote: Option<SocketAddr>,
    /// The same, as the socket says.
    pub direct_remote: Option<SocketAddr>,
    /// The name that the client asks for, in lower case; empty if there is none.
    pub server_name: &'a str,
    /// What the connection speaks first: `raw_buffer`, `tls`; empty if nobody looked.
    pub transport_protocol: &'a str,
    /// The protocols that the client offers.
    pub application_protocols: &'a [Box<str>],
}

impl Traits<'_> {
    /// Whether it came from this machine.
    fn is_local(&self) -> bool {
        match (self.local, self.remote) {
            (Some(local), Some(remote)) => remote.ip().is_loopback() || remote.ip() == local.ip(),
            _ => true,
        }
    }
}

/// The chains of a listener by their criteria; a chain is told by its number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChainIndex {
    /// By destination port; 0 for any.
    ports: HashMap<u16, ByNetwork<ByServerName>>,
    entries: usize,
}

/// Names, suffixes with a dot before them, and the empty name for any.
type ByServerName = HashMap<Box<str>, ByTransport>;
type ByTransport = HashMap<Box<str>, ByApplication>;
type ByApplication = HashMap<Box<str>, ByNetwork<BySourceType>>;
type BySourceType = [Option<ByNetwork<ByPort>>; 3];
/// 0 for any.
type ByPort = HashMap<u16, usize>;

/// Why a chain cannot be among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clash {
    /// A connection could match it and one before it alike.
    Overlap,
    /// There are too many combinations of criteria.
    TooMany,
}

impl ChainIndex {
    /// Adds the chain of this number.
    ///
    /// # Errors
    /// Why it cannot be among the others.
    pub fn add(&mut self, criteria: &FilterChainMatch, chain: usize) -> Result<(), Clash> {
        self.entries = self.entries.saturating_add(combinations(criteria));
        if self.entries > MAX_ENTRIES {
            return Err(Clash::TooMany);
        }
        let by_name = self.ports.entry(criteria.destination_port.unwrap_or(0)).or_default();
        by_name.of_each(&criteria.prefix_ranges, |by_name| {
            of_each(by_name, &criteria.server_names, |by_transport| {
                let by_application = by_transport.entry(criteria.transport_protocol.as_str().into());
                of_each(by_application.or_default(), &criteria.application_protocols, |by_direct| {
                    by_direct.of_each(&criteria.direct_source_prefix_ranges, |by_type| {
                        add_source(by_type, criteria, chain)
                    })
                })
            })
        })
    }

    /// The chain of a connection; `None` where none matches.
    pub fn find(&self, connection: &Traits<'_>) -> Option<usize> {
        let local = connection.local;
        let of_port = local.and_then(|local| self.ports.get(&local.port()));
        let by_name = of_port.or_else(|| self.ports.get(&0))?.get(ip(local))?;
        let by_application =
            of_text(by_server_name(by_name, connection.server_name)?, connection.transport_protocol)?;
        let offered = connection.application_protocols.iter();
        let by_direct = offered.map(|protocol| &**protocol).find_map(|protocol| by_application.get(protocol));
        let by_type = by_direct.or_else(|| by_application.get(""))?.get(ip(connection.direct_remote))?;
        let own = if connection.is_local() { SourceType::SameIpOrLoopback } else { SourceType::External };
        let by_source = by_type[own as usize].as_ref().or(by_type[SourceType::Any as usize].as_ref())?;
        let by_port = by_source.get(ip(connection.remote))?;
        let of_port = connection.remote.and_then(|remote| by_port.get(&remote.port()));
        of_port.or_else(|| by_port.get(&0)).copied()
    }
}

fn add_source(by_type: &mut BySourceType, criteria: &FilterChainMatch, chain: usize) -> Result<(), Clash> {
    let by_source = by_type[criteria.source_type as usize].get_or_insert_default();
    by_source.of_each(&criteria.source_prefix_ranges, |by_port| {
        let any = [0];
        let ports = if criteria.source_ports.is_empty() { &any[..] } else { &criteria.source_ports };
        for port in ports {
            if by_port.insert(*port, chain).is_some() {
                return Err(Clash::Overlap);
            }
        }
        Ok(())
    })
}

/// How many entries a chain takes.
fn combinations(criteria: &FilterChainMatch) -> usize {
    [
        criteria.prefix_ranges.len(),
        criteria.server_names.len(),
        criteria.application_protocols.len(),
        criteria.direct_source_prefix_ranges.len(),
        criteria.source_prefix_ranges.len(),
        criteria.source_ports.len(),
    ]
    .into_iter()
    .fold(1, |product: usize, count| product.saturating_mul(count.max(1)))
}

fn ip(address: Option<SocketAddr>) -> IpAddr {
    address.map_or(NO_IP, |address| address.ip())
}

/// What is there for the name itself, else for its longest suffix, else for any.
fn by_server_name<'m>(by_name: &'m ByServerName, name: &str) -> Option<&'m ByTransport> {
    if let Some(found) = by_name.get(name) {
        return Some(found);
    }
    // A suffix begins with a dot that is neither the first nor the last of the name.
    let dots = name.char_indices().skip(1).filter(|(at, one)| *one == '.' && *at + 1 < name.len());
    let mut suffixes = dots.map(|(at, _)| &name[at..]);
    suffixes.find_map(|suffix| by_name.get(suffix)).or_else(|| by_name.get(""))
}

fn of_text<'m, T>(map: &'m HashMap<Box<str>, T>, text: &str) -> Option<&'m T> {
    map.get(text).or_else(|| map.get(""))
}

/// Calls for each of the texts, or for the empty one where there is none.
fn of_each<T: Default>(
    map: &mut HashMap<Box<str>, T>,
    texts: &[String],
    mut add: impl FnMut(&mut T) -> Result<(), Clash>,
) -> Result<(), Clash> {
    if texts.is_empty() {
        return add(map.entry(Box::default()).or_default());
    }
    texts.iter().try_for_each(|text| add(map.entry(text.as_str().into()).or_default()))
}

#[cfg(test)]
mod tests;
