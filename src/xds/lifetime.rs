//! Times to live of resources: `envoy.service.discovery.v3.Resource.ttl`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// When resources expire. Only those that have a time to live are here.
#[derive(Debug, Default)]
pub(super) struct Lifetimes {
    by_name: HashMap<String, Instant>,
    by_time: BTreeMap<Instant, BTreeSet<String>>,
}

impl Lifetimes {
    /// A resource came, or a heartbeat for it. Without a time to live it no longer expires.
    pub(super) fn set(&mut self, name: &str, ttl: Option<Duration>, now: Instant) {
        self.forget(name);
        // A time too long for the clock never passes.
        let Some(end) = ttl.and_then(|ttl| now.checked_add(ttl)) else { return };
        self.by_name.insert(name.to_owned(), end);
        self.by_time.entry(end).or_default().insert(name.to_owned());
    }

    /// A resource is gone.
    pub(super) fn forget(&mut self, name: &str) {
        let Some(end) = self.by_name.remove(name) else { return };
        if let Some(names) = self.by_time.get_mut(&end) {
            names.remove(name);
            if names.is_empty() {
                self.by_time.remove(&end);
            }
        }
    }

    /// Keeps only the resources that `keep` says yes to.
    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        let gone: Vec<String> = self.by_name.keys().filter(|name| !keep(name)).cloned().collect();
        gone.iter().for_each(|name| self.forget(name));
    }

    /// When the next one expires.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.keys().next().copied()
    }

    /// Those that have expired; they are forgotten.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<String> {
        let mut expired = Vec::new();
        while let Some(entry) = self.by_time.first_entry().filter(|entry| *entry.key() <= now) {
            expired.extend(entry.remove());
        }
        for name in &expired {
            self.by_name.remove(name);
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_resource_expires_when_its_time_is_over() {
        let (mut lifetimes, now) = (Lifetimes::default(), Instant::now());
        lifetimes.set("b", Some(SECOND * 2), now);
        lifetimes.set("a", Some(SECOND), now);
        lifetimes.set("never", None, now);
        assert_eq!(lifetimes.next(), Some(now + SECOND));
        assert_eq!(lifetimes.expire(now), Vec::<String>::new());
        assert_eq!(lifetimes.expire(now + SECOND * 2), ["a", "b"]);
        assert_eq!(lifetimes.next(), None);
    }

    #[test]
    fn a_heartbeat_prolongs_and_an_update_without_a_time_ends_it() {
        let (mut lifetimes, now) = (Lifetimes::default(), Instant::now());
        lifetimes.set("a", Some(SECOND), now);
        lifetimes.set("b", Some(SECOND), now);
        lifetimes.set("a", Some(SECOND * 9), now);
        lifetimes.set("b", None, now);
        assert_eq!(lifetimes.expire(now + SECOND * 5), Vec::<String>::new());
        lifetimes.retain(|name| name != "a");
        assert_eq!(lifetimes.next(), None);
        lifetimes.set("c", Some(Duration::MAX), now);
        assert_eq!(lifetimes.next(), None);
    }
}
