//! Alternatives, with what they have in common taken out, as RE2 does while it reads.

use std::ops::Range;
use std::rc::Rc;

use super::tree::{Flags, Kind, Node, Ranges, concat, folded, same, text};

/// Alternatives that begin with the same.
struct Splice {
    prefix: Node,
    range: Range<usize>,
}

/// One of several.
pub(super) fn alternatives(subs: Vec<Node>, flags: Flags) -> Node {
    unfactored(factor(subs, flags), flags)
}

fn unfactored(mut subs: Vec<Node>, flags: Flags) -> Node {
    match subs.len() {
        0 => Node::new(Kind::NoMatch, flags),
        1 => subs.remove(0),
        _ => Node::new(Kind::Alternate(subs.into_iter().map(Rc::new).collect()), flags),
    }
}

/// `ABC|ABD|AEF|BCX|BCY` becomes `A(B(C|D)|EF)|BC(X|Y)` and then `A(B[CD]|EF)|BC[XY]`.
fn factor(mut subs: Vec<Node>, flags: Flags) -> Vec<Node> {
    for round in [common_texts, common_beginnings] {
        let splices = round(&mut subs);
        subs = splice(subs, splices, |prefix, suffixes| {
            let suffix = unfactored(factor(suffixes, flags), flags);
            Rc::unwrap_or_clone(concat(vec![Rc::new(prefix), Rc::new(suffix)], flags))
        });
    }
    let classes = runs_of_bytes(&subs, flags);
    splice(subs, classes, |class, _| class)
}

/// Puts for each splice in the place of its alternatives what `join` makes of them.
fn splice(subs: Vec<Node>, splices: Vec<Splice>, join: impl Fn(Node, Vec<Node>) -> Node) -> Vec<Node> {
    let mut out = Vec::with_capacity(subs.len());
    let mut subs = subs.into_iter().enumerate().peekable();
    for Splice { prefix, range } in splices {
        out.extend(std::iter::from_fn(|| subs.next_if(|(at, _)| *at < range.start)).map(|(_, sub)| sub));
        let inner = std::iter::from_fn(|| subs.next_if(|(at, _)| *at < range.end)).map(|(_, sub)| sub);
        out.push(join(prefix, inner.collect()));
    }
    out.extend(subs.map(|(_, sub)| sub));
    out
}

/// Literals that alternatives behind one another begin with; they are taken off.
fn common_texts(subs: &mut [Node]) -> Vec<Splice> {
    let mut splices = Vec::new();
    let mut start = 0;
    while start < subs.len() {
        let (first, fold) = leading_text(&subs[start]);
        let mut common = first.to_vec();
        let mut end = start + 1;
        while let Some((next, next_fold)) = subs.get(end).map(leading_text) {
            let shared = common.iter().zip(next).take_while(|(a, b)| a == b).count();
            if next_fold != fold || shared == 0 {
                break;
            }
            common.truncate(shared);
            end += 1;
        }
        if end - start > 1 {
            subs[start..end].iter_mut().for_each(|sub| remove_leading_text(sub, common.len()));
            let flags = if fold { Flags::FOLD } else { Flags::NONE };
            splices.push(Splice { prefix: text(&common, flags), range: start..end });
        }
        start = end;
    }
    splices
}

/// The literal that an expression begins with, and whether it passes over case.
fn leading_text(mut node: &Node) -> (&[u8], bool) {
    while let Kind::Concat(subs) = &node.kind
        && let Some(first) = subs.first()
    {
        node = first;
    }
    (node.bytes(), node.flags.has(Flags::FOLD))
}

fn remove_leading_text(node: &mut Node, count: usize) {
    match &mut node.kind {
        Kind::Concat(subs) => {
            let Some(first) = subs.first_mut() else { return };
            remove_leading_text(Rc::make_mut(first), count);
            if matches!(first.kind, Kind::Empty) {
                subs.remove(0);
                if subs.len() == 1 {
                    *node = Rc::unwrap_or_clone(subs.remove(0));
                }
            }
        }
        Kind::Literal(_) | Kind::Text(_) => {
            node.kind = text(node.bytes().get(count..).unwrap_or_default(), node.flags).kind;
        }
        _ => {}
    }
}

/// Simple expressions that alternatives behind one another begin with; they are taken off.
fn common_beginnings(subs: &mut [Node]) -> Vec<Splice> {
    let mut splices = Vec::new();
    let mut start = 0;
    while start < subs.len() {
        let first = leading(&subs[start]).filter(|first| may_be_shared(first)).cloned();
        let begins_so = |sub: &Node| match (&first, leading(sub)) {
            (Some(first), Some(other)) => same(first, other),
            _ => false,
        };
        let others = subs[start + 1..].iter().take_while(|sub| begins_so(sub)).count();
        let end = start + 1 + others;
        if let Some(prefix) = first.filter(|_| others > 0) {
            subs[start..end].iter_mut().for_each(remove_leading);
            splices.push(Splice { prefix, range: start..end });
        }
        start = end;
    }
    splices
}

/// Whether alternatives that begin so may share it: nothing that takes one of several ways through a text.
fn may_be_shared(first: &Node) -> bool {
    match &first.kind {
        Kind::At(_) | Kind::Class(_) | Kind::AnyChar | Kind::AnyByte => true,
        Kind::Repeat { of, min, max } => Some(*min) == *max && of.is_single(),
        _ => false,
    }
}

/// What an expression begins with; `None` where that is nothing.
fn leading(node: &Node) -> Option<&Node> {
    let first = match &node.kind {
        Kind::Concat(subs) if subs.len() >= 2 => &subs[0],
        _ => node,
    };
    (!matches!(first.kind, Kind::Empty)).then_some(first)
}

fn remove_leading(node: &mut Node) {
    match &mut node.kind {
        Kind::Concat(subs) if subs.len() > 2 => {
            subs.remove(0);
        }
        Kind::Concat(subs) if subs.len() == 2 => *node = Rc::unwrap_or_clone(subs.remove(1)),
        _ => *node = Node::new(Kind::Empty, node.flags),
    }
}

/// Bytes and classes behind one another, which become one class.
fn runs_of_bytes(subs: &[Node], flags: Flags) -> Vec<Splice> {
    let mut splices = Vec::new();
    let is_byte = |node: &Node| matches!(node.kind, Kind::Literal(_) | Kind::Class(_));
    let mut start = 0;
    while start < subs.len() {
        let run = subs[start..].iter().take_while(|sub| is_byte(sub)).count();
        if run > 1 {
            let mut ranges = Ranges::new();
            subs[start..start + run].iter().for_each(|sub| add(sub, &mut ranges));
            let class = Node::new(Kind::Class(merged(ranges)), flags.without(Flags::FOLD));
            splices.push(Splice { prefix: class, range: start..start + run });
        }
        start += run.max(1);
    }
    splices
}

fn add(node: &Node, ranges: &mut Ranges) {
    match &node.kind {
        Kind::Class(class) => ranges.extend(class),
        Kind::Literal(byte) if node.flags.has(Flags::FOLD) => ranges.extend(folded(*byte)),
        Kind::Literal(byte) => ranges.push((*byte, *byte)),
        _ => {}
    }
}

/// Sorted, and those joined that touch or overlap.
fn merged(mut ranges: Ranges) -> Ranges {
    ranges.sort_unstable();
    let mut out = Ranges::with_capacity(ranges.len());
    for (low, high) in ranges {
        match out.last_mut() {
            Some((_, last)) if low <= last.saturating_add(1) => *last = high.max(*last),
            _ => out.push((low, high)),
        }
    }
    out
}
