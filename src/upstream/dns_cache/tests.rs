use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;

use super::*;
use crate::base::random::Rng;
use crate::config::cluster::{Discovery, Dns};
use crate::config::key_value::KeyValueStore;
use crate::upstream::discovery::resolver::{Answer, Resolve, ResolveError, Resolving};
use crate::upstream::testing::ClusterBuilder;

const SECOND: Duration = Duration::from_secs(1);

/// Gives the answers it was made with, in turn; then none for ever.
struct Scripted(RefCell<VecDeque<Option<Vec<IpAddr>>>>);

impl Resolve for Scripted {
    fn resolve<'a>(&'a self, name: &'a str, _dns: &'a Dns) -> Resolving<'a> {
        Box::pin(async move {
            let next = self.0.borrow_mut().pop_front();
            match next {
                Some(Some(addresses)) => Ok(Answer { addresses, ttl: SECOND, exists: true }),
                Some(None) => Err(ResolveError { name: name.to_owned(), source: "not today".into() }),
                None => std::future::pending().await,
            }
        })
    }
}

fn config() -> config::DnsCache {
    config::DnsCache {
        name: "n".to_owned(),
        dns: Dns { refresh_rate: 60 * SECOND, ..Dns::default() },
        dns_min_refresh_rate: 5 * SECOND,
        host_ttl: 12 * SECOND,
        max_hosts: 2,
        disable_dns_refresh_on_failure: false,
        max_pending_requests: 1,
        preresolve_hostnames: Vec::new(),
        dns_query_timeout: Some(5 * SECOND),
        passed_over: None,
        store: None,
    }
}

struct World {
    cache: Arc<DnsCache>,
    cluster: Arc<Cluster>,
}

impl World {
    fn hosts(&self) -> Vec<String> {
        let hosts = self.cluster.hosts();
        let mut hosts: Vec<_> =
            hosts.iter().map(|host| format!("{} {}", host.hostname, host.address_text)).collect();
        hosts.sort();
        hosts
    }

    async fn ask(&self, name: &str) -> Outcome {
        (*self.cache.ask(name).await.expect("an answer")).clone()
    }
}

/// Plays with a cache that a cluster takes its hosts from, whose resolver gives these answers.
async fn play<F: Future<Output = ()>>(
    config: config::DnsCache,
    answers: &[Option<&[[u8; 4]]>],
    play: impl FnOnce(World) -> F,
) {
    let registry = Registry::new(0);
    let cache = Arc::new(DnsCache::new(config.clone(), &registry));
    let mut builder = ClusterBuilder::new("c");
    builder.config.discovery = Discovery::DynamicForwardProxy(Box::new(config));
    let cluster = Cluster::new(Arc::new(builder.config), 1, &registry).naming(Some(Arc::clone(&cache)));
    let cluster = Arc::new(cluster);
    cache.attach(&cluster);
    let script = answers.iter().map(|answer| answer.map(|ips| ips.iter().map(|&ip| ip.into()).collect()));
    let resolver = Rc::new(Scripted(RefCell::new(script.collect())));
    let asked = cache.listen().expect("nobody listens yet");
    let task = run(Arc::downgrade(&cache), asked, resolver, Rng::seeded(1), |_, _| ());
    tokio::select! { () = task => (), () = play(World { cache, cluster }) => () }
}

