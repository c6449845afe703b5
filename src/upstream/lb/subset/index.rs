//! The subsets of a set of hosts, found by what a request asks for.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::Criterion;
use super::draft::{Draft, Placing};
use super::members::{MemberSets, has_labels};
use crate::config::cluster::{SelectorFallback, SubsetFallback, Subsets};
use crate::upstream::{Host, HostSet};

/// What the subsets of all hosts and of `default_subset` are known by.
const ANY: u32 = 0;
const DEFAULT: u32 = 1;

/// The first number for the others.
const FIRST: u32 = 2;

/// The subsets of a set of hosts.
#[derive(Debug, Default)]
pub struct Index {
    root: Node,
    any: Option<Subset>,
    default_subset: Option<Subset>,
    /// Of all subsets that selectors made, in order.
    ids: Box<[u32]>,
    next_id: u32,
}

/// Some of the hosts.
#[derive(Debug)]
pub struct Subset {
    /// The same for as long as the subset has hosts.
    pub id: u32,
    /// Its hosts.
    pub members: Members,
}

/// The hosts of a subset.
#[derive(Debug)]
pub enum Members {
    /// At least one; as many priorities as all hosts have.
    Hosts(Arc<HostSet>),
    /// The one that there is room for, of the first priority that has any: `single_host_per_subset`.
    One(Arc<Host>),
}

impl Subset {
    fn hosts(&self) -> Option<&HostSet> {
        match &self.members {
            Members::Hosts(hosts) => Some(hosts),
            Members::One(_) => None,
        }
    }
}

/// How the subsets differ from those before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// New subsets.
    pub created: u64,
    /// Subsets that are gone.
    pub removed: u64,
    /// Hosts of the last priority for which there was no room in the subset of a single host.
    pub duplicates: u64,
}

/// The subset of the criteria that lead here, and what more of them leads to.
#[derive(Debug, Default)]
struct Node {
    subset: Option<Subset>,
    children: HashMap<String, HashMap<Value, Node>>,
}

impl Node {
    fn collect<'n>(&'n self, sets: &mut Vec<(u32, &'n Arc<HostSet>)>) {
        if let Some(Subset { id, members: Members::Hosts(hosts) }) = &self.subset {
            sets.push((*id, hosts));
        }
        self.children.values().flat_map(HashMap::values).for_each(|node| node.collect(sets));
    }
}

impl Index {
    /// Divides `hosts`. Subsets that `before` has are known by what they are known by there; `finish` sees each set of
    /// hosts before it is used, and the one before it.
    pub fn new(
        hosts: &HostSet,
        config: &Subsets,
        before: Option<&Index>,
        finish: impl Fn(HostSet, Option<&HostSet>) -> HostSet,
    ) -> (Self, Difference) {
        let described = super::draft::describe(hosts);
        let Placing { root, duplicates, .. } = Placing::all(&described, config);
        let sets = MemberSets::new(hosts, config);
        let mut numbering = Numbering {
            make: |members: &[(usize, &Arc<Host>)], before: Option<&Subset>| {
                Members::Hosts(Arc::new(finish(sets.of(members), before.and_then(Subset::hosts))))
            },
            ids: Vec::new(),
            next_id: before.map_or(FIRST, |before| before.next_id.max(FIRST)),
            created: 0,
        };
        let root = numbering.node(root, before.map(|before| &before.root));
        let special = |id, wanted: bool, takes: &dyn Fn(&Host) -> bool, before: Option<&Subset>| {
            let members: Vec<_> =
                described.iter().filter(|host| takes(host.host)).map(|host| host.place()).collect();
            wanted.then(|| Subset { id, members: (numbering.make)(&members, before) })
        };
        let any = special(ANY, needs_any(config), &|_| true, before.and_then(Index::any));
        let is_default = |host: &Host| has_labels(host, &config.default_subset, config.list_as_any);
        let default_before = before.and_then(Index::default_subset);
        let default_subset = special(DEFAULT, needs_default(config), &is_default, default_before);
        let Numbering { mut ids, next_id, created, .. } = numbering;
        ids.sort_unstable();
        let kept = ids.len() as u64 - created;
        let removed = before.map_or(0, |before| before.ids.len() as u64) - kept;
        let index = Index { root, any, default_subset, ids: ids.into(), next_id };
        (index, Difference { created, removed, duplicates })
    }

    /// How many subsets selectors made.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether selectors made none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The hosts of those that selectors made, in the order in which these came to be, where there are several.
    pub fn sets(&self) -> Vec<&Arc<HostSet>> {
        let mut sets = Vec::with_capacity(self.ids.len());
        self.root.collect(&mut sets);
        sets.sort_unstable_by_key(|(id, _)| *id);
        sets.into_iter().map(|(_, hosts)| hosts).collect()
    }

    /// Whether there is the subset of this id.
    pub fn has(&self, id: u32) -> bool {
        id < FIRST || self.ids.binary_search(&id).is_ok()
    }

    /// The subset of exactly these criteria, which are in the order of their names.
    pub fn find(&self, criteria: &[Criterion<'_>]) -> Option<&Subset> {
        let mut node = &self.root;
        for (name, value) in criteria {
            node = node.children.get(*name)?.get(*value)?;
        }
        node.subset.as_ref()
    }

    /// All hosts, where anything falls back to them.
    pub fn any(&self) -> Option<&Subset> {
        self.any.as_ref()
    }

    /// The hosts of `default_subset`, where anything falls back to them.
    pub fn default_subset(&self) -> Option<&Subset> {
        self.default_subset.as_ref()
    }
}

/// Gives subsets their numbers.
struct Numbering<M> {
    make: M,
    ids: Vec<u32>,
    next_id: u32,
    created: u64,
}

impl<M: Fn(&[(usize, &Arc<Host>)], Option<&Subset>) -> Members> Numbering<M> {
    fn node(&mut self, draft: Draft<'_>, before: Option<&Node>) -> Node {
        let subset = (!draft.hosts.is_empty()).then(|| {
            let same = before.and_then(|before| before.subset.as_ref());
            let id = self.id(same);
            let members = match draft.single {
                true => Members::One(Arc::clone(draft.hosts[0].1)),
                false => (self.make)(&draft.hosts, same),
            };
            Subset { id, members }
        });
        let children = draft.children.into_iter().map(|(name, values)| {
            let before = before.and_then(|before| before.children.get(name));
            let values = values.into_iter().map(|(value, draft)| {
                let before = before.and_then(|before| before.get(value));
                (value.clone(), self.node(draft, before))
            });
            (name.to_owned(), values.collect())
        });
        Node { subset, children: children.collect() }
    }

    fn id(&mut self, before: Option<&Subset>) -> u32 {
        let id = before.map_or(self.next_id, |before| before.id);
        if before.is_none() {
            // After four thousand million subsets the first numbers are free again.
            self.next_id = self.next_id.checked_add(1).unwrap_or(FIRST);
            self.created += 1;
        }
        self.ids.push(id);
        id
    }
}

/// Whether anything falls back to all hosts.
fn needs_any(config: &Subsets) -> bool {
    config.panic_mode_any
        || config.fallback_policy == SubsetFallback::Any
        || config.selectors.iter().any(|selector| selector.fallback == Some(SelectorFallback::Any))
}

/// Whether anything falls back to the default subset.
fn needs_default(config: &Subsets) -> bool {
    config.fallback_policy == SubsetFallback::Default
        || config.selectors.iter().any(|selector| selector.fallback == Some(SelectorFallback::Default))
}
