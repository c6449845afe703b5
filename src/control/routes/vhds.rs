//! Tables of which virtual hosts come over VHDS.
//!
//! Such a table is in force as what RDS and VHDS say together, and is read as one message: a virtual host takes
//! settings from its table, and a domain may stand only once in all of it. The first waits for its virtual hosts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prost::encoding::{WireType, encode_key, encode_varint};
use tokio::sync::oneshot;

use super::{Routes, TableId, Wanted};
use crate::config::field::{Error, Notes};
use crate::config::route::KnownClusters;
use crate::config::source::{ConfigSource, SourceKind};
use crate::control::push::Kind;
use crate::control::resources::Record;
use crate::control::subscriptions::Counted;
use crate::control::verdict::{Problem, rejection};
use crate::control::virtual_hosts::{Hosts, Wish};
use crate::observability::stats::Registry;
use crate::observability::stats::control_plane::VirtualHostStats;
use crate::route::Table;
use crate::xds::{Response, Verdict};

/// The number of `RouteConfiguration.virtual_hosts`.
const VIRTUAL_HOSTS: u32 = 2;

/// What NACKs call a virtual host.
const MESSAGE: &str = "envoy.config.route.v3.VirtualHost";

/// What came of a table over RDS.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) record: Record,
    table: Arc<Table>,
    /// Where its virtual hosts come from.
    from: ConfigSource,
    source: usize,
}

/// The statistics of virtual hosts, for one connection manager.
#[derive(Debug)]
pub(super) struct HostsCounted {
    counted: Counted,
    stats: VirtualHostStats,
}

/// A table as a response of VHDS makes it.
#[derive(Debug)]
pub struct Staged {
    table: String,
    hosts: Hosts,
    /// The messages that those tables of this name become which are wanted, and what each comes to.
    messages: Vec<(TableId, Vec<u8>, Read)>,
}

type Read = Result<(Table, Notes), Vec<Error>>;

impl Wanted {
    /// Makes the statistics of its virtual hosts for those who refer to it.
    pub(super) fn count_hosts(&mut self, name: &str, registry: &Registry) {
        let Some(base) = &self.base else {
            return;
        };
        for stat_prefix in self.counted.keys() {
            self.hosts_counted.entry(stat_prefix.clone()).or_insert_with(|| {
                let prefix = format!("http.{stat_prefix}.rds.vhds.{name}.");
                let counted = Counted::new(registry, &prefix, &base.from, false);
                HostsCounted { counted, stats: VirtualHostStats::new(registry, &prefix) }
            });
        }
    }
}

impl Routes {
    /// Takes a table that came over RDS.
    pub(super) fn take(
        &mut self,
        id: &TableId,
        table: Arc<Table>,
        record: Record,
        known: &KnownClusters<'_>,
    ) -> Option<Problem> {
        let Some(from) = table.configuration().vhds.clone() else {
            self.hosts.release(id);
            if let Some(wanted) = self.wanted.get_mut(id) {
                (wanted.base, wanted.hosts_counted) = (None, Default::default());
            }
            self.put_in_force(id, table, record);
            return None;
        };
        let source = self.hosts.refer(id, &from);
        let hosts = self.hosts.of(source, &id.name);
        let (message, read) = read(&record, &hosts, |bytes| self.parse(bytes, known));
        let merged = match read {
            Ok((merged, _)) => Arc::new(merged),
            Err(errors) => {
                // The table in force goes on with the source that it has.
                match self.base(id).map(|base| base.from.clone()) {
                    Some(from) => {
                        self.hosts.refer(id, &from);
                    }
                    None => self.hosts.release(id),
                }
                return Some(self.reject(id, errors, record));
            }
        };
        let waits = self.in_force(id).is_none() && !self.hosts.is_settled(source);
        if let Some(wanted) = self.wanted.get_mut(id) {
            wanted.base = Some(Base { record: record.clone(), table, from, source });
            wanted.count_hosts(&id.name, &self.registry);
        }
        let record = Record { value: message.into(), ..record };
        if waits {
            for counted in self.wanted.get(id).into_iter().flat_map(Wanted::counted) {
                counted.succeeded(&record.version, false, record.last_updated, Duration::ZERO);
            }
            self.sources[id.source].resources.warm(&id.name, record);
        } else {
            self.put_in_force(id, merged, record);
        }
        None
    }

