//! Differences for people.

use std::fmt::Write as _;

use crate::observation::Observation;

/// The parts in which `observed` is not as `expected`, line by line; empty when they agree.
pub(crate) fn differences(expected: &Observation, observed: &Observation) -> String {
    let mut text = String::new();
    for ((part, expected), (_, observed)) in expected.parts().into_iter().zip(observed.parts()) {
        if expected != observed {
            writeln!(text, "  {part}:").expect("a string takes every write");
            lines(&mut text, &expected, &observed);
        }
    }
    text
}

/// `-` expected but not there, `+` there but not expected.
fn lines(text: &mut String, expected: &str, observed: &str) {
    let expected: Vec<&str> = expected.lines().collect();
    let observed: Vec<&str> = observed.lines().collect();
    let common = common_lengths(&expected, &observed);
    let (mut left, mut right) = (0, 0);
    while left < expected.len() || right < observed.len() {
        let (mark, line) =
            if left < expected.len() && right < observed.len() && expected[left] == observed[right] {
                (left, right) = (left + 1, right + 1);
                (' ', expected[left - 1])
            } else if right == observed.len()
                || (left < expected.len() && common[left + 1][right] >= common[left][right + 1])
            {
                left += 1;
                ('-', expected[left - 1])
            } else {
                right += 1;
                ('+', observed[right - 1])
            };
        writeln!(text, "    {mark} {line}").expect("a string takes every write");
    }
}

/// `[i][j]`: how many lines the rests from `i` and from `j` have in common, in order.
fn common_lengths(left: &[&str], right: &[&str]) -> Vec<Vec<usize>> {
    let mut lengths = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            lengths[i][j] = if left[i] == right[j] {
                lengths[i + 1][j + 1] + 1
            } else {
                lengths[i + 1][j].max(lengths[i][j + 1])
            };
        }
    }
    lengths
}
