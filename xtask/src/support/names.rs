//! From a Rust path in a source file to the full name of a message.

use std::collections::HashMap;

use dragoman_proto::descriptor::{self, Message};
use syn::visit::{self, Visit};
use syn::{Ident, ItemUse, Path, UseTree};

/// Where the API's messages begin.
const ROOT: [&str; 2] = ["envoy_types", "pb"];

/// How many imports may build on each other: `use a::v3; use v3::cluster::Eds`.
const DEPTH: usize = 3;

/// The full names of all messages of the API, by what a Rust path to them comes down to.
pub(super) struct Messages(HashMap<String, String>);

impl Messages {
    /// Of the API's descriptors.
    pub(super) fn of_the_api() -> Self {
        let mut found = HashMap::new();
        let mut open: Vec<String> = descriptor::message_names().collect();
        // Nested messages are not listed, but are the types of fields.
        while let Some(name) = open.pop() {
            let fields = descriptor::message(&name).map(Message::fields).unwrap_or_default();
            if found.insert(key(name.split('.')), name).is_none() {
                let held = fields.iter().filter_map(|field| field.message());
                open.extend(held.map(|message| message.full_name().to_owned()));
            }
        }
        Self(found)
    }

    /// The full name of the message that a path stands for in a file with these imports.
    pub(super) fn full_name(&self, path: &Path, imports: &Imports) -> Option<&str> {
        let segments: Vec<_> = path.segments.iter().map(|segment| text(&segment.ident)).collect();
        imports.absolute(&segments, DEPTH).into_iter().find_map(|absolute| {
            let below = absolute.strip_prefix(&ROOT.map(str::to_owned))?;
            self.0.get(&key(below.iter().map(String::as_str))).map(String::as_str)
        })
    }
}

/// Modules for nested messages are in snake case: without case and underscores both sides are equal.
fn key<'a>(segments: impl Iterator<Item = &'a str>) -> String {
    let plain = segments.map(|segment| segment.replace('_', "").to_ascii_lowercase());
    plain.collect::<Vec<_>>().join(".")
}

/// An identifier without its `r#`.
fn text(ident: &Ident) -> String {
    ident.to_string().trim_start_matches("r#").to_owned()
}

/// The paths that a file imports anywhere, by the name they get. Scopes are not told apart, so a name may stand for
/// several.
#[derive(Default)]
pub(super) struct Imports(HashMap<String, Vec<Vec<String>>>);

impl Imports {
    /// Of a file.
    pub(super) fn of(file: &syn::File) -> Self {
        let mut imports = Self::default();
        imports.visit_file(file);
        imports
    }

    /// What a path may stand for, following this many imports.
    fn absolute(&self, path: &[String], depth: usize) -> Vec<Vec<String>> {
        let mut found = vec![path.to_vec()];
        if let Some((first, rest)) = path.split_first()
            && depth > 0
        {
            for import in self.0.get(first).into_iter().flatten() {
                let path: Vec<_> = import.iter().chain(rest).cloned().collect();
                found.extend(self.absolute(&path, depth - 1));
            }
        }
        found
    }

    fn add(&mut self, tree: &UseTree, mut prefix: Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(text(&path.ident));
                self.add(&path.tree, prefix);
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add(tree, prefix.clone())),
            UseTree::Name(name) => self.import(text(&name.ident), prefix, &name.ident),
            UseTree::Rename(rename) => self.import(text(&rename.rename), prefix, &rename.ident),
            UseTree::Glob(_) => {}
        }
    }

    fn import(&mut self, name: String, mut prefix: Vec<String>, last: &Ident) {
        if last != "self" {
            prefix.push(text(last));
        }
        self.0.entry(name).or_default().push(prefix);
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add(&item.tree, Vec::new());
        visit::visit_item_use(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_resolved_through_imports_renames_and_modules_of_nested_messages() {
        let file = syn::parse_file(
            "use envoy_types::pb::envoy::config::{core::v3 as core, cluster::v3};
             fn f() { use v3::cluster::EdsClusterConfig as Eds; }",
        );
        let imports = Imports::of(&file.expect("valid Rust"));
        let messages = Messages::of_the_api();
        let full_name = |path: &str| {
            let path = syn::parse_str(path).expect("a path");
            messages.full_name(&path, &imports).map(str::to_owned)
        };
        assert_eq!(full_name("core::Address").as_deref(), Some("envoy.config.core.v3.Address"));
        let eds = "envoy.config.cluster.v3.Cluster.EdsClusterConfig";
        assert_eq!(full_name("v3::cluster::EdsClusterConfig").as_deref(), Some(eds));
        assert_eq!(full_name("Eds").as_deref(), Some(eds));
        assert_eq!(full_name("v3::NoSuch"), None);
    }
}
