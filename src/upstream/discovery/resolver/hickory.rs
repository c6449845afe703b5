//! Servers, asked as Envoy has the Hickory library ask them: both families, one after the other, unless one alone is wanted.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::system_conf::read_system_conf;

use super::{Answer, ResolveError, name_server};
use crate::config::cluster::DnsFamily;
use crate::config::dns_resolver::Hickory;
use crate::observability::stats::HickoryStats;

/// How long an address holds that stands for itself.
const ADDRESS_TTL: Duration = Duration::from_secs(60);

/// Resolves by one configuration.
#[derive(Clone)]
pub(super) struct Resolver {
    library: TokioResolver,
}

impl Resolver {
    pub(super) fn new(configured: &Hickory) -> Result<Self, NetError> {
        let mut config = match configured.use_system_config {
            // As in Envoy, which then has the servers that are configured.
            true => read_system_conf().map(|(config, _)| config).unwrap_or_default(),
            false => ResolverConfig::from_parts(None, Vec::new(), Vec::new()),
        };
        for &server in &configured.servers {
            config.add_name_server(name_server(server, false));
        }
        let mut options = ResolverOpts::default();
        options.timeout = configured.query_timeout;
        options.attempts = configured.query_tries as usize;
        options.cache_size = configured.cache_size.into();
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        Ok(Resolver { library: builder.build()? })
    }

    /// The addresses of `name`. As in Envoy a name without any is a failure.
    pub(super) async fn resolve(
        &self,
        name: &str,
        family: DnsFamily,
        stats: &HickoryStats,
    ) -> Result<Answer, ResolveError> {
        let result = {
            let _pending = Pending::new(stats);
            self.look_up(name, family).await
        };
        stats.resolve_total().inc();
        result.map_err(|errors| {
            let reason = errors.iter().map(|(record, error)| format!("{record} lookup failed: {error}"));
            let reason = reason.collect::<Vec<_>>().join("; ");
            count(stats, &errors);
            ResolveError::new(name, reason)
        })
    }

    async fn look_up(&self, name: &str, family: DnsFamily) -> Result<Answer, Vec<(RecordType, NetError)>> {
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok(itself(address, family));
        }
        let mut answer = Answer { addresses: Vec::new(), ttl: Duration::MAX, exists: true };
        let mut errors = Vec::new();
        for &record in records(family) {
            match self.library.lookup(name, record).await {
                Ok(found) => {
                    let ttls = found.answers().iter().map(|record| record.ttl);
                    let ttl = ttls.min().map_or(Duration::ZERO, |ttl| Duration::from_secs(ttl.into()));
                    answer.ttl = answer.ttl.min(ttl);
                    answer
                        .addresses
                        .extend(found.answers().iter().filter_map(|record| record.data.ip_addr()));
                }
                Err(error) => errors.push((record, error)),
            }
        }
        match answer.addresses.is_empty() && !errors.is_empty() {
            true => Err(errors),
            false => Ok(answer),
        }
    }
}

/// What is asked for, one after the other.
fn records(family: DnsFamily) -> &'static [RecordType] {
    match family {
        DnsFamily::V4Only => &[RecordType::A],
        DnsFamily::V6Only => &[RecordType::AAAA],
        DnsFamily::Auto | DnsFamily::V4Preferred | DnsFamily::All => &[RecordType::A, RecordType::AAAA],
    }
}

/// An address, where it is of a family that is asked for.
fn itself(address: IpAddr, family: DnsFamily) -> Answer {
    let is_wanted = match family {
        DnsFamily::V4Only => address.is_ipv4(),
        DnsFamily::V6Only => address.is_ipv6(),
        DnsFamily::Auto | DnsFamily::V4Preferred | DnsFamily::All => true,
    };
    Answer { addresses: is_wanted.then_some(address).into_iter().collect(), ttl: ADDRESS_TTL, exists: true }
}

/// A resolution under way.
struct Pending<'s>(&'s HickoryStats);

impl<'s> Pending<'s> {
    fn new(stats: &'s HickoryStats) -> Self {
        stats.pending_resolutions().inc();
        Pending(stats)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.pending_resolutions().dec();
    }
}

/// Counts a failure by what Envoy reads first in its text.
fn count(stats: &HickoryStats, errors: &[(RecordType, NetError)]) {
    let counter = if errors.iter().any(|(_, error)| error.is_no_records_found()) {
        stats.not_found()
    } else if errors.iter().any(|(_, error)| matches!(error, NetError::Timeout)) {
        stats.timeouts()
    } else {
        stats.get_addr_failure()
    };
    counter.inc();
}
