//! How large the program is that RE2 makes of an expression: Envoy refuses regular expressions by that.
//!
//! The size is only exact if every step is RE2's: it reads a pattern into a tree and factors alternatives as it goes
//! (`read`, `factor`), takes off a fixed beginning, writes counted repetitions out (`simplify`), makes instructions of it
//! (`compile`) and puts those that follow each other without a byte into lists (`flatten`). Nothing runs the program; it is
//! only counted.

mod compile;
mod factor;
mod flatten;
mod instructions;
mod read;
mod simplify;
mod stack;
mod tree;

use std::rc::Rc;

use tree::{Kind, Node, Place, concat};

/// The size of the program of an expression that was translated from RE2's syntax to that of the `regex` crate.
///
/// # Errors
/// What RE2 says of what it does not compile.
pub(super) fn size(expression: &str) -> Result<usize, String> {
    let whole = read::read(expression)?;
    let simple = simplify::simplify(&behind_prefix(whole));
    let program = compile::compile(&simple).ok_or("pattern too large - compile failed")?;
    Ok(flatten::size(program))
}

/// The expression behind a text that it has to begin with: RE2 compares that without a program.
fn behind_prefix(node: Rc<Node>) -> Rc<Node> {
    let Kind::Concat(subs) = &node.kind else { return node };
    let anchors = subs.iter().take_while(|sub| matches!(sub.kind, Kind::At(Place::BeginText))).count();
    match subs.get(anchors).map(|sub| &sub.kind) {
        Some(Kind::Literal(_) | Kind::Text(_)) if anchors > 0 => {
            concat(subs[anchors + 1..].to_vec(), node.flags)
        }
        _ => node,
    }
}

#[cfg(test)]
mod tests {
    use super::super::re2::{Alphabet, translate};
    use super::*;

    /// Sizes that Envoy 1.40 told, each with its pattern behind a tab.
    const SIZES: &str = include_str!("../../../../testdata/regex/program_sizes.tsv");

    #[test]
    fn programs_are_as_large_as_those_of_re2() {
        let mut wrong = Vec::new();
        for line in SIZES.lines() {
            let (expected, pattern) = line.split_once('\t').expect("a size and a pattern");
            let expression = translate(pattern, Alphabet::Bytes).expect("a pattern that RE2 takes");
            let size = size(&expression).expect("a program that RE2 makes").to_string();
            if size != expected {
                wrong.push(format!("{pattern}: {size}, not {expected}"));
            }
        }
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), SIZES.lines().count(), wrong.join("\n"));
    }

    #[test]
    fn repetitions_within_each_other_are_bounded_as_by_re2() {
        let size = |pattern: &str| size(&translate(pattern, Alphabet::Bytes).expect("a pattern"));
        assert_eq!(size("(a{100}){100}"), Err("invalid repetition size: {100}".to_owned()));
        assert_eq!(size("(a{100}){11}?"), Err("invalid repetition size: {11}?".to_owned()));
        assert_eq!(size("(a{0,500}b{2,}){3,}"), Err("invalid repetition size: {3,}".to_owned()));
        assert!(size("((a{10}){10}){10}").is_ok());
        assert!(size("(((a?){0,10}){0,10}){0,10}").is_ok());
        assert!(size("x{0,1000}").is_ok());
    }

    #[test]
    fn programs_that_are_too_large_for_re2_are_not_made() {
        let pattern = format!("({}){{1000}}", "a".repeat(700));
        let expression = translate(&pattern, Alphabet::Bytes).expect("a pattern");
        assert_eq!(size(&expression), Err("pattern too large - compile failed".to_owned()));
    }
}
