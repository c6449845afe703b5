//! Counted repetitions as plain ones, as RE2 writes them before it compiles.

use std::rc::Rc;

use super::tree::{Flags, Kind, Node, Often, concat, same, text};

/// The same expression without counts.
pub(super) fn simplify(node: &Rc<Node>) -> Rc<Node> {
    plain(&coalesced(node))
}

/// The parts of an expression.
fn subs(node: &Node) -> &[Rc<Node>] {
    match &node.kind {
        Kind::Concat(subs) | Kind::Alternate(subs) => subs,
        Kind::Often(_, sub) | Kind::Capture(sub, _) | Kind::Repeat { of: sub, .. } => {
            std::slice::from_ref(sub)
        }
        _ => &[],
    }
}

/// The same kind of expression with other parts.
fn with_subs(node: &Node, mut subs: Vec<Rc<Node>>) -> Rc<Node> {
    let kind = match &node.kind {
        Kind::Concat(_) => Kind::Concat(subs),
        Kind::Alternate(_) => Kind::Alternate(subs),
        Kind::Often(often, _) => Kind::Often(*often, subs.remove(0)),
        Kind::Capture(_, number) => Kind::Capture(subs.remove(0), *number),
        Kind::Repeat { min, max, .. } => Kind::Repeat { of: subs.remove(0), min: *min, max: *max },
        other => other.clone(),
    };
    Node::rc(kind, node.flags)
}

fn changed(node: &Node, new: &[Rc<Node>]) -> bool {
    !subs(node).iter().zip(new).all(|(old, new)| Rc::ptr_eq(old, new))
}

/// With repetitions of the same byte behind one another made one: `a*a+` is `a{1,}`.
fn coalesced(node: &Rc<Node>) -> Rc<Node> {
    if subs(node).is_empty() {
        return node.clone();
    }
    let mut parts: Vec<Rc<Node>> = subs(node).iter().map(coalesced).collect();
    let is_concat = matches!(node.kind, Kind::Concat(_));
    if !is_concat || !parts.windows(2).any(|two| can_join(&two[0], &two[1])) {
        return if changed(node, &parts) { with_subs(node, parts) } else { node.clone() };
    }
    for at in 1..parts.len() {
        if can_join(&parts[at - 1], &parts[at])
            && let Some((first, second)) = joined(&parts[at - 1], &parts[at])
        {
            parts[at - 1] = first;
            parts[at] = second;
        }
    }
    parts.retain(|part| !matches!(part.kind, Kind::Empty));
    Node::rc(Kind::Concat(parts), node.flags)
}

/// What an operator repeats, and how often at least and at most.
fn counts(node: &Node) -> Option<(&Rc<Node>, u32, Option<u32>)> {
    match &node.kind {
        Kind::Often(Often::Star, sub) => Some((sub, 0, None)),
        Kind::Often(Often::Plus, sub) => Some((sub, 1, None)),
        Kind::Often(Often::Quest, sub) => Some((sub, 0, Some(1))),
        Kind::Repeat { of, min, max } => Some((of, *min, *max)),
        _ => None,
    }
}

fn can_join(first: &Node, second: &Node) -> bool {
    let Some((sub, ..)) = counts(first).filter(|(sub, ..)| sub.is_single()) else { return false };
    let greed = |node: &Node| node.flags.has(Flags::NON_GREEDY);
    if let Some((other, ..)) = counts(second)
        && same(sub, other)
        && greed(first) == greed(second)
    {
        return true;
    }
    let begins_with = match (&sub.kind, &second.kind) {
        (Kind::Literal(byte), Kind::Text(text)) => {
            text.first() == Some(byte) && sub.flags.has(Flags::FOLD) == second.flags.has(Flags::FOLD)
        }
        _ => false,
    };
    same(sub, second) || begins_with
}

