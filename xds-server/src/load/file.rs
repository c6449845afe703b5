//! From the text of one file to its resources.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use dragoman_proto::tree::{self, Document, Node, Value};
use dragoman_proto::{Diagnostic, encode, inspect};
use envoy_types::pb::envoy::service::discovery::v3 as discovery;
use envoy_types::pb::google::protobuf::{Any, Duration as ProtoDuration};
use prost::{Message, Name};

use crate::kind::{KINDS, Kind};
use crate::resource::{Origin, Resource};
use crate::snapshot::Problem;

/// Keys of a discovery response that may stand beside `resources`. Versions are made from the content.
const PASSED_OVER: [&str; 3] = ["version_info", "type_url", "nonce"];

/// The resources of a file.
///
/// # Errors
///
/// Everything that is wrong in it.
pub(super) fn resources(path: &Path, text: &str) -> Result<Vec<Resource>, Vec<Problem>> {
    let documents = match path.extension().is_some_and(|extension| extension == "json") {
        true => tree::parse_json(text).map(|document| vec![document]),
        false => tree::parse_yaml_all(text),
    };
    let mut reader = Reader { path, resources: Vec::new(), problems: Vec::new() };
    match documents {
        Ok(documents) => documents.iter().for_each(|document| reader.document(document)),
        Err(error) => reader.problem(error),
    }
    if reader.problems.is_empty() { Ok(reader.resources) } else { Err(reader.problems) }
}

struct Reader<'a> {
    path: &'a Path,
    resources: Vec<Resource>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn document(&mut self, document: &Document) {
        for warning in &document.warnings {
            tracing::warn!("{}:{warning}", self.path.display());
        }
        if document.root.value != Value::Null {
            self.any_of(&document.root);
        }
    }

    /// A resource with its type, or a list or mapping that holds such.
    fn any_of(&mut self, node: &Node) {
        match &node.value {
            Value::List(elements) => elements.iter().for_each(|element| self.any_of(element)),
            Value::Map(_) if node.get("@type").is_some() => self.typed(node),
            Value::Map(_) => self.lists(node),
            other => self.wrong(node, format!("expected resources, found {}", other.describe())),
        }
    }

    /// A mapping with lists of resources: `resources:`, or one key for each kind.
    fn lists(&mut self, node: &Node) {
        for entry in node.entries() {
            let kind = KINDS.iter().find(|kind| kind.key == entry.key);
            match (entry.key.as_str(), kind) {
                _ if entry.value.value == Value::Null => {}
                ("resources", _) => self.any_of(&entry.value),
                (_, Some(kind)) => self.all_of(kind, &entry.value),
                (key, _) if PASSED_OVER.contains(&key) => {}
                (key, None) => {
                    let keys: Vec<_> = KINDS.iter().map(|kind| kind.key).collect();
                    let message = format!(
                        "{key:?} is no list of resources; expected \"@type\", \"resources\" or one of {}",
                        keys.join(", ")
                    );
                    self.problem_at(entry.at, message);
                }
            }
        }
    }

    /// Resources of a kind that need not say so.
    fn all_of(&mut self, kind: &'static Kind, node: &Node) {
        match &node.value {
            Value::List(elements) => elements.iter().for_each(|element| self.all_of(kind, element)),
            Value::Map(_) if node.get("@type").is_some() => self.typed(node),
            Value::Map(_) => match encode(node, kind.message(), &encode::Options::default()) {
                Ok(encoded) => {
                    self.warn(&encoded);
                    self.named(node, Any { type_url: kind.type_url.to_owned(), value: encoded.bytes });
                }
                Err(errors) => errors.into_iter().for_each(|error| self.problem(error)),
            },
            other => self.wrong(node, format!("expected a resource, found {}", other.describe())),
        }
    }

    /// A resource that says its type.
    fn typed(&mut self, node: &Node) {
        let body = match encode(node, &Any::full_name(), &encode::Options::default()) {
            Ok(encoded) => {
                self.warn(&encoded);
                Any::decode(encoded.bytes.as_slice())
            }
            Err(errors) => return errors.into_iter().for_each(|error| self.problem(error)),
        };
        match body {
            Ok(body) if body.type_url == discovery::Resource::type_url() => self.wrapped(node, &body),
            Ok(body) => self.named(node, body),
            Err(error) => self.wrong(node, format!("cannot be decoded: {error}")),
        }
    }

    /// A resource in `envoy.service.discovery.v3.Resource`, which gives it a name and a time to live.
    fn wrapped(&mut self, node: &Node, body: &Any) {
        let wrapper = match discovery::Resource::decode(body.value.as_slice()) {
            Ok(wrapper) => wrapper,
            Err(error) => return self.wrong(node, format!("cannot be decoded: {error}")),
        };
        let Some(body) = wrapper.resource else {
            return self.wrong(node, "a wrapped resource needs `resource`".into());
        };
        let inner = node.get("resource").unwrap_or(node);
        let name = match wrapper.name.as_str() {
            "" => name_of(inner, &body.type_url),
            name => Some(name),
        };
        let Some(name) = name else { return self.nameless(inner, &body.type_url) };
        let resource = Resource::new(name, body);
        match wrapper.ttl.map(positive) {
            None => self.add(node, resource),
            Some(Some(ttl)) => self.add(node, resource.with_ttl(ttl)),
            Some(None) => self.wrong(node, "ttl has to be greater than zero".into()),
        }
    }

    fn named(&mut self, node: &Node, body: Any) {
        match name_of(node, &body.type_url) {
            Some(name) => self.add(node, Resource::new(name, body)),
            None => self.nameless(node, &body.type_url),
        }
    }

    fn nameless(&mut self, node: &Node, type_url: &str) {
        self.wrong(node, format!("a resource needs a name: `{}` is missing or empty", name_field(type_url)));
    }

    fn add(&mut self, node: &Node, mut resource: Resource) {
        self.warn_of_violations(node, &resource);
        if !resource.references.is_empty() {
            let mut lines = HashMap::new();
            note_lines(node, "", &mut lines);
            for reference in &mut resource.references {
                let key = (Cow::Borrowed(reference.field), &*reference.name);
                reference.line = lines.get(&key).copied().unwrap_or(0);
            }
        }
        let origin = Origin { file: self.path.to_owned(), line: node.at.line };
        self.resources.push(resource.written_at(origin));
    }

    /// Says what Envoy will reject. It is served nevertheless: gRPC, for one, does not mind.
    fn warn_of_violations(&self, node: &Node, resource: &Resource) {
        let message = resource.type_url().rsplit('/').next().unwrap_or_default();
        // The message was just encoded, so it is known and has the form of one.
        let Ok(findings) = inspect(&resource.body.value, message) else { return };
        for violation in findings.violations {
            let line = deepest(node, &violation.path).at.line;
            let (path, reason) = (&violation.path, &violation.reason);
            tracing::warn!("{}:{line}: {path}: {reason}; Envoy will reject it", self.path.display());
        }
    }

    fn warn(&self, encoded: &encode::Encoded) {
        for warning in &encoded.warnings {
            tracing::warn!("{}:{warning}", self.path.display());
        }
    }

    fn wrong(&mut self, node: &Node, message: String) {
        self.problem_at(node.at, message);
    }

    fn problem_at(&mut self, at: tree::Position, message: String) {
        let file = Some(self.path.to_owned());
        self.problems.push(Problem { file, line: at.line, column: at.column, message });
    }

    fn problem(&mut self, error: Diagnostic) {
        let at = tree::Position { line: error.line, column: error.column };
        let message = match error.path.as_str() {
            "" => error.message,
            path => format!("{path}: {}", error.message),
        };
        self.problem_at(at, message);
    }
}

