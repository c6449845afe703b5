//! What is served: all resources of one moment, and what of them each node gets.
//!
//! **Invariant:** a snapshot never changes. A change makes another one, and a stream compares versions, so
//! it sees all of an update or nothing of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::resource::Resource;
use crate::version;

/// All resources of one type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collection {
    version: String,
    resources: BTreeMap<Arc<str>, Arc<Resource>>,
}

impl Collection {
    /// The hash of the names and versions of all resources.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The resource of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Resource>> {
        self.resources.get(name)
    }

    /// The resources in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.values()
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether there is no resource.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    fn insert(&mut self, resource: Arc<Resource>) -> Option<Arc<Resource>> {
        self.resources.insert(resource.name.clone(), resource)
    }

    fn seal(&mut self) {
        self.version = version_of(self.resources.values().map(|resource| &**resource));
    }
}

/// The version of a set of resources: the hash of their names and versions.
pub(crate) fn version_of<'a>(resources: impl Iterator<Item = &'a Resource>) -> String {
    version::of_parts(resources.flat_map(|one| [one.name.as_bytes(), one.version.as_bytes()]))
}

/// What one node is served.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    collections: BTreeMap<String, Arc<Collection>>,
}

impl Snapshot {
    /// A snapshot of these resources. Of two with the same type and name the later one counts.
    pub fn new(resources: impl IntoIterator<Item = Resource>) -> Self {
        Self::default().overlaid(resources.into_iter().map(Arc::new))
    }

    /// The resources of a type; an empty collection for a type that has none.
    pub fn collection(&self, type_url: &str) -> Arc<Collection> {
        self.collections.get(type_url).cloned().unwrap_or_default()
    }

    /// The resource of a type and name.
    pub fn get(&self, type_url: &str, name: &str) -> Option<&Arc<Resource>> {
        self.collections.get(type_url)?.get(name)
    }

    /// The types that have resources, with their collections.
    pub fn collections(&self) -> impl Iterator<Item = (&str, &Arc<Collection>)> {
        self.collections.iter().map(|(type_url, collection)| (type_url.as_str(), collection))
    }

    /// All resources.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.collections.values().flat_map(|collection| collection.iter())
    }

    /// This snapshot with more resources, which replace those of the same type and name.
    fn overlaid(mut self, resources: impl IntoIterator<Item = Arc<Resource>>) -> Self {
        let mut changed: BTreeMap<String, Collection> = BTreeMap::new();
        for resource in resources {
            let type_url = resource.type_url();
            if !changed.contains_key(type_url) {
                changed.insert(type_url.to_owned(), (*self.collection(type_url)).clone());
            }
            if let Some(collection) = changed.get_mut(type_url) {
                collection.insert(resource);
            }
        }
        for (type_url, mut collection) in changed {
            collection.seal();
            self.collections.insert(type_url, Arc::new(collection));
        }
        self
    }
}

/// For which nodes a resource is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    /// Every node.
    #[default]
    All,
    /// The nodes of this `node.cluster`; before those for all.
    Cluster(String),
    /// The node with this `node.id`; before all others.
    Node(String),
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all nodes"),
            Self::Cluster(name) => write!(f, "cluster {name:?}"),
            Self::Node(id) => write!(f, "node {id:?}"),
        }
    }
}

/// Everything that is served: resources for all nodes, and those that some nodes get instead or besides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    common: Snapshot,
    overrides: BTreeMap<Audience, Vec<Arc<Resource>>>,
}

impl Catalog {
    /// A catalog of resources with their audiences. Of two with the same audience, type and name the later counts.
    pub fn new(resources: impl IntoIterator<Item = (Audience, Resource)>) -> Self {
        Self::default().with(resources)
    }

    /// This catalog with more resources, which replace those of the same audience, type and name.
    pub fn with(self, resources: impl IntoIterator<Item = (Audience, Resource)>) -> Self {
        let Self { mut common, mut overrides } = self;
        for (audience, more) in by_audience(resources) {
            match audience {
                Audience::All => common = common.overlaid(more),
                audience => overrides.entry(audience).or_default().extend(more),
            }
        }
        Self { common, overrides }
    }

    /// What a node gets: the resources for all, over them those for its cluster, over them its own.
    pub fn for_node(&self, id: &str, cluster: &str) -> Snapshot {
        let mut snapshot = self.common.clone();
        for audience in [Audience::Cluster(cluster.to_owned()), Audience::Node(id.to_owned())] {
            if let Some(resources) = self.overrides.get(&audience) {
                snapshot = snapshot.overlaid(resources.iter().cloned());
            }
        }
        snapshot
    }

