//! ECDS: configurations of filters, by their source and name.
//!
//! A configuration is wanted while a filter of a listener refers to it. It has to suit all that do: one that does not is
//! refused, and the last good one stays. What is removed is replaced by each filter's default.

mod behind;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use super::numbered::Numbered;
use super::push::{Body, Change};
use super::references::ExtensionReference;
use super::resources::{Record, Resources};
use super::subscriptions::Counted;
use super::verdict::Problem;
use crate::config::discovered_config::DiscoveredConfig;
use crate::config::extension_configs::ExtensionConfigs;
use crate::config::extension_source::{ExtensionConfigSource, FilterKind};
use crate::config::field::Error;
use crate::config::source::ConfigSource;
use crate::observability::stats::Registry;
use crate::observability::stats::control_plane::ExtensionDiscoveryStats;
use crate::xds::FileContent;
use behind::refers;

/// All configurations of filters that come over ECDS.
#[derive(Debug)]
pub struct Extensions {
    registry: Registry,
    sources: Numbered<Source>,
    configs: Arc<ExtensionConfigs>,
    /// Whether there are other routers and connection managers than at the last look that refer to what comes elsewhere.
    refers_anew: bool,
}

#[derive(Debug)]
struct Source {
    config: ConfigSource,
    /// Those that are wanted, and those that were when the source was last asked: it does not send again what it sent.
    wanted: BTreeMap<String, Wanted>,
    /// Whether others are wanted than were asked for.
    changed: bool,
    resources: Resources,
}

/// A configuration that filters refer to, or did.
#[derive(Debug, Default)]
struct Wanted {
    /// Whether nobody waits for it any more: it came, or its time is up.
    settled: bool,
    config: Option<Arc<DiscoveredConfig>>,
    /// Those who refer to it.
    referring: Vec<Arc<ExtensionConfigSource>>,
    /// Those who did before.
    referred: Vec<Arc<ExtensionConfigSource>>,
    /// For each kind of filters.
    tallies: Vec<Tally>,
}

/// What is counted of a configuration.
#[derive(Debug)]
struct Tally {
    /// For which filters it is.
    kind: FilterKind,
    counted: Counted,
    stats: ExtensionDiscoveryStats,
}

impl Tally {
    fn new(registry: &Registry, name: &str, source: &ExtensionConfigSource) -> Self {
        let prefix = format!("extension_config_discovery.{}.{name}.", source.kind.statistics());
        Tally {
            kind: source.kind,
            counted: Counted::new(registry, &prefix, &source.source, false),
            stats: ExtensionDiscoveryStats::new(registry, &prefix),
        }
    }
}

impl Extensions {
    /// No configurations.
    pub fn new(registry: Registry) -> Self {
        Extensions { registry, sources: Numbered::default(), configs: Arc::default(), refers_anew: false }
    }

    /// The configurations in force.
    pub fn configs(&self) -> &Arc<ExtensionConfigs> {
        &self.configs
    }

    /// What came from each source.
    pub fn resources(&self) -> impl Iterator<Item = &Resources> {
        self.sources.iter().map(|source| &source.resources)
    }

    /// Nothing is wanted of a source, and it is not asked any more: what is known of it goes.
    pub(super) fn forget_source(&mut self, number: usize) {
        self.sources.remove(number);
        self.compile();
    }

    /// The source of this number.
    pub fn source(&self, index: usize) -> &ConfigSource {
        &self.sources[index].config
    }

    /// Whether `value` is what was last taken under this name.
    pub fn is_current(&self, index: usize, name: &str, value: &[u8]) -> bool {
        self.sources[index].resources.is_current(name, value)
    }

    /// Whether other routers refer to configurations than at the last call, or other connection managers to route tables.
    pub fn take_refers_anew(&mut self) -> bool {
        std::mem::take(&mut self.refers_anew)
    }

    /// Whether a listener that refers to this configuration need not wait for it, nor for what it refers to itself.
    pub fn is_settled(&self, reference: &ExtensionReference) -> bool {
        self.is_settled_itself(reference)
            && self.behind_one(reference).iter().all(|behind| self.is_settled_itself(behind))
    }