fn positive(duration: ProtoDuration) -> Option<Duration> {
    let (seconds, nanos) = (u64::try_from(duration.seconds).ok()?, u32::try_from(duration.nanos).ok()?);
    Some(Duration::new(seconds, nanos)).filter(|duration| !duration.is_zero())
}

fn name_field(type_url: &str) -> &'static str {
    Kind::of(type_url).map_or("name", |kind| kind.name_field)
}

fn name_of<'a>(node: &'a Node, type_url: &str) -> Option<&'a str> {
    field(node, name_field(type_url))?.as_str().filter(|name| !name.is_empty())
}

/// A field by its proto name, in either spelling.
fn field<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    node.get(name).or_else(|| node.get(&camel_case(name)))
}

/// The last node on the way to a path such as `virtual_hosts[0].routes[1].match` that is in the text.
fn deepest<'a>(node: &'a Node, path: &str) -> &'a Node {
    let steps = path.split(['.', '[']).map(|step| step.trim_end_matches(']').trim_matches('"'));
    let mut here = node;
    for step in steps {
        let next = match step.parse::<usize>() {
            Ok(index) if !here.elements().is_empty() => here.elements().get(index),
            // One value may stand where a list is expected.
            Ok(0) => Some(here),
            _ => field(here, step),
        };
        match next {
            Some(next) => here = next,
            None => break,
        }
    }
    here
}

/// Notes for each field with a text, by its proto name and the text, the first line on which it stands.
fn note_lines<'a>(node: &'a Node, field: &'a str, lines: &mut HashMap<(Cow<'a, str>, &'a str), usize>) {
    if let Some(text) = node.as_str() {
        lines.entry((snake_case(field), text)).or_insert(node.at.line);
    }
    node.entries().iter().for_each(|entry| note_lines(&entry.value, &entry.key, lines));
    node.elements().iter().for_each(|element| note_lines(element, field, lines));
}

fn snake_case(name: &str) -> Cow<'_, str> {
    if !name.contains(|character: char| character.is_ascii_uppercase()) {
        return Cow::Borrowed(name);
    }
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    Cow::Owned(snake)
}

fn camel_case(name: &str) -> String {
    let mut upper = false;
    name.chars().fold(String::new(), |mut text, character| {
        if character == '_' {
            upper = true;
        } else {
            text.push(if upper { character.to_ascii_uppercase() } else { character });
            upper = false;
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_the_deepest_node_that_is_there() {
        let text = "virtualHosts:\n- name: a\n- name: b\n  routes:\n    match: {prefix: /}\n";
        let root = tree::parse_yaml(text).unwrap().root;
        let line = |path| deepest(&root, path).at.line;
        assert_eq!(line("virtual_hosts[1].name"), 3);
        assert_eq!(line("virtual_hosts[1].routes[0].match.prefix"), 5);
        assert_eq!(line("virtual_hosts[1].domains"), 3);
        assert_eq!(line("virtual_hosts[7]"), 2);
    }

    #[test]
    fn both_spellings_of_a_field_are_found() {
        assert_eq!((&*snake_case("routeConfigName"), &*snake_case("name")), ("route_config_name", "name"));
        assert_eq!(camel_case("route_config_name"), "routeConfigName");
    }
}