    /// How many resources there are, overrides included.
    pub fn len(&self) -> usize {
        self.common.iter().count() + self.overrides.values().map(Vec::len).sum::<usize>()
    }

    /// Whether there is no resource.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a node gets that nothing was written for.
    pub fn common(&self) -> &Snapshot {
        &self.common
    }

    /// The audiences that have resources of their own, with these resources.
    pub fn overrides(&self) -> impl Iterator<Item = (&Audience, &[Arc<Resource>])> {
        self.overrides.iter().map(|(audience, resources)| (audience, resources.as_slice()))
    }

    /// The common resources with those for one audience over them.
    pub(crate) fn overlaid_for(&self, audience: &Audience) -> Snapshot {
        let own = self.overrides.get(audience).into_iter().flatten().cloned();
        self.common.clone().overlaid(own)
    }
}

fn by_audience(
    resources: impl IntoIterator<Item = (Audience, Resource)>,
) -> BTreeMap<Audience, Vec<Arc<Resource>>> {
    let mut by_audience: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (audience, resource) in resources {
        by_audience.entry(audience).or_default().push(Arc::new(resource));
    }
    by_audience
}

impl From<Snapshot> for Catalog {
    fn from(common: Snapshot) -> Self {
        Self { common, overrides: BTreeMap::new() }
    }
}

impl FromIterator<Resource> for Catalog {
    fn from_iter<I: IntoIterator<Item = Resource>>(resources: I) -> Self {
        Snapshot::new(resources).into()
    }
}

impl<const N: usize> From<[Resource; N]> for Catalog {
    fn from(resources: [Resource; N]) -> Self {
        resources.into_iter().collect()
    }
}

impl From<Vec<Resource>> for Catalog {
    fn from(resources: Vec<Resource>) -> Self {
        resources.into_iter().collect()
    }
}

/// A reason for which a catalog cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(.file, .line, .column))]
pub struct Problem {
    /// The file in which it is; `None` for what was not read from files.
    pub file: Option<PathBuf>,
    /// The line from 1; 0 where only the file is known.
    pub line: usize,
    /// The column from 1; 0 where only the line is known.
    pub column: usize,
    /// What is wrong, and what would be accepted.
    pub message: String,
}

fn place(file: &Option<PathBuf>, line: &usize, column: &usize) -> String {
    match (file, line, column) {
        (None, 0, _) => String::new(),
        (None, line, column) => format!("{line}:{column}: "),
        (Some(file), 0, _) => format!("{}: ", file.display()),
        (Some(file), line, 0) => format!("{}:{line}: ", file.display()),
        (Some(file), line, column) => format!("{}:{line}:{column}: ", file.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::CLUSTER;
    use crate::testing::cluster;

    fn version(snapshot: &Snapshot, name: &str) -> Option<String> {
        snapshot.get(CLUSTER, name).map(|resource| resource.version.clone())
    }

    #[test]
    fn the_collection_version_is_that_of_its_content() {
        let one = Snapshot::new([cluster("a", 1), cluster("b", 1)]);
        let same = Snapshot::new([cluster("b", 1), cluster("a", 1)]);
        let other = Snapshot::new([cluster("a", 1), cluster("b", 2)]);
        assert_eq!(one.collection(CLUSTER).version(), same.collection(CLUSTER).version());
        assert_ne!(one.collection(CLUSTER).version(), other.collection(CLUSTER).version());
    }

    #[test]
    fn the_node_goes_before_its_cluster_and_that_before_all() {
        let catalog = Catalog::new([
            (Audience::Node("n".into()), cluster("a", 3)),
            (Audience::Cluster("c".into()), cluster("a", 2)),
            (Audience::Cluster("c".into()), cluster("b", 2)),
            (Audience::All, cluster("a", 1)),
        ]);
        let seen = |id, of| {
            let snapshot = catalog.for_node(id, of);
            (version(&snapshot, "a"), version(&snapshot, "b"))
        };
        let expected = |revision| Some(cluster("a", revision).version);
        let b = Some(cluster("b", 2).version);
        assert_eq!(seen("n", "c"), (expected(3), b.clone()));
        assert_eq!(seen("m", "c"), (expected(2), b));
        assert_eq!(seen("m", "d"), (expected(1), None));
    }
}
