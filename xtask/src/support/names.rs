//! From a Rust path in a source file to the full name of a message.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use dragoman_proto::descriptor::{self, Message};
use syn::visit::{self, Visit};
use syn::{Block, Ident, ItemUse, Path, UseTree};

/// Where the API's messages begin: those of the crate, those that it lacks, and what it lacks of some.
const ROOTS: [&[&str]; 3] =
    [&["envoy_types", "pb"], &["crate", "config", "messages"], &["crate", "config", "newer"]];

/// Nested messages that are the type of no field: they stand in an `Any`.
const IN_ANY: [&str; 1] = [
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ForwardClientCertConfig",
];

/// How many imports may build on each other: `use a::v3; use v3::cluster::Eds`.
const DEPTH: usize = 3;

/// The full names of all messages of the API, by what a Rust path to them comes down to.
pub(super) struct Messages(HashMap<String, String>);

impl Messages {
    /// Of the API's descriptors.
    pub(super) fn of_the_api() -> Self {
        let mut found = HashMap::new();
        let mut open: Vec<String> = descriptor::message_names().collect();
        // Nested messages are not listed, but are the types of fields, most of them.
        open.extend(IN_ANY.map(str::to_owned));
        while let Some(name) = open.pop() {
            let fields = descriptor::message(&name).map(Message::fields).unwrap_or_default();
            if found.insert(key(name.split('.')), name).is_none() {
                let held = fields.iter().filter_map(|field| field.message());
                open.extend(held.map(|message| message.full_name().to_owned()));
            }
        }
        Self(found)
    }

    /// The full name of the message that a path in this line stands for in a file with these imports.
    ///
    /// # Errors
    /// No message, or several.
    pub(super) fn full_name(&self, path: &Path, line: usize, imports: &Imports) -> Result<&str, String> {
        let segments: Vec<_> = path.segments.iter().map(|segment| text(&segment.ident)).collect();
        let absolute = imports.absolute(&segments, line, DEPTH);
        let mut found: Vec<&str> = absolute
            .into_iter()
            .filter_map(|absolute| {
                let is_root =
                    |root: &[&str]| absolute.iter().zip(root).all(|(segment, part)| segment == part);
                let root = ROOTS.into_iter().find(|root| is_root(root))?;
                let below = absolute.get(root.len()..)?;
                self.0.get(&key(below.iter().map(String::as_str))).map(String::as_str)
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        match found.as_slice() {
            [one] => Ok(one),
            [] => Err("this message is not part of the API".to_owned()),
            several => Err(format!("this may be each of {}: name it with its module", several.join(", "))),
        }
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

/// The lines of the block in which an import is in force, and its path.
type Import = (RangeInclusive<usize>, Vec<String>);

/// The paths that a file imports, by the name they get, each with the lines of the block in which it
/// is in force.
#[derive(Default)]
pub(super) struct Imports {
    paths: HashMap<String, Vec<Import>>,
    /// The blocks around what is visited.
    around: Vec<RangeInclusive<usize>>,
}

impl Imports {
    /// Of a file.
    pub(super) fn of(file: &syn::File) -> Self {
        let mut imports = Self::default();
        imports.visit_file(file);
        imports
    }

    /// What a path in this line may stand for, following this many imports.
    fn absolute(&self, path: &[String], line: usize, depth: usize) -> Vec<Vec<String>> {
        let mut found = vec![path.to_vec()];
        if let Some((first, rest)) = path.split_first()
            && depth > 0
        {
            for import in self.in_force(first, line) {
                let path: Vec<_> = import.iter().chain(rest).cloned().collect();
                found.extend(self.absolute(&path, line, depth - 1));
            }
        }
        found
    }

    /// The imports of this name by the innermost block around the line that has any.
    fn in_force(&self, name: &str, line: usize) -> impl Iterator<Item = &Vec<String>> {
        let around = move |lines: &RangeInclusive<usize>| lines.contains(&line);
        let all = self.paths.get(name).map(Vec::as_slice).unwrap_or_default();
        let begin = all.iter().filter(|(lines, _)| around(lines)).map(|(lines, _)| *lines.start()).max();
        all.iter()
            .filter(move |(lines, _)| around(lines) && Some(*lines.start()) == begin)
            .map(|(_, path)| path)
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
        let lines = self.around.last().cloned().unwrap_or(0..=usize::MAX);
        self.paths.entry(name).or_default().push((lines, prefix));
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add(&item.tree, Vec::new());
        visit::visit_item_use(self, item);
    }

    fn visit_block(&mut self, block: &'ast Block) {
        let braces = block.brace_token.span;
        self.around.push(braces.open().start().line..=braces.close().end().line);
        visit::visit_block(self, block);
        self.around.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_resolved_through_imports_renames_and_modules_of_nested_messages() {
        let file = syn::parse_file(
            "use envoy_types::pb::envoy::config::{core::v3 as core, cluster::v3};
             fn g() { use v3::cluster::EdsClusterConfig as Eds; }
             fn h() { use core::Address as Eds; }",
        );
        let imports = Imports::of(&file.expect("valid Rust"));
        let messages = Messages::of_the_api();
        let full_name = |path: &str, line| {
            let path = syn::parse_str(path).expect("a path");
            messages.full_name(&path, line, &imports).map(str::to_owned).ok()
        };
        let address = "envoy.config.core.v3.Address";
        assert_eq!(full_name("core::Address", 2).as_deref(), Some(address));
        let eds = "envoy.config.cluster.v3.Cluster.EdsClusterConfig";
        assert_eq!(full_name("v3::cluster::EdsClusterConfig", 2).as_deref(), Some(eds));
        assert_eq!(full_name("Eds", 2).as_deref(), Some(eds));
        assert_eq!(full_name("Eds", 3).as_deref(), Some(address), "each block has its own imports");
        assert_eq!(full_name("Eds", 1), None);
        assert_eq!(full_name("v3::NoSuch", 2), None);
    }
}
