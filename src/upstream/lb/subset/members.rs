//! The hosts of a subset as a set of their own.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::config::cluster::Subsets;
use crate::config::metadata::Labels;
use crate::upstream::host_set::LocalityHosts;
use crate::upstream::{Host, HostSet, PriorityHosts};

/// Makes sets of some of the hosts.
pub(super) struct MemberSets<'h> {
    hosts: &'h HostSet,
    weighted: bool,
    scale: bool,
    /// The localities of hosts, by their ids, where they count.
    localities: HashMap<u64, usize>,
}

impl<'h> MemberSets<'h> {
    pub(super) fn new(hosts: &'h HostSet, config: &Subsets) -> Self {
        let localities = hosts.priorities.iter().flat_map(|level| level.localities.iter().enumerate());
        let localities =
            localities.flat_map(|(number, locality)| locality.all.iter().map(move |host| (host.id, number)));
        MemberSets {
            hosts,
            weighted: config.locality_weight_aware,
            scale: config.scale_locality_weight,
            localities: localities.collect(),
        }
    }

    /// A set of these hosts, which stand in the order of their priorities.
    pub(super) fn of(&self, members: &[(usize, &Arc<Host>)]) -> HostSet {
        let mut rest = members;
        let levels = self.hosts.priorities.iter().enumerate().map(|(priority, level)| {
            let count = rest.iter().take_while(|(of, _)| *of == priority).count();
            let (own, others) = rest.split_at(count);
            rest = others;
            self.level(level, own)
        });
        HostSet {
            version: self.hosts.version,
            priorities: levels.collect(),
            overprovisioning_factor: self.hosts.overprovisioning_factor,
            drop_overload: self.hosts.drop_overload,
            drop_category: Arc::clone(&self.hosts.drop_category),
            weighted_priority_health: self.hosts.weighted_priority_health,
            tables: None,
            subsets: None,
            by_address: None,
        }
    }

    fn level(&self, level: &PriorityHosts, members: &[(usize, &Arc<Host>)]) -> PriorityHosts {
        let hosts = PriorityHosts::new(members.iter().map(|(_, host)| Arc::clone(host)).collect());
        if self.localities.is_empty() {
            return hosts;
        }
        let mut lists: Vec<Vec<Arc<Host>>> = vec![Vec::new(); level.localities.len()];
        for host in hosts.all.iter() {
            let list = self.localities.get(&host.id).and_then(|locality| lists.get_mut(*locality));
            list.into_iter().for_each(|list| list.push(Arc::clone(host)));
        }
        let localities =
            level.localities.iter().zip(lists).map(|(locality, own)| self.locality(locality, own));
        PriorityHosts {
            localities: localities.collect(),
            has_local_locality: level.has_local_locality,
            ..hosts
        }
    }

    fn locality(&self, whole: &LocalityHosts, own: Vec<Arc<Host>>) -> LocalityHosts {
        let weight = match whole.all.len() {
            _ if !self.weighted => 0,
            0 if self.scale => 0,
            all if self.scale => scaled(whole.weight, own.len(), all),
            _ => whole.weight,
        };
        LocalityHosts::new(Arc::clone(&whole.locality), weight, own.into())
    }
}

/// The share of a weight that some of the hosts have.
fn scaled(weight: u32, some: usize, all: usize) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the weight itself")]
    let scaled = (f64::from(weight) * some as f64 / all as f64).round() as u32;
    scaled
}

/// Whether a host's metadata has all of these.
pub(super) fn has_labels(host: &Host, labels: &Labels, list_as_any: bool) -> bool {
    let metadata = host.metadata();
    let own = metadata.as_ref().and_then(|metadata| metadata.filter_metadata.get(Labels::NAME)?.as_object());
    labels.iter().all(|(name, wanted)| match own.and_then(|own| own.get(name)) {
        Some(Value::Array(list)) if list_as_any => list.contains(wanted),
        Some(value) => value == wanted,
        None => false,
    })
}
