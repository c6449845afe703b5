//! From a response of xDS to values. What did not change is not looked at; what is much is parsed on a blocking
//! thread, so that the control thread goes on answering.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use super::resources::Record;
use super::verdict::Problem;
use crate::config::discovered_config::DiscoveredConfig;
use crate::config::extension::Extensions;
use crate::config::field::{Error, ErrorKind, Notes};
use crate::config::listener::DiscoveredChain;
use crate::config::route::ScopedRoute;
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
    /// The field of the message that has the resource's name.
    const NAME_FIELD: &'static str = "name";

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
    const NAME_FIELD: &'static str = "cluster_name";

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

impl Kind for ScopedRoute {
    type Value = ScopedRoute;
    const MESSAGE: &'static str = "envoy.config.route.v3.ScopedRouteConfiguration";

    fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<Error>> {
        ScopedRoute::parse(bytes, extensions)
    }
}

impl Kind for DiscoveredConfig {
    type Value = DiscoveredConfig;
    const MESSAGE: &'static str = DiscoveredConfig::MESSAGE;

    fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<Error>> {
        DiscoveredConfig::parse(bytes, extensions)
    }
}

impl Kind for DiscoveredChain {
    type Value = DiscoveredChain;
    const MESSAGE: &'static str = DiscoveredChain::MESSAGE;

    fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<Error>> {
        DiscoveredChain::parse(bytes, extensions)
    }
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
    /// Full name of the resources' message.
    pub message: &'static str,
    /// Version of the whole.
    pub version: String,
    /// Its resources.
    pub changes: VecDeque<Change<T>>,
    /// Names mentioned without a body: what is there of them stays.
    pub kept: Vec<String>,
    /// Names that are gone.
    pub removed: Vec<String>,
    /// Whether what is not mentioned is gone.
    pub full: bool,
}

impl<T> Push<T> {
    /// The resources that cannot even be decoded: if there is one, nothing of the response counts.
    pub fn undecodable(&self) -> Vec<Problem> {
        let problem = |change: &Change<T>| match &change.body {
            Body::Bad(errors) if errors.iter().any(|error| error.kind == ErrorKind::Decode) => {
                Some(Problem::new(self.message, &change.name, errors.clone(), &change.record))
            }
            Body::Bad(_) | Body::Same | Body::New(_) => None,
        };
        self.changes.iter().filter_map(problem).collect()
    }

    /// Whether any resource says something else than before.
    pub fn has_new(&self) -> bool {
        self.changes.iter().any(|change| !matches!(change.body, Body::Same))
    }

    /// Takes the resources that cannot be used, and forgets the others.
    pub fn take_bad(&mut self) -> Vec<Change<T>> {
        let changes = std::mem::take(&mut self.changes);
        changes.into_iter().filter(|change| matches!(change.body, Body::Bad(_))).collect()
    }

    /// Takes some resources, the first first; `None` when all were taken.
    pub fn take_some(&mut self, count: usize) -> Option<Vec<Change<T>>> {
        let some: Vec<_> = self.changes.drain(..count.min(self.changes.len())).collect();
        (!some.is_empty()).then_some(some)
    }

    /// The names that are gone, of those `there`.
    pub fn gone<'a>(&self, there: impl Iterator<Item = &'a str>) -> Vec<String> {
        if !self.full {
            return self.removed.clone();
        }
        let changed = self.changes.iter().map(|change| change.name.as_str());
        let mentioned: HashSet<&str> = changed.chain(self.kept.iter().map(String::as_str)).collect();
        there.filter(|name| !mentioned.contains(name)).map(str::to_owned).collect()
    }
}

/// Reads a response; `is_current` says whether a resource is known with these very bytes.
pub async fn read<K: Kind>(
    response: xds::Response,
    extensions: Extensions,
    now: SystemTime,
    is_current: impl Fn(&str, &[u8]) -> bool,
) -> Push<K::Value> {
    let xds::Response { version, resources, kept, removed, full, .. } = response;
    let (same, changed): (Vec<_>, Vec<_>) =
        resources.into_iter().partition(|resource| is_current(&resource.name, &resource.value));
    let bytes: usize = changed.iter().map(|resource| resource.value.len()).sum();
    let parse = move || -> Vec<Change<K::Value>> {
        changed.into_iter().map(|resource| parse::<K>(resource, &extensions, now)).collect()
    };
    let parsed = match bytes {
        0..=INLINE_BYTES => parse(),
        _ => match tokio::task::spawn_blocking(parse).await {
            Ok(parsed) => parsed,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        },
    };
    let same = same.into_iter().map(|resource| same_as_before(resource, now));
    Push { message: K::MESSAGE, version, changes: same.chain(parsed).collect(), kept, removed, full }
}

fn same_as_before<T>(resource: xds::Resource, now: SystemTime) -> Change<T> {
    let (name, record) = record(resource, now);
    Change { name, record, body: Body::Same }
}

fn parse<K: Kind>(resource: xds::Resource, extensions: &Extensions, now: SystemTime) -> Change<K::Value> {
    let (name, mut record) = record(resource, now);
    if let Some(error) = misnamed::<K>(&name, &record.value) {
        return Change { name, record, body: Body::Bad(vec![error]) };
    }
    let body = match K::parse(&record.value, extensions) {
        Ok((value, notes)) => {
            record.notes = notes;
            Body::New(Arc::new(value))
        }
        Err(errors) => Body::Bad(errors),
    };
    Change { name, record, body }
}

/// What is wrong with a resource that comes under another name than its own: it would be in force under the one, and
/// removed, confirmed and asked for under the other.
fn misnamed<K: Kind>(name: &str, value: &[u8]) -> Option<Error> {
    // Bytes that are no message are the business of whoever parses them.
    let own = xds::name_within(K::MESSAGE, value).ok().filter(|own| !own.is_empty() && own != name)?;
    let message = format!("'{own}' is not the name '{name}' that the resource came under");
    Some(Error { path: K::NAME_FIELD.to_owned(), message, kind: ErrorKind::Apply })
}

/// The bytes are the resource's own, not a slice of the response, which would stay in memory with them.
fn record(resource: xds::Resource, now: SystemTime) -> (String, Record) {
    let xds::Resource { name, version, value } = resource;
    (name, Record { version, value, last_updated: now, notes: Notes::new() })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use envoy_types::pb::envoy::config::{cluster::v3::Cluster, endpoint::v3::ClusterLoadAssignment};
    use prost::Message;

    use super::*;

    fn errors<K: Kind>(name: &str, message: &impl Message) -> Vec<String> {
        let value = Bytes::from(message.encode_to_vec());
        let resource = xds::Resource { name: name.to_owned(), version: "1".to_owned(), value };
        match parse::<K>(resource, &Extensions::BUILT_IN, SystemTime::UNIX_EPOCH).body {
            Body::Bad(errors) => errors.iter().map(ToString::to_string).collect(),
            Body::Same | Body::New(_) => Vec::new(),
        }
    }

    #[test]
    fn a_resource_comes_under_its_own_name() {
        let cluster = Cluster { name: "b".to_owned(), ..Cluster::default() };
        assert_eq!(errors::<config::Cluster>("b", &cluster), [""; 0]);
        let expected = ["name: 'b' is not the name 'a' that the resource came under"];
        assert_eq!(errors::<config::Cluster>("a", &cluster), expected);
        let assignment = ClusterLoadAssignment { cluster_name: "b".to_owned(), ..Default::default() };
        let expected = ["cluster_name: 'b' is not the name 'a' that the resource came under"];
        assert_eq!(errors::<LoadAssignment>("a", &assignment), expected);
    }
}
