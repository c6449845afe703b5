//! From YAML to a [`Node`], as yaml-cpp and Envoy's `ValueUtil::loadFromYaml` do it.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::{Document, Entry, Node, Position, Value, scalar};
use crate::{Diagnostic, path::Path, wire::MAX_DEPTH};

/// How many nodes the aliases of a document may add to it: a chain of anchors grows exponentially.
const MAX_ALIASED_NODES: usize = 1_000_000;

/// Parses the first document of a YAML text as Envoy reads it.
///
/// Unquoted `yes`, `on` and `y` are booleans, `0x50` and `010` are numbers, and any number that is no
/// integer of 32 bits stays a string. `<<` is an ordinary key, a key tagged `!ignore` is left out. Of equal
/// keys the last one counts, and what follows the first document is not read; both give a warning.
///
/// # Errors
///
/// Text that is no YAML, an unknown alias, a key that is no scalar, nesting beyond 100 levels, aliases that
/// would expand to more than a million nodes.
pub fn parse_yaml(text: &str) -> Result<Document, Diagnostic> {
    let mut reader = Reader::new(text);
    let root = reader.document()?;
    let root = root.unwrap_or(Node { value: Value::Null, at: Position::default() });
    if let Some(at) = reader.next_document() {
        reader.warnings.push(Diagnostic::at(
            at,
            "",
            "only the first document is read, this one is not".into(),
        ));
    }
    Ok(Document { root, warnings: reader.warnings })
}

