//! SDS: secrets, by their source and name.
//!
//! A secret is wanted while a context refers to it: [`Slot`]s say which. It has to suit all of them: one that does not is
//! refused, and the last good one stays in force. One that is removed stays too, but for handshakes that ask for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use tokio::sync::mpsc;

use super::numbered::Numbered;
use super::push::{Body, Change, Kind};
use super::resources::{Record, Resources};
use super::subscriptions::Counted;
use super::verdict::Problem;
use crate::config::extension::Extensions;
use crate::config::field::{Error, Notes};
use crate::config::source::ConfigSource;
use crate::config::tls::{Secret, SecretRef};
use crate::observability::stats::Registry;
use crate::observability::stats::control_plane::SecretStats;
use crate::transport::tls::Ask;
use crate::transport::tls::secrets::{self, Slot};
use crate::xds::FileContent;

/// All secrets that come over SDS.
#[derive(Debug)]
pub struct Secrets {
    registry: Registry,
    used: secrets::Secrets,
    /// What was used when that was last looked at.
    version: u64,
    sources: Numbered<Source>,
}

#[derive(Debug)]
struct Source {
    config: ConfigSource,
    wanted: BTreeMap<String, Wanted>,
    resources: Resources,
}

/// A secret that contexts refer to.
#[derive(Debug)]
struct Wanted {
    /// Its places: one for each purpose that it has.
    slots: Vec<Weak<Slot>>,
    /// The one in force.
    secret: Option<Arc<Secret>>,
    settled: bool,
    counted: Counted,
    stats: SecretStats,
}

/// A source from which others are wanted than before.
#[derive(Debug)]
pub struct Wish {
    /// Its number.
    pub source: usize,
    /// All that is wanted of it.
    pub names: BTreeSet<String>,
}

impl Secrets {
    /// Those that are `used` are asked for.
    pub fn new(registry: Registry, used: secrets::Secrets) -> Self {
        Secrets { registry, used, version: 0, sources: Numbered::default() }
    }

    /// What handshakes ask for.
    pub fn receive_asks(&self) -> mpsc::UnboundedReceiver<Ask> {
        self.used.receive_asks()
    }

    /// What came from each source, and which of it is wanted and has not come.
    pub fn resources(&self) -> impl Iterator<Item = (&Resources, impl Iterator<Item = &str>)> {
        self.sources.iter().map(|source| {
            let missing = source.wanted.iter().filter(|(_, wanted)| wanted.secret.is_none());
            (&source.resources, missing.map(|(name, _)| name.as_str()))
        })
    }

    /// The secret in force of this name from the source with these resources, as it is shown.
    pub fn secret(&self, resources: &Resources, name: &str) -> Option<&Arc<Secret>> {
        let source =
            self.sources.iter().find(|source| std::ptr::eq(&raw const source.resources, resources))?;
        source.wanted.get(name)?.secret.as_ref()
    }

    /// The source of this number.
    pub fn source(&self, number: usize) -> &ConfigSource {
        &self.sources[number].config
    }

    /// Whether `value` is what was last taken under this name.
    pub fn is_current(&self, number: usize, name: &str, value: &[u8]) -> bool {
        self.sources[number].resources.is_current(name, value)
    }

    /// Whether a listener need not wait for this secret.
    pub fn is_settled(&self, reference: &SecretRef) -> bool {
        let Some(config) = &reference.source else { return true };
        let known = self.sources.iter().find(|known| known.config.from == config.from);
        known.and_then(|known| known.wanted.get(&reference.name)).is_some_and(|wanted| wanted.settled)
    }

    /// Sources from which others are wanted now than at the last call.
    pub fn take_wishes(&mut self) -> Vec<Wish> {
        let version = self.used.version();
        if version == std::mem::replace(&mut self.version, version) {
            return Vec::new();
        }
        let before: BTreeMap<usize, BTreeSet<String>> =
            self.sources.numbered().map(|(number, source)| (number, source.names())).collect();
        self.sources.iter_mut().flat_map(|(_, source)| source.wanted.values_mut()).for_each(|wanted| {
            wanted.slots.clear();
        });
        for slot in self.used.slots() {
            self.want(&slot);
        }
        for (_, source) in self.sources.iter_mut() {
            for (name, _) in source.wanted.extract_if(.., |_, wanted| wanted.slots.is_empty()) {
                source.resources.remove(&name);
            }
        }
        let changed = self.sources.numbered().map(|(number, source)| (number, source.names()));
        let changed = changed.filter(|(number, names)| before.get(number) != Some(names));
        changed.map(|(source, names)| Wish { source, names }).collect()
    }

    /// Nothing is wanted of a source, and it is not asked any more.
    pub(super) fn forget_source(&mut self, number: usize) {
        self.sources.remove(number);
    }

    fn want(&mut self, slot: &Arc<Slot>) {
        let reference = slot.reference().clone();
        let Some(config) = &reference.source else { return };
        let number = self.number(config);
        let registry = &self.registry;
        let wanted = self.sources[number].wanted.entry(reference.name.clone());
        let wanted = wanted.or_insert_with(|| Wanted::new(registry, &reference.name, config));
        // Whoever comes later finds what is there, unless it does not suit.
        if !slot.is_settled() && wanted.settled {
            if let Some(secret) = &wanted.secret
                && let Err(problem) = slot.offer(secret)
            {
                tracing::warn!(target: "config", secret = reference.name, problem, "a secret does not suit");
            }
            slot.settle();
        }
        wanted.slots.push(Arc::downgrade(slot));
    }

