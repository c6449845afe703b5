//! The instructions of a program, and how RE2 puts fragments of it together.

/// What an instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Fail,
    Match,
    Nop,
    /// Goes two ways.
    Alt,
    /// Goes two ways: through all bytes, or to the end.
    AltMatch,
    /// Takes a byte, in both cases where `fold`.
    Bytes {
        low: u8,
        high: u8,
        fold: bool,
    },
    Capture,
    /// Is at a place.
    Place,
}

/// An instruction and those that follow it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instruction {
    pub(super) op: Op,
    pub(super) out: u32,
    /// Only where there are two ways.
    pub(super) out1: u32,
}

/// Ends that lead nowhere yet, a list through the instructions themselves: twice their number, odd for their second way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    head: u32,
    tail: u32,
}

impl Ends {
    pub(super) fn of(id: u32, second: bool) -> Ends {
        let end = id << 1 | u32::from(second);
        Ends { head: end, tail: end }
    }
}

/// A part of a program. It begins with 0 where nothing matches.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fragment {
    pub(super) begin: u32,
    pub(super) ends: Ends,
    /// Whether it matches nothing, too.
    pub(super) nullable: bool,
}

/// Instructions, the first of which fails.
#[derive(Debug)]
pub(super) struct Instructions {
    pub(super) all: Vec<Instruction>,
    max: usize,
    /// Whether there were more than `max`.
    pub(super) too_many: bool,
}

impl Instructions {
    pub(super) fn new(max: usize) -> Self {
        let mut instructions = Instructions { all: Vec::new(), max, too_many: false };
        instructions.add(Op::Fail, 0, 0);
        instructions
    }

    pub(super) fn add(&mut self, op: Op, out: u32, out1: u32) -> u32 {
        let id = u32::try_from(self.all.len()).unwrap_or(0);
        if self.all.len() >= self.max {
            self.too_many = true;
            return 0;
        }
        self.all.push(Instruction { op, out, out1 });
        id
    }

    pub(super) fn at(&self, id: u32) -> Instruction {
        self.all[id as usize]
    }

    pub(super) fn at_mut(&mut self, id: u32) -> &mut Instruction {
        &mut self.all[id as usize]
    }

    fn end(&mut self, end: u32) -> &mut u32 {
        let instruction = self.at_mut(end >> 1);
        if end & 1 == 1 { &mut instruction.out1 } else { &mut instruction.out }
    }

    /// Leads all ends to an instruction.
    pub(super) fn lead(&mut self, ends: Ends, to: u32) {
        let mut end = ends.head;
        while end != 0 {
            end = std::mem::replace(self.end(end), to);
        }
    }

    pub(super) fn joined(&mut self, first: Ends, second: Ends) -> Ends {
        match (first.head, second.head) {
            (0, _) => second,
            (_, 0) => first,
            _ => {
                *self.end(first.tail) = second.head;
                Ends { head: first.head, tail: second.tail }
            }
        }
    }

    pub(super) fn one(&mut self, op: Op, nullable: bool) -> Fragment {
        let id = self.add(op, 0, 0);
        Fragment { begin: id, ends: Ends::of(id, false), nullable }
    }

    pub(super) fn bytes(&mut self, low: u8, high: u8, fold: bool) -> Fragment {
        self.one(Op::Bytes { low, high, fold }, false)
    }

    pub(super) fn cat(&mut self, a: Fragment, b: Fragment) -> Fragment {
        if a.begin == 0 || b.begin == 0 || self.too_many {
            return Fragment::default();
        }
        let begin = self.at(a.begin);
        self.lead(a.ends, b.begin);
        if begin.op == Op::Nop && a.ends.head == a.begin << 1 && begin.out == 0 {
            return b;
        }
        Fragment { begin: a.begin, ends: b.ends, nullable: a.nullable && b.nullable }
    }

    pub(super) fn alt(&mut self, a: Fragment, b: Fragment) -> Fragment {
        if a.begin == 0 || b.begin == 0 {
            return if a.begin == 0 { b } else { a };
        }
        let begin = self.add(Op::Alt, a.begin, b.begin);
        let ends = self.joined(a.ends, b.ends);
        Fragment { begin, ends, nullable: a.nullable || b.nullable }
    }

    /// An instruction that goes on with `to`, or not; the end is the way that does not.
    fn maybe(&mut self, to: u32, lazy: bool) -> (u32, Ends) {
        let id = if lazy { self.add(Op::Alt, 0, to) } else { self.add(Op::Alt, to, 0) };
        (id, Ends::of(id, !lazy))
    }

    pub(super) fn plus(&mut self, a: Fragment, lazy: bool) -> Fragment {
        let (id, ends) = self.maybe(a.begin, lazy);
        self.lead(a.ends, id);
        Fragment { begin: a.begin, ends, nullable: a.nullable }
    }

    pub(super) fn star(&mut self, a: Fragment, lazy: bool) -> Fragment {
        if a.nullable {
            let plus = self.plus(a, lazy);
            return self.quest(plus, lazy);
        }
        let (id, ends) = self.maybe(a.begin, lazy);
        self.lead(a.ends, id);
        Fragment { begin: id, ends, nullable: true }
    }

    pub(super) fn quest(&mut self, a: Fragment, lazy: bool) -> Fragment {
        if a.begin == 0 {
            return self.one(Op::Nop, true);
        }
        let (id, end) = self.maybe(a.begin, lazy);
        let ends = self.joined(end, a.ends);
        Fragment { begin: id, ends, nullable: true }
    }

    pub(super) fn capture(&mut self, a: Fragment) -> Fragment {
        if a.begin == 0 {
            return a;
        }
        let begin = self.add(Op::Capture, a.begin, 0);
        let end = self.add(Op::Capture, 0, 0);
        self.lead(a.ends, end);
        Fragment { begin, ends: Ends::of(end, false), nullable: a.nullable }
    }
}
