//! What comes of asking for a name.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::name::split;
use super::{DnsCache, Outcome};
use crate::config::cluster::{Dns, DnsFamily};
use crate::observability::stats::DnsCacheStats;
use crate::upstream::discovery::resolver::{Answer, Resolve, ResolveError};

/// How access logs tell of a name that nobody knows.
const UNKNOWN: &str = "cares_norecords:Domain_name_not_found";

/// How they tell of one that has no address.
const NO_DATA: &str = "cares_norecords:DNS_server_returned_answer_with_no_data";

/// What an answer comes to, and its time to live where it has addresses.
pub(super) fn outcome(
    stats: &DnsCacheStats,
    result: Option<Result<Answer, ResolveError>>,
    port: u16,
) -> (Outcome, Option<Duration>) {
    match result {
        Some(Ok(answer)) if !answer.addresses.is_empty() => {
            stats.dns_query_success().inc();
            let addresses = answer.addresses.iter().map(|ip| SocketAddr::new(*ip, port));
            (Outcome::Addresses(addresses.collect()), Some(answer.ttl))
        }
        Some(Ok(answer)) => {
            stats.dns_query_success().inc();
            (Outcome::Nowhere(if answer.exists { NO_DATA } else { UNKNOWN }.into()), None)
        }
        Some(Err(error)) => {
            stats.dns_query_failure().inc();
            let reason = error.source.to_string().split_whitespace().collect::<Vec<_>>().join("_");
            (Outcome::Nowhere(reason.into()), None)
        }
        None => {
            stats.dns_query_timeout().inc();
            stats.dns_query_failure().inc();
            (Outcome::Nowhere("resolve_timeout".into()), None)
        }
    }
}

/// The addresses of a name; an address stands for itself, where it is of a family that is asked for.
pub(super) async fn look_up(resolver: &dyn Resolve, name: &str, dns: &Dns) -> Result<Answer, ResolveError> {
    let (host, _) = split(name);
    let Ok(address) = host.parse::<IpAddr>() else { return resolver.resolve(host, dns).await };
    let is_wanted = match dns.family {
        DnsFamily::V4Only => address.is_ipv4(),
        DnsFamily::V6Only => address.is_ipv6(),
        DnsFamily::Auto | DnsFamily::V4Preferred | DnsFamily::All => true,
    };
    Ok(Answer {
        addresses: is_wanted.then_some(address).into_iter().collect(),
        ttl: Duration::ZERO,
        exists: true,
    })
}

impl DnsCache {
    /// The answer without the addresses that are passed over.
    pub(super) fn allowed(&self, mut answer: Answer) -> Answer {
        if let Some(passed_over) = &self.config.passed_over {
            let before = answer.addresses.len();
            answer.addresses.retain(|address| !passed_over.matches(*address));
            self.stats.dns_address_filter_out().add((before - answer.addresses.len()) as u64);
        }
        answer
    }
}
