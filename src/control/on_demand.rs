//! Clusters that requests ask for by name, by the source that they come from, and who waits for them.
//!
//! A state machine without I/O. A name is asked for once. Who waits goes on when the cluster is in force, when its source
//! says that there is none, or when the time is over that the first of them has; the first two are told by dropping what
//! comes back. What came stays until the source takes it back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;

use super::asked::Asked;
use super::subscriptions::Counted;
use crate::config::on_demand_cds::OnDemandCds;
use crate::config::source::ConfigSource;
use crate::observability::stats::Registry;
use crate::xds::Response;

/// Bytes of a name beyond which it is not asked for: clients can choose names.
const MAX_NAME_BYTES: usize = 1024;

/// Where it is counted what comes of all sources.
const PREFIX: &str = "cluster_manager.odcds.";

/// Those who wait for an answer.
pub type Answers = Vec<oneshot::Sender<()>>;

/// All clusters that are asked for by name.
#[derive(Debug)]
pub struct OnDemand {
    registry: Registry,
    sources: Vec<Source>,
    /// Until when a name of a source is waited for.
    deadlines: BTreeMap<(usize, String), Instant>,
    /// Those who wait for clusters that have come and are not in force.
    warming: BTreeMap<String, Answers>,
}

#[derive(Debug)]
struct Source {
    config: ConfigSource,
    counted: Counted,
    asked: Asked,
    /// The names of clusters that came.
    there: BTreeSet<String>,
}

impl OnDemand {
    /// Nothing asked for.
    pub fn new(registry: Registry) -> Self {
        OnDemand { registry, sources: Vec::new(), deadlines: BTreeMap::new(), warming: BTreeMap::new() }
    }

    /// The source of this index.
    pub fn source(&self, index: usize) -> &ConfigSource {
        &self.sources[index].config
    }

    /// Whether a cluster of this name came from one of the sources.
    pub fn has(&self, name: &str) -> bool {
        self.sources.iter().any(|source| source.there.contains(name))
    }

    /// A request asks for a cluster that is not in force; `warms` says whether it warms.
    pub fn ask(
        &mut self,
        from: &OnDemandCds,
        name: &str,
        warms: bool,
        answer: oneshot::Sender<()>,
        now: Instant,
    ) {
        let index = self.index(&from.source);
        let waits = if warms {
            self.warming.entry(name.to_owned()).or_default().push(answer);
            true
        } else {
            name.len() <= MAX_NAME_BYTES && self.sources[index].ask(name, answer)
        };
        if waits {
            // The time of the first counts for all.
            self.deadlines.entry((index, name.to_owned())).or_insert(now + from.timeout);
        }
    }

    /// The index of a source, if something was asked of it.
    pub fn index_of(&self, config: &ConfigSource) -> Option<usize> {
        self.sources.iter().position(|source| source.config.from == config.from)
    }

    fn index(&mut self, config: &ConfigSource) -> usize {
        self.index_of(config).unwrap_or_else(|| {
            self.sources.push(Source {
                config: config.clone(),
                // The first name is counted as it is asked for.
                counted: Counted::idle(&self.registry, PREFIX),
                asked: Asked::default(),
                there: BTreeSet::new(),
            });
            self.sources.len() - 1
        })
    }

    /// The names to be asked for of each source where they are others than at the last call.
    pub fn take_changed(&mut self) -> Vec<(usize, BTreeSet<String>)> {
        let sources = self.sources.iter_mut().enumerate();
        sources.filter_map(|(index, source)| Some((index, source.asked.take_changed()?))).collect()
    }

    /// A response of a source was taken. `exists` says whether there is a cluster of a name, in force or warming. Who asked
    /// for what does not exist is told by dropping what comes back.
    pub fn answered(&mut self, index: usize, response: &Names, exists: impl Fn(&str) -> bool) -> Answers {
        let mut answers = Answers::new();
        let source = &mut self.sources[index];
        for name in &response.there {
            if exists(name) {
                let waiting = source.asked.answered(name, true);
                source.there.insert(name.clone());
                if !waiting.is_empty() {
                    self.warming.entry(name.clone()).or_default().extend(waiting);
                }
            }
        }
        for name in &response.gone {
            source.there.remove(name);
            self.deadlines.remove(&(index, name.clone()));
            answers.extend(source.asked.answered(name, false));
            answers.extend(self.warming.remove(name).unwrap_or_default());
        }
        answers
    }

    /// What can be said to those who wait now that these clusters are in force; they are told by dropping that.
    pub fn take_served(&mut self, is_in_force: impl Fn(&str) -> bool) -> Answers {
        if self.warming.is_empty() {
            return Answers::new();
        }
        let served: Vec<String> = self.warming.keys().filter(|name| is_in_force(name)).cloned().collect();
        let served: BTreeSet<String> = served.into_iter().collect();
        self.deadlines.retain(|(_, name), _| !served.contains(name));
        served.iter().flat_map(|name| self.warming.remove(name).unwrap_or_default()).collect()
    }

