//! VHDS: virtual hosts by their source and the route table that they belong to.
//!
//! A resource's name is that of its table, a slash, and a name. All that a source has is subscribed to while a table
//! refers to it, and besides the names that requests ask for (`Asked`). What came is kept as bytes: a virtual host
//! is read as a part of its table.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::asked::Asked;
use super::routes::TableId;
use crate::config::source::{ConfigSource, SourceKind};
use crate::xds::{Response, name_within};

/// The message of each.
const VIRTUAL_HOST: &str = "envoy.config.route.v3.VirtualHost";

/// Bytes of a name beyond which it is not asked for: no host is as long.
const MAX_NAME_BYTES: usize = 1024;

/// The virtual hosts of a table by their own names.
pub type Hosts = BTreeMap<String, Host>;

/// A virtual host as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The resource's name.
    pub resource: String,
    /// The message, encoded.
    pub value: Bytes,
}

/// All sources of virtual hosts.
#[derive(Debug, Default)]
pub struct VirtualHosts {
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    config: ConfigSource,
    /// The tables that refer to it.
    tables: BTreeSet<TableId>,
    /// By the table's name, whoever refers to it.
    hosts: BTreeMap<String, Hosts>,
    asked: Asked,
    subscribed: bool,
    /// Whether no table waits for it any more: something came, or its time is up.
    settled: bool,
}

/// What to do about a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Ask for all that it has, and for these names.
    Ask(BTreeSet<String>),
    /// Ask for nothing any more.
    Unsubscribe,
}

impl VirtualHosts {
    /// The source of this index.
    pub fn source(&self, index: usize) -> &ConfigSource {
        &self.sources[index].config
    }

    /// The tables that refer to this source.
    pub fn tables(&self, index: usize) -> Vec<TableId> {
        self.sources[index].tables.iter().cloned().collect()
    }

    /// What came for tables of this name.
    pub fn of(&self, index: usize, table: &str) -> Hosts {
        self.sources[index].hosts.get(table).cloned().unwrap_or_default()
    }

    /// Whether a table need not wait for this source.
    pub fn is_settled(&self, index: usize) -> bool {
        self.sources[index].settled
    }

    /// No table waits for this source any more.
    pub fn settle(&mut self, index: usize) {
        self.sources[index].settled = true;
    }

    /// A table refers to this source, and to no other. What another had for it stays until this one says more.
    pub fn refer(&mut self, table: &TableId, config: &ConfigSource) -> usize {
        let index = self.index(config);
        if !self.sources[index].tables.contains(table) {
            let before = self.sources.iter().find(|source| source.tables.contains(table));
            let kept = before.and_then(|source| source.hosts.get(&table.name)).cloned();
            self.release(table);
            let source = &mut self.sources[index];
            if let Some(kept) = kept {
                source.hosts.entry(table.name.clone()).or_insert(kept);
            }
            source.tables.insert(table.clone());
        }
        index
    }

    /// A table refers to no source any more.
    pub fn release(&mut self, table: &TableId) {
        for source in &mut self.sources {
            let is_last =
                source.tables.remove(table) && source.tables.iter().all(|other| other.name != table.name);
            if is_last {
                source.asked.forget(|name| namespace(name) == table.name);
            }
        }
    }

    /// The index of this source.
    pub fn known(&self, from: &SourceKind) -> Option<usize> {
        self.sources.iter().position(|source| source.config.from == *from)
    }

    fn index(&mut self, config: &ConfigSource) -> usize {
        self.known(&config.from).unwrap_or_else(|| {
            self.sources.push(Source {
                config: config.clone(),
                tables: BTreeSet::new(),
                hosts: BTreeMap::new(),
                asked: Asked::default(),
                subscribed: false,
                settled: false,
            });
            self.sources.len() - 1
        })
    }

    /// A request asks for the virtual host of this name, of a table that refers to this source. False when the answer
    /// was known.
    pub fn ask(&mut self, index: usize, name: &str, answer: oneshot::Sender<()>) -> bool {
        name.len() <= MAX_NAME_BYTES && self.sources[index].asked.ask(name, answer)
    }

    /// What is to be asked for otherwise than at the last call.
    pub fn take_wishes(&mut self) -> Vec<(usize, Wish)> {
        let wishes = self.sources.iter_mut().enumerate();
        wishes.filter_map(|(index, source)| Some((index, source.take_wish()?))).collect()
    }

    /// What the tables' virtual hosts become with a response: those of the tables that it speaks of.
    pub fn with(&self, index: usize, response: &Response) -> BTreeMap<String, Hosts> {
        let mut changed: BTreeMap<String, Hosts> = BTreeMap::new();
        let bodies = response.resources.iter().map(|resource| &resource.name);
        for name in bodies.chain(&response.removed).chain(&response.kept).chain(&response.aliases) {
            let table = namespace(name);
            if !changed.contains_key(table) {
                changed.insert(table.to_owned(), self.of(index, table));
            }
        }
        let of_response: BTreeSet<&str> = response.resources.iter().map(|resource| &*resource.name).collect();
        let gone: BTreeSet<&str> = response.removed.iter().map(String::as_str).collect();
        for hosts in changed.values_mut() {
            hosts.retain(|own, host| {
                let resource = host.resource.as_str();
                !gone.contains(own.as_str()) && !gone.contains(resource) && !of_response.contains(resource)
            });
        }
        for resource in &response.resources {
            let own = name_within(VIRTUAL_HOST, &resource.value).unwrap_or_default();
            let host = Host { resource: resource.name.clone(), value: resource.value.clone() };
            changed.entry(namespace(&resource.name).to_owned()).or_default().insert(own, host);
        }
        changed
    }

    /// A response counts. Who waits for what it answers is told by dropping what comes back.
    pub fn take(
        &mut self,
        index: usize,
        changed: BTreeMap<String, Hosts>,
        response: &Response,
    ) -> Vec<oneshot::Sender<()>> {
        let source = &mut self.sources[index];
        source.hosts.extend(changed);
        source.hosts.retain(|_, hosts| !hosts.is_empty());
        source.settled = true;
        let there = response.resources.iter().map(|resource| (&resource.name, true));
        let bodies: BTreeSet<&str> = response.resources.iter().map(|resource| &*resource.name).collect();
        let others = response.kept.iter().chain(&response.aliases).chain(&response.removed);
        let nothing = others.filter(|name| !bodies.contains(&***name));
        let answers = there.chain(nothing.map(|name| (name, false)));
        answers.flat_map(|(name, there)| source.asked.answered(name, there)).collect()
    }
}

impl Source {
    fn take_wish(&mut self) -> Option<Wish> {
        let own_stream = self.config.from != SourceKind::Ads;
        if self.tables.is_empty() && self.subscribed && own_stream {
            self.hosts.clear();
            self.asked = Asked::default();
            (self.subscribed, self.settled) = (false, false);
            return Some(Wish::Unsubscribe);
        }
        let names = self.asked.take_changed();
        let begins = !self.subscribed && !self.tables.is_empty();
        self.subscribed |= begins;
        match begins {
            true => Some(Wish::Ask(names.unwrap_or_default())),
            false => names.map(Wish::Ask),
        }
    }
}

/// The table that a resource of this name belongs to.
fn namespace(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(table, _)| table)
}
