//! What the running proxy makes of the resources of a set: they go through the state machines of the control thread,
//! as if they came over xDS, and a bootstrap through what reads it at the start.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use dragoman::bootstrap::{self, Source};
use dragoman::config::bootstrap::NodeOverrides;
use dragoman::config::extension::ExtensionConfig;
use dragoman::config::extension_configs::ExtensionConfigs;
use dragoman::config::field::Notes;
use dragoman::config::route::KnownClusters;
use dragoman::config::source::{ConfigSource, SourceKind};
use dragoman::config::{Cluster, Listener, LoadAssignment};
use dragoman::control::clusters::Clusters;
use dragoman::control::listeners::{Listeners, Serve};
use dragoman::control::push::{Body, Change, Kind};
use dragoman::control::references::RouteReference;
use dragoman::control::resources::Record;
use dragoman::control::routes::Routes;
use dragoman::observability::stats::Registry;
use dragoman::route::Table;
use dragoman::server::run::EXTENSIONS;
use dragoman::upstream::Manager;
use dragoman_proto::{encode, tree};
use prost::Message as _;
use serde_json::Value;

use crate::cases::text_of;

/// The resources that are refused, as `check` names them; empty for the bootstrap.
pub(crate) fn refused(resources: &[Value]) -> BTreeSet<String> {
    let mut refused = BTreeSet::new();
    let mut say = |kind: &str, name: String| refused.insert(format!("{kind} \"{name}\""));
    let registry = Registry::new(0);
    let mut clusters = Clusters::new(Manager::new(registry.clone()), None);
    let clusters_are_here = resources.iter().any(is::<Cluster>);
    for problem in clusters.update(changes::<Cluster>(resources), Instant::now()) {
        say("cluster", problem.name);
    }
    // Whether any cluster wants them does not matter: what can be read is taken.
    for assignment in changes::<LoadAssignment>(resources) {
        if matches!(assignment.body, Body::Bad(_)) {
            say("load assignment", assignment.name);
        }
    }
    // What a management server has beside these is not known; when it has clusters here, they are all it has.
    let exists = |name: &str| !clusters_are_here || clusters.has(name);
    let known = KnownClusters::of(&exists);
    let mut listeners = Listeners::new(Willing, &registry);
    for listener in changes::<Listener>(resources) {
        if let Some(problem) = listeners.update(listener, &known) {
            say("listener", problem.name);
        }
    }
    let mut routes = Routes::new(registry, Duration::ZERO);
    routes.refer(&wanted(resources), Instant::now());
    for table in changes::<Table>(resources) {
        if let Some(problem) = routes.update(0, table, &known) {
            say("route configuration", problem.name);
        }
    }
    let mut bootstraps = resources.iter().filter(|resource| message(resource).ends_with(".Bootstrap"));
    if bootstraps.any(|bootstrap| !starts(bootstrap)) {
        refused.insert(String::new());
    }
    refused
}

/// Serves every listener: what the system would say of its address is not the question.
#[derive(Debug)]
struct Willing;

impl Serve for Willing {
    type Prepared = ();

    fn prepare(&mut self, _config: Arc<Listener>, _warming: Option<&()>) -> Result<(), String> {
        Ok(())
    }

    fn compose(&mut self, _config: Arc<Listener>, _warming: Option<&()>) -> Result<(), String> {
        Ok(())
    }

    fn serve(&mut self, (): ()) -> Result<(), String> {
        Ok(())
    }

    fn remove(&mut self, _name: &str) {}

    fn check(&self, _: &ExtensionConfig) -> Result<(), String> {
        Ok(())
    }

    fn configure(&mut self, _configs: &Arc<ExtensionConfigs>) {}

    fn workers(&self) -> u64 {
        1
    }
}

fn message(resource: &Value) -> String {
    text_of(&resource["@type"]).rsplit('/').next().unwrap_or_default().to_owned()
}

fn is<K: Kind>(resource: &Value) -> bool {
    message(resource) == K::MESSAGE
}

/// The resources of a type, as if they had just come.
fn changes<K: Kind>(resources: &[Value]) -> Vec<Change<K::Value>> {
    resources.iter().filter(|resource| is::<K>(resource)).map(change::<K>).collect()
}

fn change<K: Kind>(resource: &Value) -> Change<K::Value> {
    let document = tree::parse_json(&resource.to_string()).expect("JSON");
    let name = ["name", "clusterName"].map(|key| text_of(&resource[key])).concat();
    let options = encode::Options { unknown: encode::Unknown::Collect };
    // An `Any` of a type that the API does not have comes over xDS all the same; here it cannot be made.
    let encoded = encode(&document.root, "google.protobuf.Any", &options);
    let value = encoded.map(|any| prost_types::Any::decode(any.bytes.as_slice()).expect("an Any").value);
    let body = match value.as_ref().map(|value| K::parse(value, &EXTENSIONS)) {
        Ok(Ok((value, _))) => Body::New(Arc::new(value)),
        Ok(Err(errors)) => Body::Bad(errors),
        Err(_) => Body::Bad(Vec::new()),
    };
    let value = Bytes::from(value.unwrap_or_default());
    let record =
        Record { version: "1".to_owned(), value, last_updated: SystemTime::UNIX_EPOCH, notes: Notes::new() };
    Change { name, record, body }
}

/// References to every route table that is here: those that nobody asks for are not looked at.
fn wanted(resources: &[Value]) -> Vec<RouteReference> {
    let tables = resources.iter().filter(|resource| is::<Table>(resource));
    let source = ConfigSource { from: SourceKind::Ads, initial_fetch_timeout: Duration::ZERO };
    let reference = |table: &Value| RouteReference {
        name: text_of(&table["name"]),
        source: source.clone(),
        stat_prefix: String::new(),
    };
    tables.map(reference).collect()
}

/// Whether the proxy would start with a bootstrap.
fn starts(bootstrap: &Value) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bootstrap.json");
    let mut bootstrap = bootstrap.clone();
    if let Some(fields) = bootstrap.as_object_mut() {
        fields.remove("@type");
    }
    std::fs::write(&path, bootstrap.to_string()).expect("a file");
    let node = NodeOverrides { id: "node".into(), cluster: "cluster".into(), zone: String::new() };
    let source = Source { path: Some(&path), yaml: None, allow_unknown_fields: false, node };
    bootstrap::load(&source, &EXTENSIONS).is_ok()
}
