//! From a response of xDS to values. What did not change is not looked at; what is much is parsed on a blocking
//! thread, so that the control thread goes on answering.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::resources::Record;
use super::verdict::Problem;
use crate::config::extension::Extensions;
use crate::config::field::{Error, ErrorKind, Note, Notes};
use crate::config::{self, LoadAssignment, RouteConfiguration};
use crate::route::Table;
use crate::xds;

/// Bytes of changed resources above which they are parsed on a blocking thread.
const INLINE_BYTES: usize = 16 * 1024;

/// A type of resource.
pub trait Kind: 'static {
    /// What its message becomes.
    type Value: Send + Sync + 'static;
    /// Full name of its message.
    const MESSAGE: &'static str;

    /// Reads the message.
    ///
    /// # Errors
    /// Every error of the resource.
    fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self::Value, Notes), Vec<Error>>;
}

impl Kind for config::Cluster {
    type Value = config::Cluster;
    const MESSAGE: &'static str = "envoy.config.cluster.v3.Cluster";

    fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<Error>> {
        config::Cluster::parse(bytes, extensions)
    }
}

impl Kind for LoadAssignment {
    type Value = LoadAssignment;
    const MESSAGE: &'static str = "envoy.config.endpoint.v3.ClusterLoadAssignment";

    fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<Error>> {
        LoadAssignment::parse(bytes, extensions)
    }
}

impl Kind for config::Listener {
    type Value = config::Listener;
    const MESSAGE: &'static str = "envoy.config.listener.v3.Listener";

    fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<Error>> {
        config::Listener::parse(bytes, extensions)
    }
}

impl Kind for Table {
    type Value = Table;
    const MESSAGE: &'static str = "envoy.config.route.v3.RouteConfiguration";

    /// The table is compiled here too: its indexes are most of the work.
    fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<Error>> {
        RouteConfiguration::parse(bytes, extensions)
            .map(|(configuration, notes)| (Table::new(Arc::new(configuration)), notes))
    }
}

/// How resources are read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The extensions that may be used.
    pub extensions: Extensions,
    /// Whether a field that the API does not have is an error (`--reject-unknown-dynamic-fields`).
    pub reject_unknown_fields: bool,
}

/// One resource of a response.
#[derive(Debug)]
pub struct Change<T> {
    /// Its name.
    pub name: String,
    /// The message as it came.
    pub record: Record,
    /// What it says.
    pub body: Body<T>,
}

/// What a resource says.
#[derive(Debug)]
pub enum Body<T> {
    /// What it said before, byte for byte.
    Same,
    /// Something else, perhaps.
    New(Arc<T>),
    /// Nothing that can be used.
    Bad(Vec<Error>),
}

/// A response that has been read.
#[derive(Debug)]
pub struct Push<T> {
    /// Version of the whole.
    pub version: String,
    /// Its resources.
    pub changes: Vec<Change<T>>,
    /// Names mentioned without a body: what is there of them stays.
    pub kept: Vec<String>,
    /// Names that are gone.
    pub removed: Vec<String>,
    /// Whether what is not mentioned is gone.
    pub full: bool,
    /// Fields found that the API does not have.
    pub unknown_fields: u64,
}

impl<T> Push<T> {
    /// The resources that cannot even be decoded: if there is one, nothing of the response counts.
    pub fn undecodable(&self) -> Vec<Problem> {
        let problem = |change: &Change<T>| match &change.body {
            Body::Bad(errors) if errors.iter().any(|error| error.kind == ErrorKind::Decode) => {
                Some(Problem::new(&change.name, errors))
            }
            Body::Bad(_) | Body::Same | Body::New(_) => None,
        };
        self.changes.iter().filter_map(problem).collect()
    }

    /// The names that are gone, of those `there`.
    pub fn gone<'a>(&self, there: impl Iterator<Item = &'a str>) -> Vec<String> {
        if !self.full {
            return self.removed.clone();
        }
        let changed = self.changes.iter().map(|change| change.name.as_str());
        let mentioned: std::collections::HashSet<&str> =
            changed.chain(self.kept.iter().map(String::as_str)).collect();
        there.filter(|name| !mentioned.contains(name)).map(str::to_owned).collect()
    }
}