/// Both as one repetition and what is left beside it.
fn joined(first: &Node, second: &Node) -> Option<(Rc<Node>, Rc<Node>)> {
    let (sub, min, max) = counts(first)?;
    let repeat = |more: u32, at_most: Option<u32>| {
        let max = max.zip(at_most).map(|(max, more)| max.saturating_add(more));
        Node::rc(Kind::Repeat { of: sub.clone(), min: min.saturating_add(more), max }, first.flags)
    };
    let empty = || Node::rc(Kind::Empty, Flags::NONE);
    if let Some((_, more, at_most)) = counts(second) {
        return Some((empty(), repeat(more, at_most)));
    }
    let (Kind::Literal(byte), Kind::Text(bytes)) = (&sub.kind, &second.kind) else {
        return Some((empty(), repeat(1, Some(1))));
    };
    let taken = bytes.iter().take_while(|other| *other == byte).count();
    let count = u32::try_from(taken).unwrap_or(u32::MAX);
    let repeat = repeat(count, Some(count));
    match &bytes[taken..] {
        [] => Some((empty(), repeat)),
        rest => Some((repeat, Rc::new(text(rest, second.flags)))),
    }
}

fn plain(node: &Rc<Node>) -> Rc<Node> {
    if node.simple {
        return node.clone();
    }
    let parts: Vec<Rc<Node>> = subs(node).iter().map(plain).collect();
    match &node.kind {
        Kind::Often(often, old) => {
            let sub = &parts[0];
            let is_again = matches!(&sub.kind, Kind::Often(inner, _) if inner == often);
            match () {
                () if matches!(sub.kind, Kind::Empty) => sub.clone(),
                () if Rc::ptr_eq(sub, old) => node.clone(),
                () if is_again && sub.flags == node.flags => sub.clone(),
                () => with_subs(node, parts),
            }
        }
        Kind::Repeat { .. } if matches!(parts[0].kind, Kind::Empty) => parts[0].clone(),
        Kind::Repeat { min, max, .. } => repeated(&parts[0], *min, *max, node.flags),
        Kind::Class(ranges) if ranges.is_empty() => Node::rc(Kind::NoMatch, node.flags),
        _ if changed(node, &parts) => with_subs(node, parts),
        _ => node.clone(),
    }
}

/// `x*`, `x+` or `x?`, where operators on operators become one.
fn often(often: Often, sub: Rc<Node>, flags: Flags) -> Rc<Node> {
    match &sub.kind {
        Kind::Often(inner, of) if sub.flags == flags => {
            let both = if *inner == often { often } else { Often::Star };
            if both == *inner { sub } else { Node::rc(Kind::Often(both, of.clone()), flags) }
        }
        _ => Node::rc(Kind::Often(often, sub), flags),
    }
}

/// `x{min,max}` as `xx(x(x)?)?` and its like.
fn repeated(sub: &Rc<Node>, min: u32, max: Option<u32>, flags: Flags) -> Rc<Node> {
    let is_place = |node: &Node| matches!(node.kind, Kind::At(_));
    let is_nothing = is_place(sub)
        || matches!(&sub.kind, Kind::Concat(subs) | Kind::Alternate(subs) if subs.iter().all(|sub| is_place(sub)));
    let (min, max) = if is_nothing { (min.min(1), max.map(|max| max.min(1))) } else { (min, max) };
    let copies = |count: u32| vec![sub.clone(); count as usize];
    let Some(max) = max else {
        return match min {
            0 => often(Often::Star, sub.clone(), flags),
            _ => {
                let mut subs = copies(min - 1);
                subs.push(often(Often::Plus, sub.clone(), flags));
                concat(subs, flags)
            }
        };
    };
    if max == 0 {
        return Node::rc(Kind::Empty, flags);
    }
    let optional = (max > min).then(|| {
        let last = often(Often::Quest, sub.clone(), flags);
        match max - min - 1 {
            0 => last,
            more => Node::rc(Kind::Nested { of: sub.clone(), more, last }, flags),
        }
    });
    match (min, optional) {
        (0, Some(optional)) => optional,
        (_, Some(optional)) => concat(vec![concat(copies(min), flags), optional], flags),
        (_, None) => concat(copies(min), flags),
    }
}
