//! Resolving names: the trait that discovery uses, and the resolver of the running system.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ProtocolConfig, ResolverConfig, ResolverOpts,
    ServerOrderingStrategy,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::read_system_conf;

use super::routes::Routes;
use crate::config::cluster::{Dns, DnsFamily};
use crate::config::dns_resolver::DnsResolver;

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

/// The configured servers, or else those of `/etc/resolv.conf`, and the names of `/etc/hosts`.
///
/// Resolvers are made when the first name is resolved: most proxies have none.
#[derive(Default)]
pub struct SystemResolver {
    default: DnsResolver,
    /// The one used last is the last.
    made: RefCell<Vec<((DnsResolver, DnsFamily), TokioResolver)>>,
}

impl SystemResolver {
    /// Resolves by `default` where a cluster does not say how.
    pub fn new(default: DnsResolver) -> Self {
        SystemResolver { default, made: RefCell::default() }
    }

    fn resolver(&self, dns: &Dns) -> Result<TokioResolver, NetError> {
        let key = (dns.resolver.as_ref().unwrap_or(&self.default).clone(), dns.family);
        let made = &mut *self.made.borrow_mut();
        let resolver = match made.iter().position(|(known, _)| *known == key) {
            Some(index) => made.remove(index).1,
            None => make(&key.0, key.1, read_system_conf())?,
        };
        if made.len() == MOST_RESOLVERS {
            made.remove(0);
        }
        made.push((key, resolver.clone()));
        Ok(resolver)
    }

