//! Hosts that have the names of a cache.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::dns_cache::{DnsCache, Outcome};
use super::host::Health;
use super::{Cluster, Host};
use crate::config::address::Address;
use crate::config::endpoint::Endpoint;

/// What a cluster has whose hosts have the names of a cache.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) cache: Arc<DnsCache>,
    known: ArcSwap<HashMap<Arc<str>, Arc<Host>>>,
}

impl Named {
    pub(super) fn new(cache: Arc<DnsCache>) -> Self {
        Named { cache, known: ArcSwap::default() }
    }

    /// The host of a name for a request; `None` without one that is not unhealthy.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Host>> {
        let known = self.known.load();
        let host = known.get(name).filter(|host| host.health() != Health::Unhealthy)?;
        self.cache.touch(name);
        Some(Arc::clone(host))
    }
}

impl Cluster {
    /// The cache whose names its hosts have, if they have any.
    pub fn dns_cache(&self) -> Option<&Arc<DnsCache>> {
        self.named.as_ref().map(|named| &named.cache)
    }

    /// Takes over the names of the cache; how many hosts came or went. A name with other addresses is another host, that
    /// counts as the same. To be called by one thread at a time.
    pub(super) fn follow_names(&self) -> u32 {
        let Some(named) = &self.named else { return 0 };
        let before = named.known.load_full();
        let mut after = HashMap::new();
        let (mut changed, mut added) = (false, 0);
        for (name, outcome) in named.cache.resolved() {
            let Outcome::Addresses(addresses) = &*outcome else { continue };
            let same = before.get(&name).filter(|host| is_at(host, addresses)).cloned();
            changed |= same.is_none();
            added += usize::from(!before.contains_key(&name));
            let host = match same {
                Some(host) => host,
                None => match self.host_named(&name, addresses) {
                    Some(host) => host,
                    None => continue,
                },
            };
            after.insert(name, host);
        }
        let gone = before.keys().filter(|name| !after.contains_key(*name)).count();
        let changes = u32::try_from(added + gone).unwrap_or(u32::MAX);
        if changed || changes > 0 {
            let mut hosts: Vec<_> = after.values().cloned().collect();
            hosts.sort_unstable_by_key(|host: &Arc<Host>| host.id);
            // Pools close what is of no host of the cluster: they hear of it before requests do.
            self.replace_hosts(hosts, changes);
            named.known.store(Arc::new(after));
        }
        changes
    }

    fn host_named(&self, name: &str, addresses: &[SocketAddr]) -> Option<Arc<Host>> {
        let (first, rest) = addresses.split_first()?;
        let endpoint = Endpoint {
            hostname: name.to_owned(),
            additional_addresses: rest.iter().copied().map(Address::Ip).collect(),
            ..Endpoint::at(Address::Ip(*first))
        };
        Some(self.host_for(&endpoint))
    }
}

fn is_at(host: &Host, addresses: &[SocketAddr]) -> bool {
    let own = std::iter::once(&host.address).chain(&host.additional_addresses);
    own.eq(addresses.iter().copied().map(Address::Ip).collect::<Vec<_>>().iter())
}