/// Reads a response; `is_current` says whether a resource is known with these very bytes.
pub async fn read<K: Kind>(
    response: xds::Response,
    reading: Reading,
    now: SystemTime,
    is_current: impl Fn(&str, &[u8]) -> bool,
) -> Push<K::Value> {
    let xds::Response { version, resources, kept, removed, full, .. } = response;
    let (same, changed): (Vec<_>, Vec<_>) =
        resources.into_iter().partition(|resource| is_current(&resource.name, &resource.value));
    let mut push = Push { version, changes: Vec::new(), kept, removed, full, unknown_fields: 0 };
    let bytes: usize = changed.iter().map(|resource| resource.value.len()).sum();
    let parse = move || changed.into_iter().map(|resource| parse::<K>(resource, reading, now)).collect();
    let parsed: Vec<(Change<K::Value>, u64)> = if bytes <= INLINE_BYTES {
        parse()
    } else {
        match tokio::task::spawn_blocking(parse).await {
            Ok(parsed) => parsed,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    };
    push.changes = same.into_iter().map(|resource| same_as_before(resource, now)).collect();
    for (change, unknown_fields) in parsed {
        push.changes.push(change);
        push.unknown_fields += unknown_fields;
    }
    push
}

fn same_as_before<T>(resource: xds::Resource, now: SystemTime) -> Change<T> {
    let (name, record) = record(resource, now);
    Change { name, record, body: Body::Same }
}

/// Reads one resource, and counts the fields in it that the API does not have.
fn parse<K: Kind>(resource: xds::Resource, reading: Reading, now: SystemTime) -> (Change<K::Value>, u64) {
    let (name, mut record) = record(resource, now);
    let inspected = inspect(&record.value, K::MESSAGE, reading.reject_unknown_fields);
    let parsed = K::parse(&record.value, &reading.extensions);
    let (body, unknown_fields) = match (parsed, inspected) {
        (Ok((value, mut notes)), Ok(unknown)) => {
            let count = unknown.len() as u64;
            notes.extend(unknown);
            record.notes = notes;
            (Body::New(Arc::new(value)), count)
        }
        (Ok(_), Err(violations)) => (Body::Bad(violations), 0),
        (Err(errors), Ok(unknown)) => (Body::Bad(errors), unknown.len() as u64),
        (Err(errors), Err(violations)) => (Body::Bad(without_repeats(violations, errors)), 0),
    };
    (Change { name, record, body }, unknown_fields)
}

/// The resource's own copy of its bytes: a slice of the response would keep all of that in memory.
fn record(resource: xds::Resource, now: SystemTime) -> (String, Record) {
    let value = Bytes::copy_from_slice(&resource.value);
    let record = Record { version: resource.version, value, last_updated: now, notes: Notes::new() };
    (resource.name, record)
}

/// What decoding would not tell: the fields that the API does not have.
///
/// # Errors
/// Violated constraints; unknown fields too if they are to be rejected.
fn inspect(bytes: &[u8], message: &str, reject_unknown: bool) -> Result<Notes, Vec<Error>> {
    // Bytes that are no message are an error of the conversion.
    let Ok(findings) = dragoman_proto::inspect(bytes, message) else {
        return Ok(Notes::new());
    };
    let violated = |path, message| Error { path, message, kind: ErrorKind::Decode };
    let mut errors: Vec<Error> =
        findings.violations.into_iter().map(|found| violated(found.path, found.reason)).collect();
    let mut notes = Notes::new();
    for field in findings.unknown_fields {
        let text = format!("{} has no field {}", field.message, field.number);
        match reject_unknown {
            true => errors.push(violated(field.path, text)),
            false => notes.push(Note { path: field.path, message: text }),
        }
    }
    if errors.is_empty() { Ok(notes) } else { Err(errors) }
}

/// Both lists; of a field that both tell of only what the constraint asks for.
fn without_repeats(mut violations: Vec<Error>, errors: Vec<Error>) -> Vec<Error> {
    let fresh = |error: &Error| !violations.iter().any(|violation| violation.path == error.path);
    let rest: Vec<Error> = errors.into_iter().filter(fresh).collect();
    violations.extend(rest);
    violations
}
