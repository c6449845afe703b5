//! Files and folders to the documents in them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dragoman_proto::tree::{self, Document, Node, Position};
use dragoman_proto::{Diagnostic, encode_text};

use super::finding::Finding;
use super::shape::BOOTSTRAP;

/// Larger files are refused before they are read.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// Folders within folders beyond this depth are refused: it is how a loop of links shows.
const MAX_DEPTH: usize = 32;

/// Extensions of the files that a folder is searched for.
const EXTENSIONS: [&str; 7] = ["yaml", "yml", "json", "jsonl", "ndjson", "pb", "pb_text"];

/// Something that was read.
#[derive(Debug)]
pub(super) struct Input {
    /// What it is called in findings: its file, for a line of a corpus with the source that the line names.
    pub(super) name: Arc<str>,
    /// The sets of which resources are looked at together bear one name.
    pub(super) set: Arc<str>,
    /// How many lines of the file come before it.
    pub(super) line_offset: usize,
    /// What is in it.
    pub(super) content: Content,
}

/// What is in an input.
#[derive(Debug)]
pub(super) enum Content {
    /// A text, parsed.
    Tree(Node),
    /// A bootstrap in protobuf's wire format, from a binary or a text proto.
    Bootstrap(Vec<u8>),
}

/// What cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub(super) struct Unreadable {
    path: PathBuf,
    problem: io::Error,
}

/// What came of reading a file.
#[derive(Default)]
pub(super) struct Read {
    /// What could be parsed.
    pub(super) inputs: Vec<Input>,
    /// What could not, and what is odd in what could.
    pub(super) findings: Vec<Finding>,
}

/// The files that a path stands for: itself, or those in the folder, in order.
///
/// # Errors
/// The path, or what is below it, cannot be read.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let mut found = Vec::new();
    search(path, 0, &mut found).map_err(|problem| Unreadable { path: path.to_owned(), problem })?;
    Ok(found)
}

fn search(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    if depth == MAX_DEPTH {
        return Err(io::Error::other(format!("more than {MAX_DEPTH} folders within each other")));
    }
    let mut entries =
        std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    for entry in entries {
        // A mounted ConfigMap keeps its versions in folders that begin with two dots, and links to them.
        let hidden = entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let known = entry.extension().and_then(|extension| extension.to_str()).is_some_and(is_known);
        if !hidden && (known || entry.is_dir()) {
            search(&entry, depth + 1, found)?;
        }
    }
    Ok(())
}

fn is_known(extension: &str) -> bool {
    EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
}

/// Reads a file in the form that its extension tells, JSON if none does. So many bytes are `left` for it and others.
///
/// # Errors
/// The file cannot be read, or is too large.
pub(super) fn read(path: &Path, left: &mut u64) -> Result<Read, Unreadable> {
    let unreadable = |problem| Unreadable { path: path.to_owned(), problem };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::other("not a regular file")));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(unreadable(io::Error::other(format!("larger than {MAX_FILE_BYTES} bytes"))));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let rest = left.checked_sub(bytes.len() as u64);
    *left = rest.ok_or_else(|| unreadable(io::Error::other("too much together with the other files")))?;
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    Ok(parse(&path.display().to_string(), extension.to_str().unwrap_or_default(), bytes))
}

/// Parses the bytes of a file with this extension.
pub(super) fn parse(name: &str, extension: &str, bytes: Vec<u8>) -> Read {
    let mut file = File { name: name.into(), read: Read::default() };
    if extension == "pb" {
        file.push(Content::Bootstrap(bytes));
        return file.read;
    }
    match String::from_utf8(bytes) {
        Ok(text) => file.text(extension, &text),
        Err(_) => file.refuse(Position::default(), "the file is not UTF-8 text".to_owned()),
    }
    file.read
}

/// A file that is being parsed.
struct File {
    name: Arc<str>,
    read: Read,
}

impl File {
    fn push(&mut self, content: Content) {
        let (name, set) = (Arc::clone(&self.name), Arc::from(""));
        self.read.inputs.push(Input { name, set, line_offset: 0, content });
    }

    fn refuse(&mut self, at: Position, message: String) {
        self.read.findings.push(Finding::of_source(&self.name, at, "", message));
    }

    fn text(&mut self, extension: &str, text: &str) {
        match extension {
            "yaml" | "yml" => match tree::parse_yaml_all(text) {
                Ok(documents) => documents.into_iter().for_each(|document| self.document(document)),
                Err(problem) => self.diagnose(problem),
            },
            "pb_text" => match encode_text(text, BOOTSTRAP) {
                Ok(bytes) => self.push(Content::Bootstrap(bytes)),
                Err(problem) => self.diagnose(problem),
            },
            "jsonl" | "ndjson" => self.lines(text),
            _ => match tree::parse_json(text) {
                Ok(document) => self.document(document),
                Err(problem) => self.diagnose(problem),
            },
        }
    }

    fn diagnose(&mut self, problem: Diagnostic) {
        let at = Position { line: problem.line, column: problem.column };
        self.refuse(at, problem.message);
    }

    fn document(&mut self, document: Document) {
        for warning in document.warnings {
            self.diagnose(warning);
        }
        self.push(Content::Tree(document.root));
    }

    /// JSON lines; a line that names its source, as those of a corpus do, is a source of its own.
    fn lines(&mut self, text: &str) {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match tree::parse_json(line) {
                Ok(document) => {
                    let source = document.root.get("source").and_then(Node::as_str);
                    let name: Arc<str> = source.map_or_else(|| Arc::clone(&self.name), Into::into);
                    let set = source.map_or("", set_of).into();
                    let content = Content::Tree(document.root);
                    self.read.inputs.push(Input { name, set, line_offset: number, content });
                }
                Err(problem) => {
                    let at = Position { line: number + problem.line, column: problem.column };
                    self.refuse(at, problem.message);
                }
            }
        }
    }
}

/// Files of one case differ in the kind of resource only: `case.listeners.yaml`, `case.routes.yaml`.
fn set_of(source: &str) -> &str {
    const KINDS: [&str; 5] = [".listeners", ".routes", ".clusters", ".endpoints", ".secrets"];
    let stem = source.rsplit_once('.').map_or(source, |(stem, _)| stem);
    KINDS.iter().find_map(|kind| stem.strip_suffix(kind)).unwrap_or(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_case_are_one_set() {
        assert_eq!(set_of("o/r:a/case.in.listeners.yaml"), set_of("o/r:a/case.in.routes.yaml"));
        assert_eq!(set_of("o/r:a/envoy.yaml"), "o/r:a/envoy.yaml");
    }

    #[test]
    fn a_line_that_cannot_be_parsed_leaves_the_others() {
        let read = parse("x", "jsonl", b"{\"source\": \"s\"}\n\n{\n".to_vec());
        assert_eq!((read.inputs.len(), read.inputs[0].name.as_ref()), (1, "s"));
        assert_eq!((read.findings.len(), read.findings[0].line), (1, 3));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let read = parse("x", "yaml", vec![0xff, 0xfe]);
        assert_eq!(read.findings[0].reason, "the file is not UTF-8 text");
    }
}
