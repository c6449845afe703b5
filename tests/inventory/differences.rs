//! What is allowed to differ, and whether anything else does.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use super::Inventory;

/// The lists of `differences.yaml`: names, in which `*` stands for anything, and reasons.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Differences {
    /// What Envoy has and dragoman has not.
    absent: Vec<Entry>,
    /// What dragoman has and Envoy has not.
    extra: Vec<Entry>,
    /// What both have, with values of their own.
    values: Vec<Entry>,
    /// Entries of `absent` and `extra` that met something.
    #[serde(skip)]
    met: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[allow(dead_code, reason = "for the reader of the file")]
    why: String,
}

impl Differences {
    pub(crate) fn read(path: &Path) -> Self {
        serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// What differs between Envoy's statistics and ours and is on no list.
    pub(crate) fn judge(&mut self, scenario: &str, envoy: &Inventory, ours: &Inventory) -> Vec<String> {
        let mut problems = Vec::new();
        for name in envoy.keys().filter(|name| !ours.contains_key(*name)) {
            if !meets(&self.absent, name, &mut self.met) {
                problems.push(format!("{scenario}: only Envoy has {name}"));
            }
        }
        for name in ours.keys().filter(|name| !envoy.contains_key(*name)) {
            if !meets(&self.extra, name, &mut self.met) {
                problems.push(format!("{scenario}: only dragoman has {name}"));
            }
        }
        for (name, value) in envoy {
            let Some(own) = ours.get(name).filter(|own| *own != value) else { continue };
            if !meets(&self.values, name, &mut BTreeSet::new()) {
                problems.push(format!("{scenario}: {name} is {value} in Envoy, {own} in dragoman"));
            }
        }
        for entry in &self.absent {
            if let Some(name) = ours.keys().find(|name| matches(&entry.name, name)) {
                problems.push(format!("{scenario}: {name} is there now: remove absent {:?}", entry.name));
            }
        }
        problems
    }

    /// The same without the values that are not compared.
    pub(crate) fn masked(&self, mut inventory: Inventory) -> Inventory {
        for (name, value) in &mut inventory {
            if meets(&self.values, name, &mut BTreeSet::new()) {
                "-".clone_into(value);
            }
        }
        inventory
    }

    /// Entries that no scenario needs.
    pub(crate) fn met_nothing(&self) -> Vec<String> {
        let all = self.absent.iter().chain(&self.extra).map(|entry| &entry.name);
        let idle = all.filter(|name| !self.met.contains(*name));
        idle.map(|name| format!("differences.yaml: {name:?} meets nothing: remove it")).collect()
    }
}

/// Names that are recorded and not there, or there and not recorded.
pub(crate) fn stale(scenario: &str, recorded: &Inventory, shown: &Inventory) -> Vec<String> {
    let only = |these: &Inventory, others: &Inventory, what: &str| -> Vec<String> {
        let names = these.keys().filter(|name| !others.contains_key(*name));
        names.map(|name| format!("{scenario}: {name} {what}: record anew")).collect()
    };
    [only(recorded, shown, "is recorded, and Envoy has it not"), only(shown, recorded, "is not recorded")]
        .concat()
}

/// Whether a statistic changes by being looked at, or with time.
pub(crate) fn changes_by_itself(name: &str) -> bool {
    ["http.admin.", "listener.admin.", "server."].iter().any(|start| name.starts_with(start))
}

fn meets(entries: &[Entry], name: &str, met: &mut BTreeSet<String>) -> bool {
    let found: Vec<_> = entries.iter().filter(|entry| matches(&entry.name, name)).collect();
    met.extend(found.iter().map(|entry| entry.name.clone()));
    !found.is_empty()
}

/// Whether `name` is what `pattern` says, with anything for its `*`.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(left) = name.strip_prefix(start) else { return false };
    rest.is_empty() || (0..=left.len()).any(|at| left.is_char_boundary(at) && matches(rest, &left[at..]))
}

#[test]
fn a_star_stands_for_anything() {
    assert!(matches("a.*.c", "a.b.b.c") && matches("a*", "a") && matches("*b", "ab"));
    assert!(!matches("a.*.c", "a.c") && !matches("a", "ab"));
}
