//! Clusters that are made for the names that requests bring, until nothing asks for them any more:
//! `SubClustersConfig` of dynamic forward proxy clusters.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::sync::oneshot;

use super::Clusters;
use crate::config::cluster::Discovery;
use crate::config::field::Notes;
use crate::control::resources::Record;
use crate::upstream::Cluster;
use crate::upstream::manager::{self, Update};
use crate::upstream::sub_clusters::Target;

/// Those who wait for a cluster.
type Answers = Vec<oneshot::Sender<()>>;

/// The clusters that others make after themselves.
#[derive(Debug, Default)]
pub(super) struct SubClusters {
    /// Who waits for each that there is.
    made: BTreeMap<Arc<str>, Answers>,
    parents: HashMap<u64, Arc<Cluster>>,
    /// When it is looked for those that nothing asks for.
    looks: BTreeSet<(Instant, u64)>,
}

impl SubClusters {
    /// A cluster may make others from now on.
    pub(super) fn begin(&mut self, parent: &Arc<Cluster>, now: Instant) {
        self.parents.insert(parent.id, Arc::clone(parent));
        self.look_later(parent, now);
    }

    /// When it is looked next for those that nothing asks for.
    pub(super) fn next(&self) -> Option<Instant> {
        self.looks.first().map(|&(at, _)| at)
    }

    fn look_later(&mut self, parent: &Cluster, now: Instant) {
        let made = parent.sub_clusters();
        // A time too long for the clock never passes.
        let next = made.and_then(|made| now.checked_add(made.ttl()));
        self.looks.extend(next.map(|next| (next, parent.id)));
    }

    fn take_due(&mut self, now: Instant) -> Option<Arc<Cluster>> {
        let &(at, id) = self.looks.first().filter(|(at, _)| *at <= now)?;
        self.looks.remove(&(at, id));
        let parent = self.parents.get(&id).cloned()?;
        self.look_later(&parent, now);
        Some(parent)
    }
}

impl Clusters {
    /// Whether the cluster of this name was made for a name, and not taken from a source.
    pub fn is_sub_cluster(&self, name: &str) -> bool {
        self.subs.made.contains_key(name)
    }

    /// A request waits for the cluster of a name, which is made after `parent`. Dropping `answer` tells it to look.
    pub fn await_sub_cluster(
        &mut self,
        parent: &Arc<Cluster>,
        target: &Target,
        answer: oneshot::Sender<()>,
        now: Instant,
    ) {
        // After one that is gone nothing is made.
        if !self.subs.parents.contains_key(&parent.id) {
            return;
        }
        if !self.has(&target.cluster) {
            self.make_sub_cluster(parent, target, now);
        }
        if let Some(answers) = self.subs.made.get_mut(&*target.cluster) {
            answers.push(answer);
        }
    }

    fn make_sub_cluster(&mut self, parent: &Cluster, target: &Target, now: Instant) {
        let Discovery::SubClusters(config) = &parent.config.discovery else { return };
        let Target { cluster: name, host, port } = target;
        let made = Arc::new(config.cluster(name, host, *port));
        let Update::Warming(cluster) = self.manager.add_or_update(made) else { return };
        let record = Record {
            version: String::new(),
            value: config.encoded(name, host, *port),
            last_updated: SystemTime::now(),
            notes: Notes::new(),
        };
        self.resources.warm(name, record);
        self.subs.made.insert(Arc::clone(&cluster.name), Answers::new());
        self.begin(cluster, now);
    }

    /// What can be said to those who wait now that these clusters are in force; they are told by dropping that.
    pub fn take_answered(&mut self, in_force: &manager::Clusters) -> Answers {
        let made = self
            .subs
            .made
            .iter_mut()
            .filter(|(name, answers)| !answers.is_empty() && in_force.contains_key(&**name));
        made.flat_map(|(_, answers)| std::mem::take(answers)).collect()
    }

    /// Removes those that nothing has asked for.
    pub(super) fn drop_idle(&mut self, now: Instant) {
        while let Some(parent) = self.subs.take_due(now) {
            let idle = parent.sub_clusters().map(|made| made.take_idle()).unwrap_or_default();
            self.remove_sub_clusters(&idle);
        }
    }

    /// A cluster is gone, and those that were made after it go too.
    pub(super) fn end_sub_clusters(&mut self, parent: &Cluster) {
        let Some(made) = parent.sub_clusters() else { return };
        self.subs.parents.remove(&parent.id);
        self.subs.looks.retain(|&(_, id)| id != parent.id);
        self.remove_sub_clusters(&made.names());
    }