/// Parses all documents of a YAML text, each as [`parse_yaml`] reads the first.
///
/// # Errors
///
/// As for [`parse_yaml`].
pub fn parse_yaml_all(text: &str) -> Result<Vec<Document>, Diagnostic> {
    let mut reader = Reader::new(text);
    let mut documents = Vec::new();
    while let Some(root) = reader.document()? {
        documents.push(Document { root, warnings: std::mem::take(&mut reader.warnings) });
    }
    Ok(documents)
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
    depth: usize,
    path: Path,
    warnings: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut options = Options::default();
        // Another package of the build may have turned them on.
        options.emit_comments = false;
        Self {
            parser: Parser::new_from_str_with_options(text, options),
            anchors: HashMap::new(),
            aliased: 0,
            depth: 0,
            path: Path::default(),
            warnings: Vec::new(),
        }
    }

    fn event(&mut self) -> Result<(Event<'a>, Position), Diagnostic> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, position(&span))),
            Some(Err(error)) => Err(syntax(&error)),
            None => Ok((Event::StreamEnd, Position::default())),
        }
    }

    /// The next document; `None` at the end of the text.
    fn document(&mut self) -> Result<Option<Node>, Diagnostic> {
        self.anchors.clear();
        loop {
            match self.event()? {
                (Event::StreamEnd, _) => return Ok(None),
                (Event::DocumentStart(..), _) => break,
                _ => {}
            }
        }
        let (event, at) = self.event()?;
        self.node(event, at).map(Some)
    }

    /// Where another document begins, if there is one. Errors in it are not ours, as nobody reads it.
    fn next_document(&mut self) -> Option<Position> {
        loop {
            match self.event() {
                Ok((Event::DocumentStart(..), at)) => return Some(at),
                Ok((Event::StreamEnd, _)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    fn node(&mut self, event: Event<'a>, at: Position) -> Result<Node, Diagnostic> {
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar_value(&text, style, tag.as_deref()), anchor),
            Event::SequenceStart(_, anchor, _) => (self.nested(at, Self::list)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.nested(at, Self::map)?, anchor),
            Event::Alias(anchor) => return self.alias(anchor, at),
            _ => (Value::Null, 0),
        };
        let node = Node { value, at };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn nested(
        &mut self,
        at: Position,
        read: fn(&mut Self) -> Result<Value, Diagnostic>,
    ) -> Result<Value, Diagnostic> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(at, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.depth += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn list(&mut self) -> Result<Value, Diagnostic> {
        let mut elements = Vec::new();
        loop {
            match self.event()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(Value::List(elements)),
                (event, at) => {
                    let mark = self.path.element(elements.len());
                    elements.push(self.node(event, at)?);
                    self.path.back_to(mark);
                }
            }
        }
    }

    fn map(&mut self) -> Result<Value, Diagnostic> {
        let mut entries = Vec::new();
        let mut index = HashMap::new();
        loop {
            let (event, at) = match self.event()? {
                (Event::MappingEnd | Event::StreamEnd, _) => return Ok(Value::Map(entries)),
                next => next,
            };
            let (key, ignored) = self.key(event, at)?;
            let mark = self.path.field(&key);
            let (event, value_at) = self.event()?;
            let value = self.node(event, value_at)?;
            if !ignored {
                self.put(&mut entries, &mut index, Entry { key, at, value });
            }
            self.path.back_to(mark);
        }
    }

    /// Adds an entry. An earlier one of the same key is replaced.
    fn put(&mut self, entries: &mut Vec<Entry>, index: &mut HashMap<String, usize>, entry: Entry) {
        match index.get(&entry.key).and_then(|&earlier| entries.get_mut(earlier)) {
            Some(earlier) => {
                let message = format!(
                    "`{}` stands here again: this one counts, the one in line {} does not",
                    entry.key, earlier.at.line
                );
                self.warnings.push(Diagnostic::at(entry.at, self.path.as_str(), message));
                *earlier = entry;
            }
            None => {
                index.insert(entry.key.clone(), entries.len());
                entries.push(entry);
            }
        }
    }

    /// A key, and whether its tag says to leave the entry out.
    fn key(&mut self, event: Event<'a>, at: Position) -> Result<(String, bool), Diagnostic> {
        if let Event::Scalar(text, _, anchor, tag) = &event {
            if *anchor != 0 {
                let value = Value::String(text.to_string());
                self.anchors.insert(*anchor, Node { value, at });
            }
            let ignored = tag.as_deref().is_some_and(|tag| tag.handle() == "!" && tag.suffix() == "ignore");
            return Ok((text.to_string(), ignored));
        }
        let key = self.node(event, at)?;
        match key.value {
            Value::String(text) => Ok((text, false)),
            Value::Bool(value) => Ok((value.to_string(), false)),
            Value::Int(value) => Ok((value.to_string(), false)),
            other => Err(self.error(at, format!("a key must be a scalar, not {}", other.describe()))),
        }
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<Node, Diagnostic> {
        let Some(target) = self.anchors.get(&anchor) else {
            return Err(self.error(at, "an alias cannot refer to what it stands in".into()));
        };
        let (size, depth) = measure(target);
        if self.depth + depth > MAX_DEPTH {
            return Err(self.error(at, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.aliased += size;
        if self.aliased > MAX_ALIASED_NODES {
            return Err(self.error(at, format!("aliases expand to more than {MAX_ALIASED_NODES} nodes")));
        }
        Ok(target.clone())
    }

    fn error(&self, at: Position, message: String) -> Diagnostic {
        Diagnostic::at(at, self.path.as_str(), message)
    }
}

/// How many nodes there are below and with this one, and how many levels of lists and mappings.
///
/// A long string counts as a node for every 32 bytes, so that its copies are bounded as well.
fn measure(node: &Node) -> (usize, usize) {
    let below = |nodes: &mut dyn Iterator<Item = &Node>| {
        let sizes = nodes.map(measure);
        let (size, depth) = sizes.fold((0, 0), |(size, depth), (s, d)| (size + s, depth.max(d)));
        (size + 1, depth + 1)
    };
    match &node.value {
        Value::List(elements) => below(&mut elements.iter()),
        Value::Map(entries) => below(&mut entries.iter().map(|entry| &entry.value)),
        Value::String(text) => (1 + text.len() / 32, 0),
        _ => (1, 0),
    }
}

/// Envoy takes a scalar as it stands when it is not plain. A tag, even `!!str`, undoes that, and only a plain scalar
/// without a tag is null.
fn scalar_value(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    match (style, tag) {
        (_, Some(tag)) if is_non_specific(tag) => Value::String(text.to_owned()),
        (_, Some(_)) => scalar::resolve_tagged(text),
        (ScalarStyle::Plain, None) => scalar::resolve(text),
        (_, None) => Value::String(text.to_owned()),
    }
}

/// The tag `!`, which says "as it stands".
fn is_non_specific(tag: &Tag) -> bool {
    tag.handle().is_empty() && tag.suffix() == "!" || tag.handle() == "!" && tag.suffix().is_empty()
}

fn position(span: &Span) -> Position {
    Position { line: span.start.line(), column: span.start.col() + 1 }
}

fn syntax(error: &ScanError) -> Diagnostic {
    let marker = error.marker();
    let at = Position { line: marker.line(), column: marker.col() + 1 };
    Diagnostic::at(at, "", format!("not valid YAML: {}", error.info()))
}

#[cfg(test)]
mod tests;
