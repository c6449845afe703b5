//! From the path of a field to the place in the text.

use super::{Entry, Node, Position, Value};

/// One step of a path.
#[derive(Debug, PartialEq)]
enum Step<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl Node {
    /// Where the field of this path stands, such as `static_resources.clusters[0].name`, or what encloses it when
    /// it is not there.
    ///
    /// For errors that are found later, when only the encoded message is at hand. The path may lead into an `Any`
    /// and into the message in a TypedStruct.
    pub fn locate(&self, path: &str) -> Position {
        let (mut node, mut at) = (self, self.at);
        for step in steps(path) {
            let Some((next, next_at)) = node.child(&step) else { break };
            (node, at) = (next, next_at);
        }
        at
    }

    fn child(&self, step: &Step<'_>) -> Option<(&Node, Position)> {
        match (step, &self.value) {
            (Step::Field(name), Value::Map(entries)) => {
                let found = entries.iter().rev().find(|entry| is_name(&entry.key, name));
                found.map(Entry::target).or_else(|| self.typed_struct()?.child(step))
            }
            (Step::Key(key), Value::Map(entries)) => {
                entries.iter().rev().find(|entry| entry.key == *key).map(Entry::target)
            }
            (Step::Index(index), Value::List(elements)) => {
                elements.get(*index).map(|element| (element, element.at))
            }
            // One value may stand for a list.
            (Step::Index(0), _) => Some((self, self.at)),
            _ => None,
        }
    }

    /// The message in a TypedStruct, which paths do not mention.
    fn typed_struct(&self) -> Option<&Node> {
        let (_, name) = self.get("@type")?.as_str()?.rsplit_once('/')?;
        self.get("value").filter(|_| crate::is_typed_struct(name))
    }
}

impl Entry {
    fn target(&self) -> (&Node, Position) {
        (&self.value, self.at)
    }
}

/// Whether a key is this field's name, in snake or camel case.
fn is_name(key: &str, name: &str) -> bool {
    let letters = |text: &'_ str| {
        text.bytes()
            .filter(|letter| *letter != b'_')
            .map(|letter| letter.to_ascii_lowercase())
            .collect::<Vec<_>>()
    };
    key == name || letters(key) == letters(name)
}

/// The steps of a path. What is malformed ends it.
fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    let mut rest = path;
    std::iter::from_fn(move || {
        if let Some(bracket) = rest.strip_prefix('[') {
            let (step, after) = match bracket.strip_prefix('"') {
                Some(key) => key.split_once("\"]").map(|(key, after)| (Step::Key(key), after))?,
                None => bracket
                    .split_once(']')
                    .and_then(|(index, after)| Some((Step::Index(index.parse().ok()?), after)))?,
            };
            rest = after;
            return Some(step);
        }
        let name = rest.strip_prefix('.').unwrap_or(rest);
        let end = name.find(['.', '[']).unwrap_or(name.len());
        rest = &name[end..];
        (end > 0).then_some(Step::Field(&name[..end]))
    })
}

#[cfg(test)]
mod tests {
    use crate::tree::parse_yaml;

    const TEXT: &str = r#"
static_resources:
  clusters:
  - name: a
    connectTimeout: 5s
    metadata: {filter_metadata: {a.b: {x: 1}}}
  listeners:
    filterChains:
    - filters:
      - typed_config:
          "@type": type.googleapis.com/xds.type.v3.TypedStruct
          value:
            statPrefix: x
"#;

    fn check(path: &str, line: usize) {
        assert_eq!(parse_yaml(TEXT).expect("YAML").root.locate(path).line, line, "{path}");
    }

    #[test]
    fn a_path_leads_to_its_line() {
        check("static_resources.clusters[0].name", 4);
        check("static_resources.clusters[0].connect_timeout", 5);
        check("static_resources.clusters[0].metadata.filter_metadata[\"a.b\"].x", 6);
        check("static_resources.listeners[0].filter_chains[0].filters[0].typed_config.stat_prefix", 13);
    }

    #[test]
    fn what_is_not_there_is_located_by_what_encloses_it() {
        check("static_resources.clusters[0].type", 4);
        check("static_resources.clusters[7].name", 3);
        check("admin", 2);
        check("", 2);
        check("static_resources.clusters[x].name", 3);
        check("[[[", 2);
        check("...", 2);
    }
}
