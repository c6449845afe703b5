//! Expressions as RE2 has them between reading and compiling.

use std::rc::Rc;

/// Bytes, as sorted ranges that neither touch nor overlap; both ends are in.
pub(super) type Ranges = Vec<(u8, u8)>;

/// The last byte that there is.
pub(super) const LAST: u8 = 0xFF;

/// What the letters of `(?i)` and its like say of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    /// `i`
    pub(super) const FOLD: Flags = Flags(1);
    /// The opposite of `m`.
    pub(super) const ONE_LINE: Flags = Flags(2);
    /// `s`
    pub(super) const DOT_NL: Flags = Flags(4);
    /// `U`, or a `?` behind an operator.
    pub(super) const NON_GREEDY: Flags = Flags(8);
    /// Of the end of a text: it was a `$`.
    pub(super) const DOLLAR: Flags = Flags(16);
    /// None of them.
    pub(super) const NONE: Flags = Flags(0);

    pub(super) fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }

    pub(super) fn with(self, flag: Flags) -> Flags {
        Flags(self.0 | flag.0)
    }

    pub(super) fn without(self, flag: Flags) -> Flags {
        Flags(self.0 & !flag.0)
    }

    pub(super) fn toggled(self, flag: Flags) -> Flags {
        Flags(self.0 ^ flag.0)
    }

    fn differ_in(self, other: Flags, flag: Flags) -> bool {
        self.has(flag) != other.has(flag)
    }
}

/// Operators that repeat without counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Often {
    Star,
    Plus,
    Quest,
}

/// Places in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    BeginLine,
    EndLine,
    BeginText,
    EndText,
    WordBoundary,
    NoWordBoundary,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    NoMatch,
    Empty,
    /// One byte.
    Literal(u8),
    /// Several bytes.
    Text(Vec<u8>),
    Concat(Vec<Rc<Node>>),
    Alternate(Vec<Rc<Node>>),
    Often(Often, Rc<Node>),
    Repeat {
        of: Rc<Node>,
        min: u32,
        /// `None` for no end.
        max: Option<u32>,
    },
    /// `(x(x(last)?)?)?`: `more` times `of` before `last`. Only after simplifying.
    Nested {
        of: Rc<Node>,
        more: u32,
        last: Rc<Node>,
    },
    /// By its number.
    Capture(Rc<Node>, u32),
    AnyChar,
    AnyByte,
    At(Place),
    Class(Ranges),
}

/// An expression.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) flags: Flags,
    /// Whether it is known that simplifying changes nothing.
    pub(super) simple: bool,
}

impl Node {
    pub(super) fn new(kind: Kind, flags: Flags) -> Node {
        Node { kind, flags, simple: false }
    }

    pub(super) fn rc(kind: Kind, flags: Flags) -> Rc<Node> {
        Rc::new(Node::new(kind, flags))
    }

    /// With [`Self::simple`] found out.
    pub(super) fn judged(mut self) -> Node {
        self.simple = self.is_simple();
        self
    }

    fn is_simple(&self) -> bool {
        match &self.kind {
            Kind::Concat(subs) | Kind::Alternate(subs) => subs.iter().all(|sub| sub.simple),
            Kind::Class(ranges) => !ranges.is_empty(),
            Kind::Capture(sub, _) => sub.simple,
            Kind::Often(_, sub) => {
                sub.simple && !matches!(sub.kind, Kind::Often(..) | Kind::Empty | Kind::NoMatch)
            }
            Kind::Repeat { .. } => false,
            _ => true,
        }
    }

    /// Whether it is one byte of some kind.
    pub(super) fn is_single(&self) -> bool {
        matches!(self.kind, Kind::Literal(_) | Kind::Class(_) | Kind::AnyChar | Kind::AnyByte)
    }

    /// The bytes of a literal.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.kind {
            Kind::Literal(byte) => std::slice::from_ref(byte),
            Kind::Text(text) => text,
            _ => &[],
        }
    }
}

/// Bytes in a row: nothing, one, or a text.
pub(super) fn text(bytes: &[u8], flags: Flags) -> Node {
    let kind = match bytes {
        [] => Kind::Empty,
        [one] => Kind::Literal(*one),
        several => Kind::Text(several.to_vec()),
    };
    Node::new(kind, flags)
}

/// A byte, as a letter in both cases.
pub(super) fn folded(byte: u8) -> Ranges {
    let (upper, lower) = (byte.to_ascii_uppercase(), byte.to_ascii_lowercase());
    if upper == lower { vec![(byte, byte)] } else { vec![(upper, upper), (lower, lower)] }
}

/// One behind the other.
pub(super) fn concat(mut subs: Vec<Rc<Node>>, flags: Flags) -> Rc<Node> {
    match subs.len() {
        0 => Node::rc(Kind::Empty, flags),
        1 => subs.remove(0),
        _ => Node::rc(Kind::Concat(subs), flags),
    }
}

/// Whether two expressions are the same.
pub(super) fn same(a: &Node, b: &Node) -> bool {
    let all = |a: &[Rc<Node>], b: &[Rc<Node>]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    match (&a.kind, &b.kind) {
        (Kind::NoMatch, Kind::NoMatch)
        | (Kind::Empty, Kind::Empty)
        | (Kind::AnyChar, Kind::AnyChar)
        | (Kind::AnyByte, Kind::AnyByte) => true,
        (Kind::At(a_at), Kind::At(b_at)) => a_at == b_at && !a.flags.differ_in(b.flags, Flags::DOLLAR),
        (Kind::Literal(_), Kind::Literal(_)) | (Kind::Text(_), Kind::Text(_)) => {
            a.bytes() == b.bytes() && !a.flags.differ_in(b.flags, Flags::FOLD)
        }
        (Kind::Concat(a), Kind::Concat(b)) | (Kind::Alternate(a), Kind::Alternate(b)) => all(a, b),
        (Kind::Often(a_often, a_sub), Kind::Often(b_often, b_sub)) => {
            a_often == b_often && !a.flags.differ_in(b.flags, Flags::NON_GREEDY) && same(a_sub, b_sub)
        }
        (Kind::Repeat { of: a_of, min, max }, Kind::Repeat { of, min: b_min, max: b_max }) => {
            (min, max) == (b_min, b_max) && !a.flags.differ_in(b.flags, Flags::NON_GREEDY) && same(a_of, of)
        }
        (Kind::Capture(a, a_number), Kind::Capture(b, b_number)) => a_number == b_number && same(a, b),
        (Kind::Class(a), Kind::Class(b)) => a == b,
        _ => false,
    }
}
