//! Resolving names: the trait that discovery uses, and the resolver of the running system.

use std::cell::OnceCell;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;

use crate::config::cluster::DnsFamily;

/// What a name resolves to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The addresses in the order of the answer; empty when the name exists without one, or does not exist.
    pub addresses: Vec<IpAddr>,
    /// How long the answer holds.
    pub ttl: Duration,
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
    /// The addresses of `name` in these families.
    fn resolve<'a>(&'a self, name: &'a str, family: DnsFamily) -> Resolving<'a>;
}

/// The servers of `/etc/resolv.conf` and the names of `/etc/hosts`.
///
/// Made when the first name is resolved: most proxies have none.
#[derive(Default)]
pub struct SystemResolver {
    by_family: [OnceCell<TokioResolver>; 5],
}

impl SystemResolver {
    fn for_family(&self, family: DnsFamily) -> Result<&TokioResolver, hickory_resolver::net::NetError> {
        let cell = &self.by_family[family as usize];
        if let Some(resolver) = cell.get() {
            return Ok(resolver);
        }
        let mut builder = TokioResolver::builder_tokio()?;
        builder.options_mut().ip_strategy = strategy(family);
        // Discovery asks at the times that its configuration says; a cache would answer with the past.
        builder.options_mut().cache_size = 0;
        let resolver = builder.build()?;
        Ok(cell.get_or_init(|| resolver))
    }

    async fn lookup(&self, name: &str, family: DnsFamily) -> Result<Answer, ResolveError> {
        let fail = |source: hickory_resolver::net::NetError| ResolveError {
            name: name.to_owned(),
            source: source.into(),
        };
        match self.for_family(family).map_err(fail)?.lookup_ip(name).await {
            Ok(found) => Ok(Answer {
                ttl: found.valid_until().saturating_duration_since(Instant::now()),
                addresses: found.iter().collect(),
            }),
            Err(error) if error.is_no_records_found() => {
                Ok(Answer { addresses: Vec::new(), ttl: Duration::ZERO })
            }
            Err(error) => Err(fail(error)),
        }
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str, family: DnsFamily) -> Resolving<'a> {
        Box::pin(self.lookup(name, family))
    }
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemResolver")
    }
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

    #[tokio::test]
    async fn names_of_the_hosts_file_are_resolved_without_a_server() {
        let answer = SystemResolver::default().resolve("localhost", DnsFamily::V4Only).await;
        assert!(answer.is_ok_and(|answer| answer.addresses.iter().all(IpAddr::is_loopback)));
    }
}