    fn remove_sub_clusters(&mut self, names: &[Arc<str>]) {
        let ours = names.iter().filter(|name| self.subs.made.remove(&***name).is_some());
        let ours: Vec<String> = ours.map(|name| name.to_string()).collect();
        self.remove(&ours);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dragoman_proto::{encode, tree};
    use oneshot::error::TryRecvError;

    use super::*;
    use crate::config;
    use crate::config::extension::Extensions;
    use crate::observability::stats::Registry;
    use crate::upstream::Manager;
    use crate::upstream::discovery::dns::Resolution;

    const MADE: &str = "DFPCluster:a.test:80";

    /// A cluster that makes others, each of which goes after ten seconds.
    fn parent() -> config::Cluster {
        let yaml = "{name: up, lb_policy: CLUSTER_PROVIDED, cluster_type: {name: d, typed_config: \
            {'@type': type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig, \
            sub_clusters_config: {sub_cluster_ttl: 10s}}}}";
        let document = tree::parse_yaml(yaml).expect("YAML");
        let message = "envoy.config.cluster.v3.Cluster";
        let bytes = encode(&document.root, message, &encode::Options::default()).expect("a message").bytes;
        config::Cluster::parse(&bytes, &Extensions::BUILT_IN).expect("a cluster").0
    }

    fn with_parent(now: Instant) -> (Clusters, Arc<Cluster>) {
        let mut clusters = Clusters::new(Manager::new(Registry::new(0)), None);
        let Update::Warming(parent) = clusters.manager.add_or_update(Arc::new(parent())) else {
            panic!("it is new")
        };
        clusters.begin(Arc::clone(&parent), now);
        (clusters, parent)
    }

    fn ask(clusters: &mut Clusters, parent: &Arc<Cluster>, now: Instant) -> oneshot::Receiver<()> {
        let (answer, answered) = oneshot::channel();
        let target = Target::of("a.test", 80);
        assert!(parent.sub_clusters().is_some_and(|made| made.take_place(&target.cluster)));
        clusters.await_sub_cluster(parent, &target, answer, now);
        answered
    }

    /// The name of the cluster that warms is resolved.
    fn resolve(clusters: &mut Clusters) {
        let made = Arc::clone(&clusters.manager.warming()[MADE]);
        clusters.resolved(&made, Resolution::First);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_wait_until_the_cluster_of_their_name_is_in_force() {
        let now = Instant::now();
        let (mut clusters, parent) = with_parent(now);
        let mut waiting = [ask(&mut clusters, &parent, now), ask(&mut clusters, &parent, now)];
        drop(clusters.take_answered(&Arc::clone(clusters.manager.active())));
        assert!(waiting.iter_mut().all(|one| one.try_recv() == Err(TryRecvError::Empty)));
        resolve(&mut clusters);
        drop(clusters.take_answered(&Arc::clone(clusters.manager.active())));
        assert!(waiting.iter_mut().all(|one| one.try_recv() == Err(TryRecvError::Closed)));
        assert!(clusters.resources().find(MADE).is_some_and(|states| states.active.is_some()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_goes_that_nothing_asks_for() {
        let now = Instant::now();
        let (mut clusters, parent) = with_parent(now);
        let _waiting = ask(&mut clusters, &parent, now);
        resolve(&mut clusters);
        assert_eq!(clusters.next_deadline(), Some(now + Duration::from_secs(10)));
        clusters.expire(now + Duration::from_secs(10));
        assert!(clusters.has(MADE) && clusters.is_sub_cluster(MADE), "it is no older than it may be");
        tokio::time::advance(Duration::from_secs(11)).await;
        clusters.expire(now + Duration::from_secs(20));
        assert!(!clusters.has(MADE) && !clusters.is_sub_cluster(MADE));
        assert!(clusters.resources().find(MADE).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn clusters_go_with_the_one_after_which_they_were_made() {
        let now = Instant::now();
        let (mut clusters, parent) = with_parent(now);
        let mut waiting = ask(&mut clusters, &parent, now);
        clusters.remove(&["up".to_owned()]);
        assert!(!clusters.has(MADE) && clusters.next_deadline().is_none());
        assert_eq!(waiting.try_recv(), Err(TryRecvError::Closed), "whoever waits looks, and finds nothing");
        let mut late = ask(&mut clusters, &parent, now);
        assert!(!clusters.has(MADE) && late.try_recv() == Err(TryRecvError::Closed));
    }
}
