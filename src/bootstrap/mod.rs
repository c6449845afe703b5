//! From the files and texts of the command line to the [`Bootstrap`] in use.
//!
//! A file is YAML, JSON, text or binary by its extension, as in Envoy: `.yaml`, `.yml`, `.pb_text`, `.pb`, and JSON
//! otherwise. What `--config-yaml` says is merged over it as protobuf merges: fields are replaced, lists are
//! appended to. Every problem is told at once, each with its file, line and column as far as there are any.

mod document;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use dragoman_proto::Diagnostic;
use dragoman_proto::tree::{self, Position};

use crate::config::bootstrap::{Bootstrap, NodeOverrides};
use crate::config::extension::Extensions;
use crate::config::field::{NoteKind, Notes};
use document::Document;

/// What to load.
#[derive(Clone, Debug, Default)]
pub struct Source<'a> {
    /// `--config-path`
    pub path: Option<&'a Path>,
    /// `--config-yaml`
    pub yaml: Option<&'a str>,
    /// Whether fields that the API does not have are left out and told as warnings; else they are errors.
    pub allow_unknown_fields: bool,
    /// What the command line says of the node.
    pub node: NodeOverrides,
}

/// A bootstrap that can be put in force.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The bootstrap.
    pub bootstrap: Bootstrap,
    /// Fields without effect.
    pub notes: Notes,
    /// Unknown and deprecated fields, keys that stand twice.
    pub warnings: Vec<Problem>,
    /// What Envoy counts as unknown fields: one for a document in text that has any, and each in encoded messages.
    pub unknown_fields: u64,
}

/// One thing wrong with a bootstrap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, or `--config-yaml`; empty where it is about none.
    pub document: String,
    /// Where in the document, and what. Line and column are zero where there are none.
    pub diagnostic: Diagnostic,
}

/// `envoy.yaml:12:5: static_resources.clusters[0].name: value is required`, less what is not known.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.document.is_empty() {
            let separator = if self.diagnostic.line == 0 { ": " } else { ":" };
            write!(f, "{}{separator}", self.document)?;
        }
        self.diagnostic.fmt(f)
    }
}

impl std::error::Error for Problem {}

impl Problem {
    /// Whether this is about a deprecated field or value, as the encoder of documents says it.
    pub fn is_deprecation(&self) -> bool {
        self.diagnostic.message.starts_with("deprecated ")
    }

    /// Whether this is about a field that the API does not have, as the encoder of documents says it.
    fn is_unknown_field(&self) -> bool {
        self.diagnostic.message.contains(" has no field ")
    }

    /// A problem that is about no document.
    fn of_none(message: String) -> Self {
        let diagnostic = Diagnostic { path: String::new(), line: 0, column: 0, message };
        Problem { document: String::new(), diagnostic }
    }
}

/// Reads, merges and checks a bootstrap.
///
/// # Errors
/// Everything that is wrong: what cannot be read, or what is no bootstrap, or what cannot be put in force.
pub fn load(source: &Source<'_>, extensions: &Extensions) -> Result<Loaded, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut documents = Vec::new();
    for document in
        [source.path.map(document::from_file), source.yaml.map(document::from_yaml)].into_iter().flatten()
    {
        match document.and_then(|document| document.encode(source.allow_unknown_fields)) {
            Ok(document) => documents.push(document),
            Err(more) => problems.extend(more),
        }
    }
    if source.path.is_none() && source.yaml.is_none() {
        problems.push(Problem::of_none(
            "At least one of --config-path or --config-yaml should be non-empty".to_owned(),
        ));
    }
    if problems.is_empty() { read(source, &documents, extensions) } else { Err(problems) }
}

/// The bootstrap that the documents make together.
fn read(
    source: &Source<'_>,
    documents: &[Document],
    extensions: &Extensions,
) -> Result<Loaded, Vec<Problem>> {
    // One encoding after the other is how protobuf merges two messages.
    let bytes: Vec<u8> = documents.iter().flat_map(|document| document.bytes.iter().copied()).collect();
    let extensions = Extensions { reject_unknown_fields: !source.allow_unknown_fields, ..extensions.clone() };
    match Bootstrap::parse(&bytes, &source.node, &extensions) {
        Ok((bootstrap, mut notes)) => {
            // Where the document has lines, deprecated fields were found with theirs.
            if documents.iter().all(|document| document.tree.is_some()) {
                notes.retain(|note| note.kind != NoteKind::Deprecated);
            }
            let in_text =
                documents.iter().filter(|document| document.warnings.iter().any(Problem::is_unknown_field));
            let in_bytes = notes.iter().filter(|note| note.kind == NoteKind::Unknown);
            let unknown_fields = (in_text.count() + in_bytes.count()) as u64;
            let warnings = documents.iter().flat_map(|document| document.warnings.iter().cloned()).collect();
            Ok(Loaded { bootstrap, notes, warnings, unknown_fields })
        }
        Err(errors) => Err(errors
            .into_iter()
            .map(|error| {
                let (document, at) = place(documents, &error.path);
                let diagnostic =
                    Diagnostic { path: error.path, line: at.line, column: at.column, message: error.message };
                Problem { document: document.to_owned(), diagnostic }
            })
            .collect()),
    }
}

/// The document in which a field stands and the place there, or else that of what encloses it most narrowly. Both are
/// empty where no document has places.
fn place<'a>(documents: &'a [Document], path: &str) -> (&'a str, Position) {
    let with_places: Vec<_> =
        documents.iter().filter_map(|document| Some((document, document.tree.as_ref()?))).collect();
    let trees: Vec<_> = with_places.iter().map(|(_, tree)| *tree).collect();
    match tree::locate(&trees, path) {
        Some(found) if !path.is_empty() => (&with_places[found.tree].0.name, found.node.at),
        _ => (if let [document] = documents { &document.name } else { "" }, Position::default()),
    }
}