    async fn lookup(&self, name: &str, dns: &Dns) -> Result<Answer, ResolveError> {
        let fail = |source: NetError| ResolveError { name: name.to_owned(), source: source.into() };
        let routes = match dns.resolver.as_ref().unwrap_or(&self.default).routable_only {
            true => Routes::of_system(),
            false => Routes::ALL,
        };
        let dns = &Dns { family: routes.narrow(dns.family), ..dns.clone() };
        match self.resolver(dns).map_err(fail)?.lookup_ip(name).await {
            Ok(found) => {
                let mut addresses: Vec<IpAddr> = found.iter().collect();
                addresses.retain(|address| routes.lead_to(*address));
                // Of both families those of IPv4 come first, as in Envoy.
                addresses.sort_by_key(IpAddr::is_ipv6);
                let ttl = found.valid_until().saturating_duration_since(Instant::now());
                Ok(Answer { ttl, addresses, exists: true })
            }
            Err(error) if error.is_no_records_found() => {
                Ok(Answer { addresses: Vec::new(), ttl: Duration::ZERO, exists: !error.is_nx_domain() })
            }
            Err(error) => Err(fail(error)),
        }
    }
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

/// What a system says of resolving, or why it cannot be read.
type SystemConf = Result<(ResolverConfig, ResolverOpts), NetError>;

/// The resolver that is configured, with what is not configured taken from the system. Where servers are configured the
/// system need not say anything.
fn make(configured: &DnsResolver, family: DnsFamily, system: SystemConf) -> Result<TokioResolver, NetError> {
    let (system, mut options) = match system {
        Err(_) if !configured.servers.is_empty() => {
            (ResolverConfig::from_parts(None, Vec::new(), Vec::new()), ResolverOpts::default())
        }
        system => system?,
    };
    let asks_system = configured.servers.is_empty() || (configured.is_fallback && has_servers(&system));
    let servers = match asks_system {
        true => system.name_servers.iter().map(|server| over(server, configured.use_tcp)).collect(),
        false => configured.servers.iter().map(|&address| name_server(address, configured.use_tcp)).collect(),
    };
    let config = match configured.no_search_domains {
        true => ResolverConfig::from_parts(None, Vec::new(), servers),
        false => ResolverConfig::from_parts(system.domain.clone(), system.search.clone(), servers),
    };
    options.ip_strategy = strategy(family);
    // Discovery asks at the times that its configuration says; a cache would answer with the past.
    options.cache_size = configured.qcache_max_ttl.map_or(0, |_| CACHE_SIZE);
    (options.positive_max_ttl, options.negative_max_ttl) =
        (configured.qcache_max_ttl, configured.qcache_max_ttl);
    if let Some(size) = configured.edns0_max_payload_size {
        (options.edns0, options.edns_payload_len) = (true, size);
    }
    bound(&mut options);
    if !asks_system {
        // In their order, as c-ares asks them: the next when one does not answer.
        options.num_concurrent_reqs = 1;
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    }
    if configured.rotate_servers {
        options.server_ordering_strategy = ServerOrderingStrategy::RoundRobin;
    }
    if let Some(timeout) = configured.query_timeout {
        options.timeout = timeout;
    }
    if let Some(tries) = configured.query_tries {
        options.attempts = tries as usize - 1;
    }
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build()
}

/// Whether the system has servers beyond the one that c-ares takes where nothing is configured.
fn has_servers(system: &ResolverConfig) -> bool {
    let servers = system.name_servers();
    servers.len() > 1 || servers.first().is_some_and(|server| server.ip != IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// Answers that are kept where any are.
const CACHE_SIZE: u64 = 1024;

/// The longest wait for an answer before the question is asked anew.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(2);

/// Asks more often instead of waiting longer, for as long in all. The resolver sends a question that was lost again after a
/// time that grows with each answer without records, up to the end of the attempt: a name with addresses of one family
/// only would wait for most of it.
fn bound(options: &mut ResolverOpts) {
    if options.timeout <= LONGEST_ATTEMPT {
        return;
    }
    let total = options.timeout.as_secs_f64() * (options.attempts as f64 + 1.0);
    let attempts = (total / LONGEST_ATTEMPT.as_secs_f64()).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small number, one at least"
    )]
    let attempts = attempts as usize;
    (options.timeout, options.attempts) = (LONGEST_ATTEMPT, attempts - 1);
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

/// A server of the system's, by TCP alone if that is asked for.
fn over(server: &NameServerConfig, only_tcp: bool) -> NameServerConfig {
    let mut server = server.clone();
    if only_tcp {
        server.connections.retain(|connection| matches!(connection.protocol, ProtocolConfig::Tcp));
    }
    server
}

/// Which records are asked for.
fn strategy(family: DnsFamily) -> LookupIpStrategy {
    match family {
        DnsFamily::Auto => LookupIpStrategy::Ipv6thenIpv4,
        DnsFamily::V4Only => LookupIpStrategy::Ipv4Only,
        DnsFamily::V6Only => LookupIpStrategy::Ipv6Only,
        DnsFamily::V4Preferred => LookupIpStrategy::Ipv4thenIpv6,
        DnsFamily::All => LookupIpStrategy::Ipv6AndIpv4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_was_lost_is_asked_anew_within_the_time_for_all_attempts() {
        let bounded = |seconds: u64, attempts: usize| {
            let mut options = ResolverOpts::default();
            (options.timeout, options.attempts) = (Duration::from_secs(seconds), attempts);
            bound(&mut options);
            (options.timeout.as_secs(), options.attempts)
        };
        assert_eq!([bounded(5, 2), bounded(5, 0), bounded(1, 2)], [(2, 7), (2, 2), (1, 2)]);
    }

    #[test]
    fn servers_for_want_of_others_are_asked_where_the_system_has_but_the_usual_one() {
        let system = |servers: &[[u8; 4]]| {
            let servers = servers.iter().map(|&server| name_server(SocketAddr::from((server, 53)), false));
            has_servers(&ResolverConfig::from_parts(None, Vec::new(), servers.collect()))
        };
        assert_eq!([system(&[]), system(&[[127, 0, 0, 1]])], [false, false]);
        assert_eq!([system(&[[127, 0, 0, 2]]), system(&[[127, 0, 0, 1], [127, 0, 0, 2]])], [true, true]);
    }

    #[tokio::test]
    async fn of_ever_other_resolvers_only_those_used_last_are_kept() {
        let resolver = SystemResolver::default();
        let dns = |port| {
            let servers = vec![SocketAddr::from(([127, 0, 0, 1], port))];
            Dns { resolver: Some(DnsResolver { servers, ..DnsResolver::default() }), ..Dns::default() }
        };
        for port in 1..=100 {
            assert!(resolver.resolver(&dns(port)).is_ok() && resolver.resolver(&dns(1)).is_ok());
        }
        let made = resolver.made.borrow();
        assert_eq!(made.len(), MOST_RESOLVERS);
        assert!(made.iter().any(|(key, _)| key.0 == *dns(1).resolver.as_ref().expect("just made")));
    }

    #[tokio::test]
    async fn only_a_resolver_without_servers_needs_what_the_system_says() {
        let made = |servers| {
            let unreadable = Err(NetError::from("no /etc/resolv.conf"));
            make(&DnsResolver { servers, ..DnsResolver::default() }, DnsFamily::Auto, unreadable)
        };
        assert!(made(Vec::new()).is_err());
        assert!(made(vec![SocketAddr::from(([127, 0, 0, 1], 53))]).is_ok());
    }

    #[tokio::test]
    async fn names_of_the_hosts_file_are_resolved_without_a_server() {
        let answer = SystemResolver::default()
            .resolve("localhost", &Dns { family: DnsFamily::V4Only, ..Dns::default() })
            .await;
        assert!(answer.is_ok_and(|answer| answer.addresses.iter().all(IpAddr::is_loopback)));
    }
}
