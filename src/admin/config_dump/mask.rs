//! Field masks: `mask=bootstrap.node,version_info`.

use std::fmt;

use serde_json::Value;

/// Paths of fields; what is under none of them is left out.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    paths: Vec<Vec<String>>,
    text: String,
}

impl Mask {
    /// Reads paths with commas between them.
    pub(super) fn parse(text: &str) -> Self {
        let paths = text.split(',').filter(|path| !path.is_empty());
        let paths = paths.map(|path| path.split('.').map(str::to_owned).collect()).collect();
        Mask { paths, text: text.to_owned() }
    }

    /// Whether a message with these fields has all that the mask names.
    pub(super) fn fits(&self, mut fields: impl Iterator<Item = &'static str> + Clone) -> bool {
        self.paths
            .iter()
            .all(|path| path.first().is_some_and(|first| fields.clone().any(|name| name == first)))
            && fields.next().is_some()
    }

    /// Whether no path reaches into this repeated field, which a mask cannot do.
    pub(super) fn stops_at(&self, field: &str) -> bool {
        self.paths.iter().all(|path| path.first().is_none_or(|first| first != field) || path.len() == 1)
    }

    /// Whether a field of the message is shown, at least in part.
    pub(super) fn shows(&self, field: &str) -> bool {
        self.paths.iter().any(|path| path.first().is_some_and(|first| first == field))
    }

    /// The paths.
    pub(super) fn paths(&self) -> impl Iterator<Item = String> {
        self.paths.iter().map(|path| path.join("."))
    }

    /// Takes out of a message what the mask does not name.
    pub(super) fn apply(&self, message: &mut Value) {
        let paths: Vec<&[String]> = self.paths.iter().map(Vec::as_slice).collect();
        keep(message, &paths);
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn keep(message: &mut Value, paths: &[&[String]]) {
    let Some(object) = message.as_object_mut() else { return };
    object.retain(|name, value| {
        if name == "@type" {
            return true;
        }
        let below: Vec<&[String]> =
            paths.iter().filter(|path| path.first() == Some(name)).map(|path| &path[1..]).collect();
        let whole = below.iter().any(|path| path.is_empty());
        if !whole && !below.is_empty() {
            keep(value, &below);
        }
        !below.is_empty()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_named_fields_stay() {
        let mut message = json!({ "@type": "t", "a": { "b": 1, "c": 2 }, "d": [1], "e": 3 });
        Mask::parse("a.b,d").apply(&mut message);
        assert_eq!(message, json!({ "@type": "t", "a": { "b": 1 }, "d": [1] }));
    }
}
