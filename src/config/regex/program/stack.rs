//! What is read of a pattern and waits to become part of something.

use std::rc::Rc;

use super::factor::alternatives;
use super::tree::{Flags, Kind, Node, Ranges, concat, folded};

/// What waits to become part of something.
enum Item {
    Node(Node),
    /// A `|`: below it alternatives, above it what is put behind one another.
    Bar,
    /// A `(`, the flags before it, and its number if it captures.
    Open(Flags, Option<u32>),
}

/// What waits, and what holds for what is read next.
pub(super) struct Stack {
    items: Vec<Item>,
    pub(super) flags: Flags,
}

impl Stack {
    pub(super) fn new() -> Self {
        Stack { items: Vec::new(), flags: Flags::ONE_LINE }
    }

    /// Begins a group.
    pub(super) fn open(&mut self, number: Option<u32>) {
        self.join_literals();
        self.items.push(Item::Open(self.flags, number));
    }

    /// Ends a group; its flags end with it.
    pub(super) fn close(&mut self) {
        self.alternation();
        let content = self.items.pop();
        let open = self.items.pop();
        if let (Some(Item::Node(content)), Some(Item::Open(flags, number))) = (content, open) {
            self.flags = flags;
            self.push(match number {
                Some(number) => Node::new(Kind::Capture(Rc::new(content), number), flags),
                None => content,
            });
        }
    }

    /// The whole.
    pub(super) fn finish(mut self) -> Node {
        self.alternation();
        match self.items.pop() {
            Some(Item::Node(node)) => node,
            _ => Node::new(Kind::Empty, self.flags),
        }
    }

    /// Takes what an operator is about.
    pub(super) fn pop(&mut self) -> Option<Node> {
        match self.items.pop() {
            Some(Item::Node(node)) => Some(node),
            _ => None,
        }
    }

    /// Puts back what an operator made of it.
    pub(super) fn put(&mut self, node: Node) {
        self.items.push(Item::Node(node));
    }

    /// A class just read: with one byte, or one letter in both cases, it is a literal.
    pub(super) fn push_class(&mut self, ranges: Ranges) {
        let literal = match ranges[..] {
            [(low, high)] if low == high => Some((low, self.flags)),
            [(upper, a), (lower, b)] if upper == a && lower == b && ranges == folded(lower) => {
                Some((lower, self.flags.with(Flags::FOLD)))
            }
            _ => None,
        };
        match literal {
            Some((byte, flags)) => self.push(Node::new(Kind::Literal(byte), flags)),
            None => self.push(Node::new(Kind::Class(ranges), self.flags.without(Flags::FOLD))),
        }
    }

    pub(super) fn push(&mut self, node: Node) {
        self.join_literals();
        self.items.push(Item::Node(node.judged()));
    }

    /// Makes one text of the two literals on top.
    pub(super) fn join_literals(&mut self) {
        let [.., Item::Node(below), Item::Node(top)] = &mut self.items[..] else { return };
        let are_literals =
            [&*below, top].iter().all(|node| matches!(node.kind, Kind::Literal(_) | Kind::Text(_)));
        if !are_literals || below.flags.has(Flags::FOLD) != top.flags.has(Flags::FOLD) {
            return;
        }
        match &mut below.kind {
            Kind::Text(text) => text.extend_from_slice(top.bytes()),
            kind => {
                let mut text = Vec::new();
                if let Kind::Literal(first) = kind {
                    text.push(*first);
                }
                text.extend_from_slice(top.bytes());
                *kind = Kind::Text(text);
            }
        }
        self.items.pop();
    }

    pub(super) fn bar(&mut self) {
        self.join_literals();
        self.concatenation();
        match &self.items[..] {
            [.., Item::Node(below), Item::Bar, Item::Node(top)]
                if below.is_single() && top.is_single() && top.kind_or(below) =>
            {
                let at = self.items.len() - 3;
                let keep = if matches!(below.kind, Kind::AnyChar) { at } else { at + 2 };
                self.items.swap(at, keep);
                self.items.truncate(at + 2);
            }
            [.., Item::Bar, Item::Node(_)] => {
                let at = self.items.len() - 2;
                self.items.swap(at, at + 1);
            }
            _ => self.items.push(Item::Bar),
        }
    }

    fn concatenation(&mut self) {
        if !matches!(self.items.last(), Some(Item::Node(_))) {
            self.push(Node::new(Kind::Empty, self.flags));
        }
        let subs = self.above_marker();
        self.collapse(
            subs,
            |node| match node.kind {
                Kind::Concat(subs) => Ok(subs),
                _ => Err(node),
            },
            |subs, flags| Rc::unwrap_or_clone(concat(subs, flags)),
        );
    }

    fn alternation(&mut self) {
        self.bar();
        self.items.pop();
        let subs = self.above_marker();
        self.collapse(
            subs,
            |node| match node.kind {
                Kind::Alternate(subs) => Ok(subs),
                _ => Err(node),
            },
            |subs, flags| alternatives(subs.into_iter().map(Rc::unwrap_or_clone).collect(), flags),
        );
    }

    /// Takes what stands above the last marker.
    fn above_marker(&mut self) -> Vec<Node> {
        let from = self.items.iter().rposition(|item| !matches!(item, Item::Node(_))).map_or(0, |at| at + 1);
        let nodes = self.items.drain(from..).filter_map(|item| match item {
            Item::Node(node) => Some(node),
            Item::Bar | Item::Open(..) => None,
        });
        nodes.collect()
    }

    /// Puts one node in the place of several; those of its own kind are taken apart.
    fn collapse(
        &mut self,
        mut nodes: Vec<Node>,
        parts: impl Fn(Node) -> Result<Vec<Rc<Node>>, Node>,
        whole: impl Fn(Vec<Rc<Node>>, Flags) -> Node,
    ) {
        if nodes.len() == 1 {
            self.items.extend(nodes.pop().map(Item::Node));
            return;
        }
        let mut subs = Vec::with_capacity(nodes.len());
        for node in nodes {
            match parts(node) {
                Ok(inner) => subs.extend(inner),
                Err(node) => subs.push(Rc::new(node)),
            }
        }
        self.items.push(Item::Node(whole(subs, self.flags).judged()));
    }
}

impl Node {
    /// Whether one of two alternatives is any character, so that it is both.
    fn kind_or(&self, other: &Node) -> bool {
        let is_any = |node: &Node| matches!(node.kind, Kind::AnyChar);
        let is_byte = |node: &Node| matches!(node.kind, Kind::AnyByte);
        (is_any(self) || is_any(other)) && !is_byte(self) && !is_byte(other)
    }
}