    fn parse(&self, bytes: &[u8], known: &KnownClusters<'_>) -> Read {
        let read = Table::parse(bytes, &self.extensions);
        read.and_then(|(table, notes)| {
            let unknown = table.configuration().unknown_clusters(false, known);
            if unknown.is_empty() { Ok((table, notes)) } else { Err(unknown) }
        })
    }

    /// The source of virtual hosts of this index.
    pub fn hosts_source(&self, index: usize) -> &ConfigSource {
        self.hosts.source(index)
    }

    /// What is to be asked for of virtual hosts otherwise than at the last call.
    pub fn take_host_wishes(&mut self) -> Vec<(usize, Wish)> {
        self.hosts.take_wishes()
    }

    /// A request asks for the virtual host of a table whose virtual hosts come from this source. It is answered by dropping
    /// `answer`.
    pub fn ask_host(&mut self, source: &SourceKind, table: &str, host: &str, answer: oneshot::Sender<()>) {
        let Some(index) = self.hosts.known(source) else {
            return;
        };
        let is_wanted = self.with_hosts(index, table).next().is_some();
        if is_wanted && self.hosts.ask(index, &format!("{table}/{host}"), answer) {
            let counted = self.with_hosts(index, table).flat_map(|(_, wanted)| wanted.hosts_counted.values());
            counted.for_each(|hosts| hosts.counted.attempted());
        }
    }

    fn base(&self, id: &TableId) -> Option<&Base> {
        self.wanted.get(id)?.base.as_ref()
    }

    /// The tables of this name of which virtual hosts come from the source of this index.
    fn with_hosts(&self, index: usize, name: &str) -> impl Iterator<Item = (&TableId, &Wanted)> {
        let named = self.wanted.iter().filter(move |(id, _)| id.name == name);
        named.filter(move |(_, wanted)| wanted.base.as_ref().is_some_and(|base| base.source == index))
    }

    /// Reads what a response of VHDS makes of the tables that it speaks of.
    pub fn stage_hosts(&self, index: usize, response: &Response, known: &KnownClusters<'_>) -> Vec<Staged> {
        let stage = |(table, hosts): (String, Hosts)| {
            // That a host does not exist changes nothing, and requests can ask for any number of those.
            let same = hosts == self.hosts.of(index, &table);
            let changed =
                self.with_hosts(index, &table).filter(|(id, _)| !same || self.in_force(id).is_none());
            let message = |(id, wanted): (&TableId, &Wanted)| {
                let base = wanted.base.as_ref()?;
                let (bytes, read) = read(&base.record, &hosts, |bytes| self.parse(bytes, known));
                Some((id.clone(), bytes, read))
            };
            let messages = changed.filter_map(message).collect();
            Staged { table, hosts, messages }
        };
        self.hosts.with(index, response).into_iter().map(stage).collect()
    }

    /// Takes a response of VHDS, as a whole or not at all: the answer, and who waits for what it brought. They are told
    /// by dropping that.
    pub fn take_hosts(
        &mut self,
        index: usize,
        response: &Response,
        staged: Vec<Staged>,
    ) -> (Verdict, Vec<oneshot::Sender<()>>) {
        let problems: Vec<Problem> =
            staged.iter().flat_map(|staged| self.problems(staged, response)).collect();
        if !problems.is_empty() {
            self.hosts_rejected(index);
            return (rejection(&problems), Vec::new());
        }
        let mut changed = BTreeMap::new();
        for Staged { table, hosts, messages } in staged {
            self.count_hosts_taken(index, &table, &response.version);
            changed.insert(table, hosts);
            for (id, bytes, read) in messages {
                if let Ok((merged, notes)) = read {
                    self.merged(&id, Arc::new(merged), bytes, notes, &response.version);
                }
            }
        }
        let answered = self.hosts.take(index, changed, response);
        self.serve_waiting(index);
        (Verdict::Ack, answered)
    }

    fn count_hosts_taken(&self, index: usize, name: &str, version: &str) {
        let now = SystemTime::now();
        for hosts in self.with_hosts(index, name).flat_map(|(_, wanted)| wanted.hosts_counted.values()) {
            hosts.counted.succeeded(version, false, now, Duration::ZERO);
            hosts.stats.config_reload().inc();
        }
    }

    /// Puts a table in force as VHDS made it.
    fn merged(&mut self, id: &TableId, table: Arc<Table>, bytes: Vec<u8>, notes: Notes, version: &str) {
        let now = SystemTime::now();
        let record = Record { version: version.to_owned(), value: bytes.into(), last_updated: now, notes };
        self.replace(id, table, record);
    }