    fn is_settled_itself(&self, reference: &ExtensionReference) -> bool {
        let ExtensionReference { name, source } = reference;
        let known = self.sources.iter().find(|known| known.config.from == source.source.from);
        let wanted = known.and_then(|known| known.wanted.get(name));
        source.apply_default_config_without_warming || wanted.is_some_and(|wanted| wanted.settled)
    }

    /// From now on these references are all there are.
    pub fn refer(&mut self, references: &[ExtensionReference]) {
        self.sources.iter_mut().flat_map(|(_, source)| source.wanted.values_mut()).for_each(Wanted::forget);
        let mut is_new = false;
        for ExtensionReference { name, source } in references {
            let index = self.index(&source.source);
            let known = &mut self.sources[index];
            let wanted = known.wanted.entry(name.clone()).or_insert_with(|| {
                (known.changed, is_new) = (true, true);
                Wanted::default()
            });
            wanted.count_for(source, || Tally::new(&self.registry, name, source));
            wanted.refer(source);
        }
        for (_, source) in self.sources.iter_mut() {
            source.changed |= source.wanted.values().any(Wanted::is_gone);
        }
        if is_new {
            self.compile();
        }
    }

    fn index(&mut self, config: &ConfigSource) -> usize {
        let new = || Source {
            config: config.clone(),
            wanted: BTreeMap::new(),
            changed: false,
            resources: Resources::default(),
        };
        self.sources.find_or_insert(|source| source.config.from == config.from, new)
    }

    /// Sources from which others are wanted now than at the last call, and all that is wanted of each.
    pub fn take_changed(&mut self) -> Vec<(usize, BTreeSet<String>)> {
        let mut are_gone = false;
        let changed = self.sources.iter_mut().filter(|(_, source)| source.changed);
        let taken = changed.map(|(index, source)| {
            source.changed = false;
            for (name, _) in source.wanted.extract_if(.., |_, wanted| wanted.is_gone()) {
                are_gone = true;
                source.resources.remove(&name);
            }
            (index, source.wanted.keys().cloned().collect())
        });
        let taken = taken.collect();
        if are_gone {
            self.compile();
        }
        taken
    }

    /// Takes one configuration; what is wrong with it.
    pub fn update(&mut self, index: usize, change: Change<DiscoveredConfig>) -> Option<Problem> {
        let Change { name, record, body } = change;
        let source = &mut self.sources[index];
        let wanted = source.wanted.get_mut(&name)?;
        wanted.settled = true;
        let errors = match body {
            Body::Same => {
                source.resources.confirm(&name);
                wanted.succeeded(&record);
                return None;
            }
            Body::Bad(errors) => errors,
            Body::New(config) => {
                let unfit = wanted.unfit(&config);
                if unfit.is_empty() {
                    wanted.succeeded(&record);
                    if wanted.config.as_ref() != Some(&config) {
                        self.refers_anew |= wanted.refers() || refers(&config);
                        wanted.reloaded();
                        wanted.config = Some(config);
                    }
                    source.resources.warm(&name, record);
                    source.resources.activate(&name);
                    self.compile();
                    return None;
                }
                unfit
            }
        };
        wanted.rejected();
        let problem = Problem::new(DiscoveredConfig::MESSAGE, &name, errors, &record);
        source.resources.reject(&problem, record);
        Some(problem)
    }

    /// A file was read: for those who want something else of it there is nothing.
    pub fn miss(&mut self, index: usize, content: FileContent<'_>) {
        let missed = self.sources[index].wanted.iter_mut();
        for (name, wanted) in missed.filter(|(name, _)| content != FileContent::One(name)) {
            tracing::warn!(target: "config", name, ?content, "the file is not one with this configuration alone");
            wanted.settled = true;
            wanted.rejected();
        }
    }

