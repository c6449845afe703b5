//! From the path of a field to the value that stands there.

use super::{Node, Value};

/// A step of a path: `clusters[0]` is a field and an index, `metadata["a.b"]` a field and a key.
#[derive(Debug, PartialEq)]
pub(crate) enum Step<'a> {
    Field(&'a str),
    Bracket(&'a str),
}

/// A value in one of several trees.
#[derive(Clone, Copy, Debug)]
pub struct Located<'a> {
    /// Which of the trees.
    pub tree: usize,
    /// The value.
    pub node: &'a Node,
}

/// The value at a path such as `clusters[0].name`, or else what encloses it most narrowly.
///
/// Several trees are read as protobuf merges what they stand for: lists one after the other, and of a field the last.
/// `None` when there are no trees.
pub fn locate<'a>(trees: &[&'a Node], path: &str) -> Option<Located<'a>> {
    let mut at: Vec<_> = trees.iter().enumerate().map(|(tree, node)| Located { tree, node }).collect();
    for step in steps(path) {
        let next = follow(&at, &step);
        if next.is_empty() {
            break;
        }
        at = next;
    }
    at.last().copied()
}

/// The steps of a path.
pub(crate) fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(bracket) = rest.strip_prefix('[') {
            let (inside, behind) = bracket.split_once(']').unwrap_or((bracket, ""));
            steps.push(Step::Bracket(inside));
            rest = behind;
        } else {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let (name, behind) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
            steps.push(Step::Field(name));
            rest = behind;
        }
    }
    steps
}

/// Where a step leads from values that are merged with each other.
fn follow<'a>(from: &[Located<'a>], step: &Step<'_>) -> Vec<Located<'a>> {
    match step {
        Step::Field(name) => {
            from.iter().filter_map(|found| below(found, |node| member(node, name))).collect()
        }
        Step::Bracket(inside) => match inside.parse::<usize>() {
            // The elements of one list follow those of the other.
            Ok(index) => from.iter().flat_map(|found| elements(*found)).nth(index).into_iter().collect(),
            Err(_) => {
                let key = inside.trim_matches('"');
                from.iter().filter_map(|found| below(found, |node| node.get(key))).collect()
            }
        },
    }
}

fn below<'a>(found: &Located<'a>, step: impl Fn(&'a Node) -> Option<&'a Node>) -> Option<Located<'a>> {
    step(found.node).map(|node| Located { tree: found.tree, node })
}

/// A field by its proto's or its JSON name; in a `TypedStruct` it stands in `value`.
fn member<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    let camel = camel_case(name);
    let direct = |node: &'a Node| node.get(name).or_else(|| node.get(&camel));
    direct(node).or_else(|| node.get("@type").and_then(|_| node.get("value")).and_then(direct))
}

/// One value may stand where a list does.
fn elements(found: Located<'_>) -> Vec<Located<'_>> {
    match &found.node.value {
        Value::List(elements) => elements.iter().map(|node| Located { tree: found.tree, node }).collect(),
        _ => vec![found],
    }
}

fn camel_case(name: &str) -> String {
    let mut upper = false;
    let mut camel = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter == '_' {
            upper = true;
        } else {
            camel.push(if upper { letter.to_ascii_uppercase() } else { letter });
            upper = false;
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_at_its_dots_and_brackets() {
        assert_eq!(
            steps("a.b_c[0].d[\"x.y\"].e"),
            [
                Step::Field("a"),
                Step::Field("b_c"),
                Step::Bracket("0"),
                Step::Field("d"),
                Step::Bracket("\"x.y\""),
                Step::Field("e"),
            ]
        );
    }
}