    /// When [`expire`](Self::expire) next has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.values().min().copied()
    }

    /// Ends the wait for the clusters whose time is over, and tells so.
    pub fn expire(&mut self, now: Instant) {
        let over: Vec<_> = self.deadlines.extract_if(.., |_, deadline| *deadline <= now).collect();
        for ((index, name), _) in over {
            let asked = self.sources[index].asked.give_up(&name);
            let waiting = asked.into_iter().chain(self.warming.remove(&name).unwrap_or_default());
            // Who has gone away needs no answer.
            waiting.for_each(|answer| {
                answer.send(()).ok();
            });
        }
    }

    /// A response of this source was taken.
    pub fn succeeded(&self, index: usize, version: &str, took: Duration) {
        self.sources[index].counted.succeeded(version, false, SystemTime::now(), took);
    }

    /// A response of this source was rejected.
    pub fn rejected(&self, index: usize) {
        self.sources[index].counted.rejected();
    }

    /// The stream of this source was lost.
    pub fn disconnected(&self, index: usize) {
        self.sources[index].counted.failed();
    }

    /// Nothing came in time.
    pub fn timed_out(&self, index: usize) {
        self.sources[index].counted.timed_out();
    }
}

impl Source {
    /// Whether the request has to wait for an answer.
    fn ask(&mut self, name: &str, answer: oneshot::Sender<()>) -> bool {
        let was_new = !self.asked.knows(name);
        let waits = self.asked.ask(name, answer);
        if waits && was_new {
            self.counted.attempted();
        }
        waits
    }
}

/// The names that a response speaks of.
#[derive(Debug, Default)]
pub struct Names {
    there: Vec<String>,
    gone: Vec<String>,
}

impl Names {
    /// Those of this response.
    pub fn of(response: &Response) -> Self {
        let bodies = response.resources.iter().map(|resource| &resource.name);
        Names { there: bodies.chain(&response.kept).cloned().collect(), gone: response.removed.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::SourceKind;

    const NOW: fn() -> Instant = Instant::now;

    fn source() -> OnDemandCds {
        let source = ConfigSource { from: SourceKind::Ads, initial_fetch_timeout: Duration::ZERO };
        OnDemandCds { source, timeout: Duration::from_secs(5) }
    }

    fn ask(clusters: &mut OnDemand, name: &str, now: Instant) -> oneshot::Receiver<()> {
        let (answer, answered) = oneshot::channel();
        clusters.ask(&source(), name, false, answer, now);
        answered
    }

    fn is_answered(waiting: &mut oneshot::Receiver<()>) -> bool {
        waiting.try_recv() != Err(oneshot::error::TryRecvError::Empty)
    }

    fn names(there: &[&str], gone: &[&str]) -> Names {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Names { there: owned(there), gone: owned(gone) }
    }

    #[test]
    fn a_request_goes_on_when_its_cluster_is_in_force() {
        let mut clusters = OnDemand::new(Registry::new(0));
        let mut waiting = [ask(&mut clusters, "a", NOW()), ask(&mut clusters, "a", NOW())];
        assert_eq!(clusters.take_changed(), [(0, BTreeSet::from(["a".to_owned()]))]);
        drop(clusters.answered(0, &names(&["a"], &[]), |_| true));
        drop(clusters.take_served(|_| false));
        assert!(!waiting.iter_mut().any(is_answered));
        drop(clusters.take_served(|name| name == "a"));
        assert!(waiting.iter_mut().all(is_answered));
        assert_eq!(clusters.next_deadline(), None);
        assert!(clusters.has("a") && clusters.take_changed().is_empty());
    }

    #[test]
    fn what_does_not_exist_is_answered_at_once_from_then_on() {
        let mut clusters = OnDemand::new(Registry::new(0));
        let mut waiting = ask(&mut clusters, "a", NOW());
        drop(clusters.answered(0, &names(&[], &["a"]), |_| false));
        assert!(is_answered(&mut waiting) && is_answered(&mut ask(&mut clusters, "a", NOW())));
        assert_eq!(clusters.next_deadline(), None);
    }

    #[test]
    fn the_time_of_the_first_counts_for_all_who_wait() {
        let (mut clusters, start) = (OnDemand::new(Registry::new(0)), NOW());
        let mut first = ask(&mut clusters, "a", start);
        let mut second = ask(&mut clusters, "a", start + Duration::from_secs(4));
        assert_eq!(clusters.next_deadline(), Some(start + Duration::from_secs(5)));
        clusters.expire(start + Duration::from_secs(5));
        assert_eq!((first.try_recv(), second.try_recv()), (Ok(()), Ok(())));
        let mut third = ask(&mut clusters, "a", start + Duration::from_secs(6));
        assert!(!is_answered(&mut third));
        assert_eq!(clusters.next_deadline(), Some(start + Duration::from_secs(11)));
    }

    #[test]
    fn a_cluster_that_is_refused_is_waited_for_until_the_time_is_over() {
        let (mut clusters, start) = (OnDemand::new(Registry::new(0)), NOW());
        let mut waiting = ask(&mut clusters, "a", start);
        drop(clusters.answered(0, &names(&["a"], &[]), |_| false));
        assert!(!is_answered(&mut waiting) && !clusters.has("a"));
        clusters.expire(start + Duration::from_secs(5));
        assert!(is_answered(&mut waiting));
    }
}
