//! What of the configuration in force has no effect, as `/unsupported` shows it.

use crate::admin::{ResourceKind, Unsupported};
use crate::config::field::{Note, NoteKind};
use crate::control::resources::Resources;

use super::program::Running;

/// How many fields were noted as without effect.
pub(super) fn count_ignored(notes: &[Note]) -> u64 {
    notes.iter().filter(|note| note.kind == NoteKind::Ignored).count() as u64
}

/// Of the bootstrap, then of what came over xDS.
pub(super) fn of(program: &Running) -> Vec<Unsupported> {
    let state = program.state.borrow();
    let mut all: Vec<_> = without_effect(ResourceKind::Bootstrap, "", &program.notes).collect();
    for (kind, resources) in [
        (ResourceKind::Cluster, state.clusters.resources()),
        (ResourceKind::Listener, state.listeners.resources()),
    ] {
        all.extend(of_resources(kind, resources));
    }
    for resources in state.routes.resources() {
        all.extend(of_resources(ResourceKind::Route, resources));
    }
    for resources in state.extensions.resources() {
        all.extend(of_resources(ResourceKind::Extension, resources));
    }
    for (resources, _) in state.secrets.resources() {
        all.extend(of_resources(ResourceKind::Secret, resources));
    }
    all
}

fn of_resources(kind: ResourceKind, resources: &Resources) -> impl Iterator<Item = Unsupported> {
    resources.iter().flat_map(move |(name, states)| {
        let records = states.active.iter().chain(&states.warming);
        records.flat_map(move |record| without_effect(kind, name, &record.notes))
    })
}

/// What is deprecated has its effect.
fn without_effect(kind: ResourceKind, name: &str, notes: &[Note]) -> impl Iterator<Item = Unsupported> {
    let noted = notes.iter().filter(|note| note.kind != NoteKind::Deprecated);
    noted.map(move |Note { path, message, .. }| Unsupported {
        kind,
        name: name.to_owned(),
        path: path.clone(),
        reason: message.clone(),
    })
}