    /// These are said not to be there, or no longer: each filter has its default, and no listener waits for more.
    pub fn remove(&mut self, index: usize, names: &[String]) {
        let source = &mut self.sources[index];
        for name in names {
            let Some(wanted) = source.wanted.get_mut(name) else { continue };
            source.resources.remove(name);
            wanted.settled = true;
            self.refers_anew |= wanted.refers();
            wanted.config = None;
            wanted.reloaded();
        }
        self.compile();
    }

    /// These did not come in time: listeners wait for them no longer.
    pub fn give_up(&mut self, index: usize, names: &[String]) {
        for name in names {
            if let Some(wanted) = self.sources[index].wanted.get_mut(name) {
                wanted.settled = true;
                for Tally { counted, stats, .. } in &wanted.tallies {
                    counted.timed_out();
                    stats.config_fail().inc();
                }
            }
        }
    }

    /// A response of a source was rejected as a whole: listeners wait for its configurations no longer.
    pub fn rejected(&mut self, index: usize) {
        for wanted in self.sources[index].wanted.values_mut() {
            wanted.settled = true;
            wanted.rejected();
        }
    }

    /// The stream of a source was lost.
    pub fn disconnected(&self, index: usize) {
        for wanted in self.sources[index].wanted.values() {
            wanted.tallies.iter().for_each(|tally| tally.counted.failed());
        }
    }

    fn compile(&mut self) {
        let sources = self.sources.iter().map(|source| {
            let configs = source.wanted.iter();
            let configs = configs.map(|(name, wanted)| (name.clone(), wanted.config.clone()));
            (source.config.from.clone(), configs.collect())
        });
        self.configs = Arc::new(ExtensionConfigs::new(sources.collect()));
    }
}

/// Whether a configuration suits a filter that refers to it.
///
/// # Errors
/// Why not.
fn suits(config: &DiscoveredConfig, source: &ExtensionConfigSource) -> Result<(), String> {
    source.check(config.of(source.kind)?)
}

impl Wanted {
    /// Whether what is in force refers to others.
    fn refers(&self) -> bool {
        self.config.as_deref().is_some_and(refers)
    }

    /// Counts for the kind of filters that this one is of.
    fn count_for(&mut self, source: &ExtensionConfigSource, tally: impl FnOnce() -> Tally) {
        if self.tallies.iter().all(|tally| tally.kind != source.kind) {
            self.tallies.push(tally());
        }
    }

    fn reloaded(&self) {
        self.tallies.iter().for_each(|tally| tally.stats.config_reload().inc());
    }

    /// Forgets who refers to it, until they are told again.
    fn forget(&mut self) {
        self.referred = std::mem::take(&mut self.referring);
    }

    /// Whether nobody refers to it any more.
    fn is_gone(&self) -> bool {
        self.referring.is_empty()
    }

    /// Takes note of a filter that refers to it, and counts one that is new and that what is there does not suit.
    fn refer(&mut self, source: &Arc<ExtensionConfigSource>) {
        if self.referring.contains(source) {
            return;
        }
        let is_new = !self.referred.contains(source);
        if is_new && self.config.as_ref().is_some_and(|config| suits(config, source).is_err()) {
            let same_kind = self.tallies.iter().filter(|tally| tally.kind == source.kind);
            same_kind.for_each(|tally| tally.stats.config_conflict().inc());
        }
        self.referring.push(Arc::clone(source));
    }

    /// Why a configuration does not suit all who refer to it.
    fn unfit(&self, config: &DiscoveredConfig) -> Vec<Error> {
        let problems = self.referring.iter().filter_map(|source| suits(config, source).err());
        problems.map(Error::of_resource).take(1).collect()
    }

    fn succeeded(&self, record: &Record) {
        let took = record.last_updated.elapsed().unwrap_or_default();
        for Tally { counted, .. } in &self.tallies {
            counted.succeeded(&record.version, false, SystemTime::now(), took);
        }
    }

    fn rejected(&self) {
        for Tally { counted, stats, .. } in &self.tallies {
            counted.rejected();
            stats.config_fail().inc();
        }
    }
}

#[cfg(test)]
mod tests;
