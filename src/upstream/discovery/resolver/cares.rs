//! Servers, asked as c-ares asks them: families in turn where one of them is enough, and what comes of it counted.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    LookupIpStrategy, NameServerConfig, ProtocolConfig, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::read_system_conf;

use super::{Answer, ResolveError, name_server};
use crate::config::cluster::DnsFamily;
use crate::config::dns_resolver::Cares;
use crate::observability::stats::CaresStats;
use crate::upstream::discovery::routes::Routes;

/// How often c-ares asks a server where nothing is configured.
const DEFAULT_TRIES: u32 = 3;

/// Resolves by one configuration, for names of one kind of families.
#[derive(Clone)]
pub(super) struct Resolver {
    library: TokioResolver,
    routable_only: bool,
    family: DnsFamily,
    /// How many questions time out until a resolution does.
    tries: u64,
}

impl Resolver {
    /// A resolver for names of these families, with what is not configured taken from the system.
    pub(super) fn new(configured: &Cares, family: DnsFamily) -> Result<Self, NetError> {
        let servers = configured.servers.len().max(1) as u64;
        Ok(Resolver {
            library: make(configured, family, read_system_conf())?,
            routable_only: configured.routable_only,
            family,
            tries: u64::from(configured.query_tries.unwrap_or(DEFAULT_TRIES)) * servers,
        })
    }

    /// The addresses of `name`.
    pub(super) async fn resolve(&self, name: &str, stats: &CaresStats) -> Result<Answer, ResolveError> {
        let _pending = Pending::new(stats);
        let result = match self.library.lookup_ip(name).await {
            Ok(found) => {
                let routes = routes(self.routable_only);
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
            Err(error) => Err(error),
        };
        count(stats, &question(name, self.family, &result), &result, self.tries);
        result.map_err(|error| ResolveError::new(name, error))
    }
}

/// The families that count.
pub(super) fn routes(routable_only: bool) -> Routes {
    match routable_only {
        true => Routes::of_system(),
        false => Routes::ALL,
    }
}

/// A resolution under way.
struct Pending<'s>(&'s CaresStats);

impl<'s> Pending<'s> {
    fn new(stats: &'s CaresStats) -> Self {
        stats.pending_resolutions().inc();
        Pending(stats)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.pending_resolutions().dec();
    }
}

/// How c-ares asks for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Question {
    /// One after the other.
    lookups: u64,
    /// How many of them brought nothing.
    vain: u64,
    /// How many questions each sends at a time.
    width: u64,
}

/// How many lookups c-ares makes for what came of a name: for the family that is preferred, and for the other where that has
/// no address.
fn question<E>(name: &str, family: DnsFamily, result: &Result<Answer, E>) -> Question {
    let first = result.as_ref().ok().and_then(|answer| answer.addresses.first());
    let is_found = first.is_some();
    let one = Question { lookups: 1, vain: u64::from(!is_found), width: 1 };
    let in_turn = |is_preferred: fn(&IpAddr) -> bool| match first {
        Some(address) if is_preferred(address) => one,
        Some(_) => Question { lookups: 2, vain: 1, width: 1 },
        None => Question { lookups: 2, vain: 2, width: 1 },
    };
    match family {
        // An address stands for itself.
        _ if name.parse::<IpAddr>().is_ok() => one,
        DnsFamily::V4Only | DnsFamily::V6Only => one,
        DnsFamily::All => Question { width: 2, ..one },
        DnsFamily::Auto => in_turn(IpAddr::is_ipv6),
        DnsFamily::V4Preferred => in_turn(IpAddr::is_ipv4),
    }
}

/// Counts a resolution as Envoy counts those of c-ares.
fn count(stats: &CaresStats, question: &Question, result: &Result<Answer, NetError>, tries: u64) {
    stats.resolve_total().add(question.lookups);
    match result {
        Ok(_) => stats.not_found().add(question.vain),
        Err(NetError::Timeout) => stats.timeouts().add(question.lookups * question.width * tries),
        Err(_) => {
            stats.get_addr_failure().add(question.vain);
            // Envoy begins anew with c-ares once a server has failed.
            stats.reinits().inc();
        }
    }
}

/// What a system says of resolving, or why it cannot be read.
type SystemConf = Result<(ResolverConfig, ResolverOpts), NetError>;

/// The resolver that is configured, with what is not configured taken from the system. Where servers are configured the
/// system need not say anything.
fn make(configured: &Cares, family: DnsFamily, system: SystemConf) -> Result<TokioResolver, NetError> {
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
    use std::net::SocketAddr;

    use super::*;

    /// Lookups and those of them in vain, for what came of a name.
    fn lookups(family: DnsFamily, addresses: Result<&[&str], ()>) -> (u64, u64) {
        let answer = addresses.map(|addresses| Answer {
            addresses: addresses.iter().map(|ip| ip.parse().expect("an address")).collect(),
            ttl: Duration::ZERO,
            exists: true,
        });
        let question = question("a.test", family, &answer);
        (question.lookups, question.vain)
    }

    #[test]
    fn the_other_family_is_looked_for_where_the_preferred_one_has_nothing() {
        let (v4, v6): (&[_], &[_]) = (&["127.0.0.1"], &["::1"]);
        assert_eq!([lookups(DnsFamily::Auto, Ok(v6)), lookups(DnsFamily::Auto, Ok(v4))], [(1, 0), (2, 1)]);
        let preferred = DnsFamily::V4Preferred;
        assert_eq!([lookups(preferred, Ok(v4)), lookups(preferred, Ok(v6))], [(1, 0), (2, 1)]);
        assert_eq!([lookups(preferred, Ok(&[])), lookups(DnsFamily::Auto, Err(()))], [(2, 2), (2, 2)]);
        assert_eq!([lookups(DnsFamily::All, Ok(v4)), lookups(DnsFamily::V6Only, Ok(&[]))], [(1, 0), (1, 1)]);
    }

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
    async fn only_a_resolver_without_servers_needs_what_the_system_says() {
        let made = |servers| {
            let unreadable = Err(NetError::from("no /etc/resolv.conf"));
            make(&Cares { servers, ..Cares::default() }, DnsFamily::Auto, unreadable)
        };
        assert!(made(Vec::new()).is_err());
        assert!(made(vec![SocketAddr::from(([127, 0, 0, 1], 53))]).is_ok());
    }
}
