//! Expressions as instructions.

use std::rc::Rc;

use super::instructions::{Ends, Fragment, Instruction, Instructions, Op};
use super::tree::{Flags, Kind, LAST, Node, Often, Place, concat};

/// The most instructions that RE2 makes with the memory that it has by default: two thirds of 8 MiB, of which the
/// program itself takes 432 bytes and each instruction 8.
const MAX_INSTRUCTIONS: usize = ((8 << 20) * 2 / 3 - 432) / 8;

/// How deep an anchor is looked for.
const ANCHOR_DEPTH: usize = 4;

/// A compiled expression.
pub(super) struct Program {
    pub(super) instructions: Vec<Instruction>,
    /// Where it begins when it has to match from here on.
    pub(super) start: u32,
    /// Where it begins when it may match from anywhere on.
    pub(super) start_unanchored: u32,
}

/// The program of an expression without counts; `None` where it would be too large.
pub(super) fn compile(node: &Rc<Node>) -> Option<Program> {
    let (node, is_anchored) = match without_start(node, 0) {
        Some(rest) => (rest, true),
        None => (node.clone(), false),
    };
    let node = without_end(&node, 0).unwrap_or(node);
    let instructions = Instructions::new(MAX_INSTRUCTIONS);
    let mut compiler = Compiler { instructions, visits: 0 };
    let body = compiler.fragment(&node);
    let end = compiler.instructions.one(Op::Match, false);
    let end = Fragment { ends: Ends::default(), ..end };
    let mut whole = compiler.instructions.cat(body, end);
    let start = whole.begin;
    if !is_anchored {
        let any = compiler.instructions.bytes(0, 0xFF, false);
        let before = compiler.instructions.star(any, true);
        whole = compiler.instructions.cat(before, whole);
    }
    let too_many = compiler.instructions.too_many;
    let instructions = compiler.instructions.all;
    (!too_many).then_some(Program { instructions, start, start_unanchored: whole.begin })
}

struct Compiler {
    instructions: Instructions,
    visits: usize,
}

impl Compiler {
    fn fragment(&mut self, node: &Node) -> Fragment {
        self.visits += 1;
        if self.visits > 2 * MAX_INSTRUCTIONS {
            self.instructions.too_many = true;
        }
        if self.instructions.too_many {
            return Fragment::default();
        }
        let lazy = node.flags.has(Flags::NON_GREEDY);
        match &node.kind {
            Kind::NoMatch | Kind::Repeat { .. } => Fragment::default(),
            Kind::Empty => self.instructions.one(Op::Nop, true),
            Kind::Literal(_) | Kind::Text(_) => self.text(node),
            Kind::Concat(subs) => self.several(subs, Instructions::cat),
            Kind::Alternate(subs) => self.several(subs, Instructions::alt),
            Kind::Often(often, sub) => {
                let sub = self.fragment(sub);
                match often {
                    Often::Star => self.instructions.star(sub, lazy),
                    Often::Plus => self.instructions.plus(sub, lazy),
                    Often::Quest => self.instructions.quest(sub, lazy),
                }
            }
            Kind::Nested { of, more, last } => self.nested(of, *more, last, lazy),
            Kind::Capture(sub, _) => {
                let sub = self.fragment(sub);
                self.instructions.capture(sub)
            }
            Kind::AnyChar => self.class(&[(0, LAST)]),
            Kind::AnyByte => self.instructions.bytes(0, 0xFF, false),
            Kind::At(_) => self.instructions.one(Op::Place, true),
            Kind::Class(ranges) => self.class(ranges),
        }
    }

    fn several(
        &mut self,
        subs: &[Rc<Node>],
        join: fn(&mut Instructions, Fragment, Fragment) -> Fragment,
    ) -> Fragment {
        // RE2 has all parts first.
        let parts: Vec<Fragment> = subs.iter().map(|sub| self.fragment(sub)).collect();
        let joined = parts.into_iter().reduce(|whole, part| join(&mut self.instructions, whole, part));
        joined.unwrap_or_default()
    }

    fn nested(&mut self, of: &Node, more: u32, last: &Node, lazy: bool) -> Fragment {
        let before: Vec<Fragment> = (0..more).map(|_| self.fragment(of)).collect();
        let mut whole = self.fragment(last);
        for part in before.into_iter().rev() {
            let both = self.instructions.cat(part, whole);
            whole = self.instructions.quest(both, lazy);
        }
        whole
    }

    fn text(&mut self, node: &Node) -> Fragment {
        let fold = node.flags.has(Flags::FOLD);
        let bytes = node.bytes().iter().map(|byte| self.instructions.bytes(*byte, *byte, fold));
        let bytes: Vec<Fragment> = bytes.collect();
        let joined = bytes.into_iter().reduce(|whole, byte| self.instructions.cat(whole, byte));
        joined.unwrap_or_default()
    }

    fn class(&mut self, ranges: &[(u8, u8)]) -> Fragment {
        let contains = |byte: u8| ranges.iter().any(|(low, high)| (*low..=*high).contains(&byte));
        // Those in capitals are left out where they say the same, and the others match in both cases.
        let folds = (b'A'..=b'Z').all(|upper| contains(upper) == contains(upper.to_ascii_lowercase()));
        let mut whole = Fragment::default();
        for &(low, high) in ranges {
            if folds && b'A' <= low && high <= b'Z' {
                continue;
            }
            let has_all = low <= b'A' && b'z' <= high;
            let has_none = high < b'A' || b'z' < low || (b'Z' < low && high < b'a');
            let range = self.instructions.bytes(low, high, folds && !has_all && !has_none);
            whole = self.instructions.alt(whole, range);
        }
        whole
    }
}

/// The expression behind the start of the text; `None` where it need not begin there.
fn without_start(node: &Rc<Node>, depth: usize) -> Option<Rc<Node>> {
    without(node, depth, Place::BeginText)
}

/// The expression before the end of the text; `None` where it need not end there.
fn without_end(node: &Rc<Node>, depth: usize) -> Option<Rc<Node>> {
    without(node, depth, Place::EndText)
}

fn without(node: &Rc<Node>, depth: usize, place: Place) -> Option<Rc<Node>> {
    if depth >= ANCHOR_DEPTH {
        return None;
    }
    match &node.kind {
        Kind::At(at) if *at == place => Some(Node::rc(Kind::Empty, node.flags)),
        Kind::Concat(subs) => {
            let mut subs = subs.clone();
            let outermost = if place == Place::EndText { subs.last_mut() } else { subs.first_mut() }?;
            *outermost = without(outermost, depth + 1, place)?;
            Some(concat(subs, node.flags))
        }
        Kind::Capture(sub, number) => {
            let sub = without(sub, depth + 1, place)?;
            Some(Node::rc(Kind::Capture(sub, *number), node.flags))
        }
        _ => None,
    }
}
