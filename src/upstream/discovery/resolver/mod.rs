//! Resolving names: the trait that discovery uses, and the resolvers of the running system.
//!
//! - `cares`, `hickory`: servers, asked in the one way or the other; `getaddrinfo`: the system's own function.

mod cares;
mod getaddrinfo;
mod hickory;

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
use hickory_resolver::net::NetError;

use self::getaddrinfo::System;
use crate::config::cluster::{Dns, DnsFamily};
use crate::config::dns_resolver::DnsResolver;
use crate::observability::stats::{CaresStats, HickoryStats, Registry};

/// What a name resolves to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The addresses in the order of the answer; empty when the name exists without one, or does not exist.
    pub addresses: Vec<IpAddr>,
    /// How long the answer holds.
    pub ttl: Duration,
    /// Whether there is the name, though perhaps without an address.
    pub exists: bool,
}

/// A resolution that got no answer: no server reached, or one that refused or failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve {name}")]
pub struct ResolveError {
    /// The name.
    pub name: String,
    /// Why.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl ResolveError {
    fn new(name: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        ResolveError { name: name.to_owned(), source: source.into() }
    }
}

/// A resolution on its way.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = Result<Answer, ResolveError>> + 'a>>;

/// Resolves names to addresses. Tests bring their own.
pub trait Resolve {
    /// The addresses of `name` in the families that `dns` says, by the resolver that it says.
    fn resolve<'a>(&'a self, name: &'a str, dns: &'a Dns) -> Resolving<'a>;
}

/// Resolvers that are kept. One has its own connections and what is in the file of hosts, so of a control plane that names
/// ever others only the last are kept; those that are gone are made anew when they are used.
const MOST_RESOLVERS: usize = 64;

/// The configured servers, or else those of `/etc/resolv.conf`, and the names of `/etc/hosts`; or whatever the system's own
/// function asks.
///
/// Resolvers are made when the first name is resolved, and their statistics are there from then on: most proxies have none.
pub struct SystemResolver {
    default: DnsResolver,
    registry: Registry,
    cares: OnceCell<CaresStats>,
    hickory: OnceCell<HickoryStats>,
    /// The one used last is the last.
    made: RefCell<Vec<((DnsResolver, DnsFamily), Resolver)>>,
}

/// A resolver that is kept.
#[derive(Clone)]
enum Resolver {
    Cares(cares::Resolver),
    GetAddrInfo(Rc<System>),
    Hickory(hickory::Resolver),
}

impl SystemResolver {
    /// Resolves by `default` where a cluster does not say how.
    pub fn new(default: DnsResolver, registry: &Registry) -> Self {
        SystemResolver {
            default,
            registry: registry.clone(),
            cares: OnceCell::new(),
            hickory: OnceCell::new(),
            made: RefCell::default(),
        }
    }

    fn resolver(&self, dns: &Dns) -> Result<Resolver, NetError> {
        let configured = dns.resolver.as_ref().unwrap_or(&self.default);
        let family = match configured {
            DnsResolver::Cares(configured) => cares::routes(configured.routable_only).narrow(dns.family),
            DnsResolver::GetAddrInfo(_) | DnsResolver::Hickory(_) => dns.family,
        };
        let key = (configured.clone(), family);
        let made = &mut *self.made.borrow_mut();
        let resolver = match made.iter().position(|(known, _)| *known == key) {
            Some(index) => made.remove(index).1,
            None => make(configured, family)?,
        };
        if made.len() == MOST_RESOLVERS {
            made.remove(0);
        }
        made.push((key, resolver.clone()));
        Ok(resolver)
    }

    async fn lookup(&self, name: &str, dns: &Dns) -> Result<Answer, ResolveError> {
        match self.resolver(dns).map_err(|error| ResolveError::new(name, error))? {
            Resolver::Cares(resolver) => {
                let stats = self.cares.get_or_init(|| CaresStats::new(&self.registry, "dns.cares."));
                resolver.resolve(name, stats).await
            }
            Resolver::GetAddrInfo(system) => system.resolve(name, dns.family).await,
            Resolver::Hickory(resolver) => {
                let stats = self.hickory.get_or_init(|| HickoryStats::new(&self.registry, "dns.hickory."));
                resolver.resolve(name, dns.family, stats).await
            }
        }
    }
}

fn make(configured: &DnsResolver, family: DnsFamily) -> Result<Resolver, NetError> {
    Ok(match configured {
        DnsResolver::Cares(configured) => Resolver::Cares(cares::Resolver::new(configured, family)?),
        DnsResolver::GetAddrInfo(configured) => Resolver::GetAddrInfo(Rc::new(System::new(configured))),
        DnsResolver::Hickory(configured) => Resolver::Hickory(hickory::Resolver::new(configured)?),
    })
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str, dns: &'a Dns) -> Resolving<'a> {
        Box::pin(self.lookup(name, dns))
    }
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemResolver")
    }
}

/// The server at this address.
fn name_server(address: SocketAddr, only_tcp: bool) -> NameServerConfig {
    let over = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let both = [over(ConnectionConfig::udp()), over(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, both.into_iter().skip(usize::from(only_tcp)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::dns_resolver::Cares;

    fn system() -> SystemResolver {
        SystemResolver::new(DnsResolver::default(), &Registry::new(0))
    }

    #[tokio::test]
    async fn of_ever_other_resolvers_only_those_used_last_are_kept() {
        let resolver = system();
        let dns = |port| {
            let servers = vec![SocketAddr::from(([127, 0, 0, 1], port))];
            let configured = Cares { servers, ..Cares::default() };
            Dns { resolver: Some(DnsResolver::Cares(configured)), ..Dns::default() }
        };
        for port in 1..=100 {
            assert!(resolver.resolver(&dns(port)).is_ok() && resolver.resolver(&dns(1)).is_ok());
        }
        let made = resolver.made.borrow();
        assert_eq!(made.len(), MOST_RESOLVERS);
        assert!(made.iter().any(|(key, _)| key.0 == *dns(1).resolver.as_ref().expect("just made")));
    }

    #[tokio::test]
    async fn names_of_the_hosts_file_are_resolved_without_a_server() {
        let answer =
            system().resolve("localhost", &Dns { family: DnsFamily::V4Only, ..Dns::default() }).await;
        assert!(answer.is_ok_and(|answer| answer.addresses.iter().all(IpAddr::is_loopback)));
    }
}