    fn replace(&mut self, id: &TableId, table: Arc<Table>, record: Record) {
        self.insert(id, table);
        if let Some(wanted) = self.wanted.get_mut(id) {
            wanted.settled = true;
            wanted.counted().for_each(|counted| counted.reloaded(record.last_updated));
        }
        self.note_in_force(id, record);
    }

    /// Puts the tables in force that waited for this source, with what there is of their virtual hosts.
    fn serve_waiting(&mut self, index: usize) {
        self.hosts.settle(index);
        for id in self.hosts.tables(index) {
            if let Some(base) = self.base(&id).filter(|_| self.in_force(&id).is_none()) {
                let (table, record) = (Arc::clone(&base.table), base.record.clone());
                self.replace(&id, table, record);
            }
        }
    }

    /// What is wrong with a table: with the virtual hosts that VHDS brought, as far as it can be said of one.
    fn problems(&self, staged: &Staged, response: &Response) -> Vec<Problem> {
        let Staged { table, hosts, messages } = staged;
        // The fault of a virtual host is one of each table of its name: it is told once.
        let bad = messages.iter().find_map(|(id, bytes, read)| Some((id, bytes, read.as_ref().err()?)));
        let Some((id, bytes, errors)) = bad else {
            return Vec::new();
        };
        let own = self.base(id).map_or(0, |base| base.table.configuration().virtual_hosts.len());
        let hosts: Vec<_> = hosts.values().collect();
        let mut by_host: BTreeMap<String, Vec<Error>> = BTreeMap::new();
        for error in errors {
            let place = of_host(&error.path).filter(|(number, _)| *number >= own);
            let place = place.and_then(|(number, path)| Some((hosts.get(number - own)?, path)));
            let (name, path) = match place {
                Some((host, path)) => (host.resource.clone(), path.to_owned()),
                None => (table.clone(), error.path.clone()),
            };
            by_host.entry(name).or_default().push(Error { path, ..error.clone() });
        }
        let problem = |(name, errors): (String, Vec<Error>)| {
            let host = hosts.iter().find(|host| host.resource == name);
            let record = Record {
                version: response.version.clone(),
                value: host.map_or_else(|| bytes.clone().into(), |host| host.value.clone()),
                last_updated: SystemTime::now(),
                notes: Notes::new(),
            };
            Problem::new(if host.is_some() { MESSAGE } else { Table::MESSAGE }, &name, errors, &record)
        };
        by_host.into_iter().map(problem).collect()
    }

    fn each_hosts_counted(&self, index: usize, count: impl Fn(&Counted)) {
        let tables = self.hosts.tables(index);
        let wanted = tables.iter().filter_map(|id| self.wanted.get(id));
        wanted.flat_map(|wanted| wanted.hosts_counted.values()).for_each(|hosts| count(&hosts.counted));
    }

    /// A response of VHDS was rejected as a whole: tables wait for it no longer.
    pub fn hosts_rejected(&mut self, index: usize) {
        self.each_hosts_counted(index, Counted::rejected);
        self.serve_waiting(index);
    }

    /// No virtual hosts came in time, or none can: tables wait for them no longer.
    pub fn give_up_hosts(&mut self, index: usize) {
        self.each_hosts_counted(index, Counted::timed_out);
        self.serve_waiting(index);
    }

    /// The stream of a source of virtual hosts was lost.
    pub fn hosts_disconnected(&self, index: usize) {
        self.each_hosts_counted(index, Counted::failed);
    }
}

/// A table with virtual hosts behind its own, as one message; and what that comes to.
fn read(base: &Record, hosts: &Hosts, parse: impl FnOnce(&[u8]) -> Read) -> (Vec<u8>, Read) {
    let mut bytes = base.value.to_vec();
    for host in hosts.values() {
        encode_key(VIRTUAL_HOSTS, WireType::LengthDelimited, &mut bytes);
        encode_varint(host.value.len() as u64, &mut bytes);
        bytes.extend_from_slice(&host.value);
    }
    let read = parse(&bytes);
    (bytes, read)
}

/// The number of the virtual host that a path leads into, and the rest of the path.
fn of_host(path: &str) -> Option<(usize, &str)> {
    let (number, rest) = path.strip_prefix("virtual_hosts[")?.split_once(']')?;
    Some((number.parse().ok()?, rest.strip_prefix('.').unwrap_or(rest)))
}