    fn number(&mut self, config: &ConfigSource) -> usize {
        let new =
            || Source { config: config.clone(), wanted: BTreeMap::new(), resources: Resources::default() };
        self.sources.find_or_insert(|source| source.config.from == config.from, new)
    }

    /// Takes one secret; what is wrong with it.
    pub fn update(&mut self, number: usize, change: Change<Secret>) -> Option<Problem> {
        let Change { name, record, body } = change;
        let source = &mut self.sources[number];
        let wanted = source.wanted.get_mut(&name)?;
        let errors = match body {
            Body::Same => {
                source.resources.confirm(&name);
                wanted.succeeded(&record);
                return None;
            }
            Body::Bad(errors) => errors,
            Body::New(secret) => match wanted.take(&secret) {
                Ok(()) => {
                    wanted.succeeded(&record);
                    source.resources.warm(&name, record);
                    source.resources.activate(&name);
                    return None;
                }
                Err(problem) => vec![Error::of_resource(problem)],
            },
        };
        wanted.rejected();
        let problem = Problem::new(Secret::MESSAGE, &name, errors, &record);
        source.resources.reject(&problem, record);
        Some(problem)
    }

    /// A file was read: for those who want something else of it there is nothing.
    pub fn miss(&mut self, number: usize, content: FileContent<'_>) {
        let missed = self.sources[number].wanted.iter_mut();
        for (name, wanted) in missed.filter(|(name, _)| content != FileContent::One(name)) {
            tracing::warn!(target: "config", name, ?content, "the file is not one with this secret alone");
            wanted.rejected();
        }
    }

    /// These did not come in time: nobody waits for them any longer.
    pub fn give_up(&mut self, number: usize, names: &[String]) {
        for name in names {
            if let Some(wanted) = self.sources[number].wanted.get_mut(name)
                && !wanted.settled
            {
                wanted.settle();
                wanted.counted.timed_out();
            }
        }
    }

    /// A source has no secrets of these names any more. What is in force stays so, but for who asked for it in a handshake.
    pub fn remove(&self, number: usize, names: &[String]) {
        let gone = names.iter().filter_map(|name| self.sources.get(number)?.wanted.get(name));
        gone.flat_map(|wanted| &wanted.slots).filter_map(Weak::upgrade).for_each(|slot| slot.remove());
    }

    /// A response of a source was rejected as a whole: nobody waits for its secrets any longer.
    pub fn rejected(&mut self, number: usize) {
        self.sources[number].wanted.values_mut().for_each(Wanted::rejected);
    }

    /// The stream of a source was lost.
    pub fn disconnected(&self, number: usize) {
        for wanted in self.sources[number].wanted.values() {
            wanted.counted.failed();
        }
    }

    /// The directories in which something new means that a secret has to be read again, by source and name.
    pub fn watched(&self) -> impl Iterator<Item = (usize, &str, &Arc<Secret>)> {
        let all = self.sources.numbered().flat_map(|(number, source)| {
            source.wanted.iter().map(move |(name, wanted)| (number, name.as_str(), wanted))
        });
        all.filter_map(|(number, name, wanted)| Some((number, name, wanted.secret.as_ref()?)))
            .filter(|(_, _, secret)| !secret.watched.is_empty())
    }

    /// The message of a secret in force, as it came.
    pub fn message(&self, number: usize, name: &str) -> Option<Record> {
        self.sources.get(number)?.resources.find(name)?.active.clone()
    }

    /// The files of a secret were read again.
    pub fn reread(&mut self, number: usize, name: &str, read: Result<Arc<Secret>, String>) {
        let Some(wanted) = self.sources.get_mut(number).and_then(|source| source.wanted.get_mut(name)) else {
            return;
        };
        if read.as_ref().is_ok_and(|secret| wanted.secret.as_ref() == Some(secret)) {
            return;
        }
        if let Err(problem) = read.and_then(|secret| wanted.take(&secret)) {
            tracing::warn!(target: "config", secret = name, problem, "files of a secret cannot be used");
            wanted.stats.key_rotation_failed().inc();
        }
    }
}

impl Source {
    fn names(&self) -> BTreeSet<String> {
        self.wanted.keys().cloned().collect()
    }
}

impl Wanted {
    fn new(registry: &Registry, name: &str, source: &ConfigSource) -> Self {
        let prefix = format!("sds.{name}.");
        Wanted {
            slots: Vec::new(),
            secret: None,
            settled: false,
            counted: Counted::new(registry, &prefix, source, false),
            stats: SecretStats::new(registry, &prefix),
        }
    }

    /// Puts a secret in force for all who use it, or for none.
    fn take(&mut self, secret: &Arc<Secret>) -> Result<(), String> {
        // A secret has one purpose, so of several places it suits one at most.
        for slot in self.slots.iter().filter_map(Weak::upgrade) {
            slot.offer(secret)?;
        }
        self.secret = Some(Arc::clone(secret));
        Ok(())
    }

    fn settle(&mut self) {
        self.settled = true;
        self.slots.iter().filter_map(Weak::upgrade).for_each(|slot| slot.settle());
    }

    fn succeeded(&mut self, record: &Record) {
        self.settle();
        let took = record.last_updated.elapsed().unwrap_or_default();
        self.counted.succeeded(&record.version, false, SystemTime::now(), took);
    }

    fn rejected(&mut self) {
        self.settle();
        self.counted.rejected();
    }
}

impl Kind for Secret {
    type Value = Secret;
    const MESSAGE: &'static str = Secret::MESSAGE;

    fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<Error>> {
        Secret::parse(bytes, extensions)
    }
}

#[cfg(test)]
mod tests;
