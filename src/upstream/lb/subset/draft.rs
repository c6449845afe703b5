//! Putting hosts into subsets by their metadata.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::config::cluster::{SubsetSelector, Subsets};
use crate::config::metadata::{Labels, Metadata};
use crate::upstream::{Host, HostSet};

/// How often hosts are put into subsets at most. With `list_as_any` a host is in a subset for every combination of the
/// elements of its lists, which a few bytes of metadata can make more than there is memory for.
const MAX_PLACES: u32 = 1_000_000;

/// A host, and what it says of itself at the moment.
pub(super) struct Described<'h> {
    pub(super) host: &'h Arc<Host>,
    priority: usize,
    metadata: Option<Arc<Metadata>>,
}

impl<'h> Described<'h> {
    /// Priority and host.
    pub(super) fn place(&self) -> (usize, &'h Arc<Host>) {
        (self.priority, self.host)
    }

    fn labels(&self) -> Option<&Map<String, Value>> {
        self.metadata.as_ref()?.filter_metadata.get(Labels::NAME)?.as_object()
    }
}

/// All hosts, first priority first.
pub(super) fn describe(hosts: &HostSet) -> Vec<Described<'_>> {
    let levels = hosts.priorities.iter().enumerate();
    let described = levels.flat_map(|(priority, level)| {
        level.all.iter().map(move |host| Described { host, priority, metadata: host.metadata() })
    });
    described.collect()
}

/// Subsets while hosts are put into them.
#[derive(Default)]
pub(super) struct Draft<'h> {
    /// Priorities and hosts; none where this only leads to others.
    pub(super) hosts: Vec<(usize, &'h Arc<Host>)>,
    /// Whether there is room for one host of each priority.
    pub(super) single: bool,
    pub(super) children: HashMap<&'h str, HashMap<&'h Value, Draft<'h>>>,
}

/// Puts hosts into subsets.
pub(super) struct Placing<'h> {
    list_as_any: bool,
    /// How often hosts may still be put into subsets.
    left: u32,
    pub(super) root: Draft<'h>,
    /// Hosts of the last priority for which there was no room in the subset of a single host.
    pub(super) duplicates: u64,
}

impl<'h> Placing<'h> {
    /// Puts hosts into the subsets of each selector all of whose keys their metadata has.
    pub(super) fn all(hosts: &'h [Described<'h>], config: &Subsets) -> Self {
        let mut placing = Placing {
            list_as_any: config.list_as_any,
            left: MAX_PLACES,
            root: Draft::default(),
            duplicates: 0,
        };
        let mut priority = 0;
        for described in hosts {
            if described.priority != priority {
                (priority, placing.duplicates) = (described.priority, 0);
            }
            let Some(labels) = described.labels() else { continue };
            for selector in &config.selectors {
                placing.select(selector, labels, described.place());
            }
        }
        if placing.left == 0 {
            tracing::warn!("hosts are in more than {MAX_PLACES} subsets: some are left out");
        }
        placing
    }

    fn select(
        &mut self,
        selector: &SubsetSelector,
        labels: &'h Map<String, Value>,
        place: (usize, &'h Arc<Host>),
    ) {
        let found = selector.keys.iter().map(|key| labels.get_key_value(key.as_str()));
        let Some(found) = found.collect::<Option<Vec<_>>>() else { return };
        let criteria: Vec<(&str, &[Value])> =
            found.into_iter().map(|(name, value)| (name.as_str(), self.variants(value))).collect();
        // As in Envoy a list without elements undoes the keys before it.
        let begin = criteria.iter().rposition(|(_, values)| values.is_empty()).map_or(0, |empty| empty + 1);
        if let Some(criteria) = criteria.get(begin..).filter(|criteria| !criteria.is_empty()) {
            let mut filling = Filling {
                single: selector.single_host_per_subset,
                place,
                left: &mut self.left,
                duplicates: &mut self.duplicates,
            };
            filling.fill(&mut self.root, criteria);
        }
    }

    /// The values for which a host counts that has this one.
    fn variants(&self, value: &'h Value) -> &'h [Value] {
        match value {
            Value::Array(list) if self.list_as_any => list,
            value => std::slice::from_ref(value),
        }
    }
}

/// Puts one host into the subsets of one selector.
struct Filling<'p, 'h> {
    single: bool,
    place: (usize, &'h Arc<Host>),
    left: &'p mut u32,
    duplicates: &'p mut u64,
}

impl<'h> Filling<'_, 'h> {
    /// Into all that the criteria lead to from here.
    fn fill(&mut self, draft: &mut Draft<'h>, criteria: &[(&'h str, &'h [Value])]) {
        let Some(((name, values), rest)) = criteria.split_first() else {
            return self.put(draft);
        };
        for value in *values {
            if *self.left == 0 {
                return;
            }
            self.fill(draft.children.entry(name).or_default().entry(value).or_default(), rest);
        }
    }

    fn put(&mut self, draft: &mut Draft<'h>) {
        *self.left -= 1;
        let (priority, host) = self.place;
        if draft.hosts.is_empty() {
            draft.single = self.single;
        }
        let last = draft.hosts.last().filter(|(of, _)| *of == priority);
        match last {
            Some(_) if draft.single => *self.duplicates += 1,
            // A list may have an element twice, and selectors may have the same keys.
            Some((_, last)) if Arc::ptr_eq(last, host) => {}
            _ => draft.hosts.push((priority, host)),
        }
    }
}