#[tokio::test(start_paused = true)]
async fn names_become_hosts_and_go_when_nothing_asks_for_them() {
    play(config(), &[Some(&[[10, 0, 0, 1]]), Some(&[[10, 0, 0, 2]]), Some(&[])], |world| async move {
        let first = world.ask("a.test:80").await;
        assert_eq!(first, Outcome::Addresses([([10, 0, 0, 1], 80).into()].into()));
        assert_eq!(world.hosts(), ["a.test:80 10.0.0.1:80"]);
        tokio::time::sleep(6 * SECOND).await;
        assert_eq!(world.hosts(), ["a.test:80 10.0.0.2:80"], "the minimum is longer than the time to live");
        tokio::time::sleep(5 * SECOND).await;
        assert_eq!(world.hosts(), ["a.test:80 10.0.0.2:80"], "an empty answer changes nothing");
        assert_eq!(world.cluster.membership.membership_change().value(), 1);
        tokio::time::sleep(60 * SECOND).await;
        assert!(world.hosts().is_empty());
        assert_eq!(world.cache.stats.host_removed().value(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn addresses_stand_for_themselves_and_there_are_no_more_than_so_many() {
    play(config(), &[], |world| async move {
        world.ask("127.0.0.1:1").await;
        world.ask("[::1]:2").await;
        assert_eq!(world.hosts(), ["127.0.0.1:1 127.0.0.1:1", "[::1]:2 [::1]:2"]);
        assert!(matches!(world.cache.find("127.0.0.1:3"), Found::Full));
        assert!(matches!(world.cache.find("127.0.0.1:1"), Found::Known(_)));
        assert_eq!(world.cache.stats.host_overflow().value(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_remembered_until_a_later_answer() {
    let mut config = config();
    config.dns.refresh_rate = SECOND;
    play(config, &[None, Some(&[[10, 0, 0, 1]])], |world| async move {
        assert_eq!(world.ask("a.test:80").await, Outcome::Nowhere("not_today".into()));
        assert!(world.hosts().is_empty());
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(world.hosts(), ["a.test:80 10.0.0.1:80"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_forgotten_where_that_is_asked_for() {
    let config = config::DnsCache { disable_dns_refresh_on_failure: true, ..config() };
    play(config, &[None, Some(&[[10, 0, 0, 1]])], |world| async move {
        assert_eq!(world.ask("a.test:80").await, Outcome::Nowhere("not_today".into()));
        assert!(matches!(world.cache.find("a.test:80"), Found::Unknown));
        assert!(matches!(world.ask("a.test:80").await, Outcome::Addresses(_)));
        assert_eq!(world.cache.stats.host_removed().value(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_name_is_asked_for_once_until_it_is_forgotten() {
    let config = config::DnsCache { disable_dns_refresh_on_failure: true, ..config() };
    play(config, &[], |world| async move {
        assert!(!world.cache.is_asked_for("a.test:80"));
        let answer = world.cache.ask("a.test:80");
        tokio::time::sleep(SECOND).await;
        assert!(world.cache.is_asked_for("a.test:80"));
        answer.await.expect("an answer");
        assert!(!world.cache.is_asked_for("a.test:80"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_resolution_that_takes_too_long_has_failed() {
    play(config(), &[], |world| async move {
        assert_eq!(world.ask("a.test:80").await, Outcome::Nowhere("resolve_timeout".into()));
        assert_eq!(world.cache.stats.dns_query_timeout().value(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn places_of_requests_are_given_back() {
    play(config(), &[], |world| async move {
        let first = world.cache.try_pending();
        assert!(first.is_some() && world.cache.try_pending().is_none());
        assert_eq!(world.cache.stats.circuit_breakers_rq_pending_open().value(), 1);
        drop(first);
        assert_eq!(world.cache.stats.circuit_breakers_rq_pending_remaining().value(), 1);
        assert!(world.cache.try_pending().is_some());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn names_that_are_resolved_from_the_start_are_there() {
    let config = config::DnsCache { preresolve_hostnames: vec![("a.test".to_owned(), 81)], ..config() };
    play(config, &[Some(&[[10, 0, 0, 1]])], |world| async move {
        tokio::time::sleep(SECOND).await;
        assert_eq!(world.hosts(), ["a.test:81 10.0.0.1:81"]);
    })
    .await;
}

#[tokio::test]
async fn what_one_cache_was_told_the_next_with_the_same_file_knows() {
    let directory = tempfile::tempdir().expect("a directory");
    let filename = directory.path().join("names");
    let store = KeyValueStore { filename: filename.clone(), flush_interval: None, max_entries: 0 };
    let config = config::DnsCache { store: Some(store), ..config() };
    play(config.clone(), &[Some(&[[10, 0, 0, 1], [10, 0, 0, 2]])], |world| async move {
        world.ask("a.test:80").await;
        while std::fs::read(&filename).unwrap_or_default().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    play(config, &[], |world| async move {
        let known = world.ask("a.test:80").await;
        let addresses = [([10, 0, 0, 1], 80).into(), ([10, 0, 0, 2], 80).into()];
        assert_eq!(known, Outcome::Addresses(addresses.into()));
        assert_eq!(world.hosts(), ["a.test:80 10.0.0.1:80"]);
        assert_eq!(world.cache.stats.cache_load().value(), 1);
        assert_eq!(world.cache.stats.dns_query_attempt().value(), 0);
    })
    .await;
}
