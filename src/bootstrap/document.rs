//! One of the texts that a bootstrap is made of.

use std::path::Path;

use dragoman_proto::encode::{Options, Unknown};
use dragoman_proto::tree::{self, Node};
use dragoman_proto::{Diagnostic, encode, encode_text};

use super::Problem;

/// Full name of the message.
const BOOTSTRAP: &str = "envoy.config.bootstrap.v3.Bootstrap";

/// What `--config-yaml` is called in messages.
const CONFIG_YAML: &str = "--config-yaml";

/// A text or a binary file, encoded.
#[derive(Debug)]
pub(super) struct Document {
    /// The file, or the flag that holds the text.
    pub(super) name: String,
    /// The values with their places; `None` for text and binary protos, which have none.
    pub(super) tree: Option<Node>,
    /// The message in protobuf's wire format.
    pub(super) bytes: Vec<u8>,
    /// What was accepted and is most likely a mistake.
    pub(super) warnings: Vec<Problem>,
}

/// A document that was read and not yet encoded.
#[derive(Debug)]
pub(super) struct Unencoded {
    name: String,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Tree(tree::Document),
    Bytes(Vec<u8>),
}

/// The value of `--config-yaml`.
pub(super) fn from_yaml(text: &str) -> Result<Unencoded, Vec<Problem>> {
    parsed(CONFIG_YAML, tree::parse_yaml(text))
}

/// A file, in the form that its extension tells.
pub(super) fn from_file(path: &Path) -> Result<Unencoded, Vec<Problem>> {
    let name = path.display().to_string();
    let content = std::fs::read(path)
        .map_err(|error| vec![Problem::of_none(format!("Invalid path: {name}: {error}"))])?;
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    if extension == "pb" {
        return Ok(Unencoded { name, content: Content::Bytes(content) });
    }
    let Ok(text) = String::from_utf8(content) else {
        return Err(vec![in_document(&name, nowhere("the file is not UTF-8 text".to_owned()))]);
    };
    match extension.to_str() {
        Some("yaml" | "yml") => parsed(&name, tree::parse_yaml(&text)),
        Some("pb_text") => match encode_text(&text, BOOTSTRAP) {
            Ok(bytes) => Ok(Unencoded { name, content: Content::Bytes(bytes) }),
            Err(problem) => Err(vec![in_document(&name, problem)]),
        },
        _ => parsed(&name, tree::parse_json(&text)),
    }
}

fn parsed(name: &str, document: Result<tree::Document, Diagnostic>) -> Result<Unencoded, Vec<Problem>> {
    match document {
        Ok(document) => Ok(Unencoded { name: name.to_owned(), content: Content::Tree(document) }),
        Err(problem) => Err(vec![in_document(name, problem)]),
    }
}

fn in_document(name: &str, diagnostic: Diagnostic) -> Problem {
    Problem { document: name.to_owned(), diagnostic }
}

fn nowhere(message: String) -> Diagnostic {
    Diagnostic { path: String::new(), line: 0, column: 0, message }
}

impl Unencoded {
    /// The document in protobuf's wire format.
    pub(super) fn encode(self, allow_unknown_fields: bool) -> Result<Document, Vec<Problem>> {
        let name = self.name;
        let document = match self.content {
            Content::Bytes(bytes) => return Ok(Document { name, tree: None, bytes, warnings: Vec::new() }),
            Content::Tree(document) => document,
        };
        let unknown = if allow_unknown_fields { Unknown::Collect } else { Unknown::Reject };
        let problems = |found: Vec<Diagnostic>| -> Vec<Problem> {
            found.into_iter().map(|diagnostic| in_document(&name, diagnostic)).collect()
        };
        let encoded = encode(&document.root, BOOTSTRAP, &Options { unknown }).map_err(problems)?;
        let warnings =
            [document.warnings, encoded.warnings, encoded.unknown].into_iter().flat_map(problems).collect();
        Ok(Document { tree: Some(document.root), bytes: encoded.bytes, warnings, name })
    }
}
