//! The system's own function: `getaddrinfo(3)`, on threads that may wait.

use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo};
use tokio::sync::{Semaphore, oneshot};

use super::{Answer, ResolveError};
use crate::config::cluster::DnsFamily;
use crate::config::dns_resolver::GetAddrInfo;

/// How long an answer holds, which the function does not say.
const TTL: Duration = Duration::from_secs(60);

/// The pause before a question is asked again: a system without a network has no answer at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks the system.
#[derive(Debug)]
pub(super) struct System {
    /// One for each question that may wait for an answer.
    threads: Arc<Semaphore>,
    num_retries: Option<u32>,
}

impl System {
    pub(super) fn new(configured: &GetAddrInfo) -> Self {
        let threads = Arc::new(Semaphore::new(configured.num_resolver_threads as usize));
        System { threads, num_retries: configured.num_retries }
    }

    /// The addresses of `name`.
    pub(super) async fn resolve(&self, name: &str, family: DnsFamily) -> Result<Answer, ResolveError> {
        let found = self.retried(async || self.ask(name).await).await;
        match found {
            Ok(found) => Ok(Answer { addresses: wanted(found, family), ttl: TTL, exists: true }),
            Err(refusal) => Err(ResolveError::new(name, refusal.text)),
        }
    }

    /// Asks again where the system has no answer for the time being, behind those that wait.
    async fn retried(
        &self,
        ask: impl AsyncFn() -> Result<Vec<IpAddr>, Refusal>,
    ) -> Result<Vec<IpAddr>, Refusal> {
        let mut retries = 0;
        loop {
            match ask().await {
                Err(refusal) if refusal.temporary && self.num_retries.is_none_or(|most| retries < most) => {
                    retries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                result => return result,
            }
        }
    }

    async fn ask(&self, name: &str) -> Result<Vec<IpAddr>, Refusal> {
        let turn = Arc::clone(&self.threads).acquire_owned().await.map_err(Refusal::lasting)?;
        let name = name.to_owned();
        let (done, answer) = oneshot::channel();
        // A thread of its own: the runtime would wait for one of its own at the end of the process.
        let asking = thread::Builder::new().name("getaddrinfo".to_owned()).spawn(move || {
            // Taken until there is an answer, also where nobody waits for it any more.
            let _turn = turn;
            drop(done.send(addresses(&name)));
        });
        asking.map_err(Refusal::lasting)?;
        answer.await.map_err(Refusal::lasting)?
    }
}

/// Why there is no answer.
#[derive(Debug)]
struct Refusal {
    /// What the system calls it.
    text: String,
    /// Whether there may be one later (`EAI_AGAIN`).
    temporary: bool,
}

impl Refusal {
    fn lasting(error: impl std::error::Error) -> Self {
        Refusal { text: error.to_string(), temporary: false }
    }
}

impl From<LookupError> for Refusal {
    fn from(error: LookupError) -> Self {
        let temporary = matches!(error.kind(), LookupErrorKind::Again);
        // What the system says stands behind what the library was about.
        let text = std::io::Error::from(error).to_string();
        let text = text.rsplit_once(": ").map_or(text.as_str(), |(_, reason)| reason).to_owned();
        Refusal { text, temporary }
    }
}

fn addresses(name: &str) -> Result<Vec<IpAddr>, Refusal> {
    let hints = AddrInfoHints {
        socktype: SockType::Stream.into(),
        // No families of which the system itself has no address.
        flags: nix::libc::AI_ADDRCONFIG,
        ..AddrInfoHints::default()
    };
    let found = getaddrinfo(Some(name), None, Some(hints))?;
    Ok(found.filter_map(Result::ok).map(|info| info.sockaddr.ip()).collect())
}

/// Those of the families that are asked for; of all families those of IPv6 come first, as in Envoy.
fn wanted(found: Vec<IpAddr>, family: DnsFamily) -> Vec<IpAddr> {
    let (v4, v6): (Vec<_>, Vec<_>) = found.into_iter().partition(IpAddr::is_ipv4);
    let either = |first: Vec<IpAddr>, second| if first.is_empty() { second } else { first };
    match family {
        DnsFamily::V4Only => v4,
        DnsFamily::V6Only => v6,
        DnsFamily::Auto => either(v6, v4),
        DnsFamily::V4Preferred => either(v4, v6),
        DnsFamily::All => [v6, v4].concat(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn of_two_families_the_preferred_one_counts_where_it_has_addresses() {
        let [v4, v6] = ["127.0.0.1", "::1"].map(|ip| ip.parse::<IpAddr>().expect("an address"));
        let both = |family| wanted(vec![v4, v6], family);
        assert_eq!([both(DnsFamily::V4Only), both(DnsFamily::V4Preferred)], [[v4], [v4]]);
        assert_eq!([both(DnsFamily::V6Only), both(DnsFamily::Auto)], [[v6], [v6]]);
        assert_eq!(both(DnsFamily::All), [v6, v4]);
        assert_eq!(wanted(vec![v4], DnsFamily::Auto), [v4]);
        assert!(wanted(vec![v4], DnsFamily::V6Only).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_system_without_an_answer_is_asked_again_as_often_as_configured() {
        let asked = async |num_retries: Option<u32>, answers_after: u32| {
            let system = System::new(&GetAddrInfo { num_retries, num_resolver_threads: 1 });
            let count = Cell::new(0);
            let found = system.retried(async || {
                count.set(count.get() + 1);
                let refusal = Refusal { text: "later".to_owned(), temporary: true };
                if count.get() > answers_after { Ok(Vec::new()) } else { Err(refusal) }
            });
            (found.await.is_ok(), count.get())
        };
        assert_eq!(asked(Some(0), 1).await, (false, 1));
        assert_eq!(asked(Some(2), 2).await, (true, 3));
        assert_eq!(asked(Some(2), 3).await, (false, 3));
        assert_eq!(asked(None, 1000).await, (true, 1001));
    }

    #[tokio::test]
    async fn the_system_says_what_it_knows_and_why_it_knows_nothing() {
        let system = System::new(&GetAddrInfo { num_retries: Some(0), num_resolver_threads: 1 });
        let known = system.resolve("127.0.0.1", DnsFamily::Auto).await.map(|answer| answer.addresses);
        assert_eq!(known.ok(), Some(vec![IpAddr::from([127, 0, 0, 1])]));
        let unknown = system.resolve("no name", DnsFamily::Auto).await;
        assert!(unknown.is_err_and(|error| !error.source.to_string().contains("failed to")));
    }
}
