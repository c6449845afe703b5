//! How large a program is once RE2 has flattened it: what follows without taking a byte stands in one list.
//!
//! Each list begins at a root: what follows an instruction that takes a byte, and what can be reached from several
//! lists, which would otherwise hold it twice.

use super::compile::Program;
use super::instructions::{Instruction, Op};

/// How many instructions there are in all lists.
pub(super) fn size(mut program: Program) -> usize {
    if program.start == 0 && program.start_unanchored == 0 {
        return 1;
    }
    let count = program.instructions.len();
    optimize(&mut program);
    let mut graph = Graph {
        instructions: program.instructions,
        is_root: vec![false; count],
        before: vec![Vec::new(); count],
        seen: Seen { stamps: vec![0; count], stamp: 0, order: Vec::new() },
    };
    for root in [0, program.start_unanchored, program.start] {
        graph.is_root[root as usize] = true;
    }
    graph.mark_successors(program.start_unanchored);
    let roots: Vec<u32> = (1..count as u32).filter(|id| graph.is_root[*id as usize]).rev().collect();
    for root in roots {
        if root != program.start_unanchored && root != program.start {
            graph.mark_shared(root);
        }
    }
    let mut size = 0;
    for root in 0..count as u32 {
        if graph.is_root[root as usize] {
            size += graph.list_size(root);
        }
    }
    size
}

/// Leaves out what does nothing, and marks loops through all bytes.
fn optimize(program: &mut Program) {
    let instructions = &mut program.instructions;
    let order = reachable(instructions, program.start, |instructions, id| {
        let Instruction { op, out, out1 } = instructions[id as usize];
        instructions[id as usize].out = behind_nops(instructions, out);
        if op == Op::Alt {
            instructions[id as usize].out1 = behind_nops(instructions, out1);
        }
    });
    for id in order {
        let Instruction { op, out, out1 } = instructions[id as usize];
        let loops = |way: u32| {
            let way = instructions[way as usize];
            way.out == id && matches!(way.op, Op::Bytes { low: 0, high: 0xFF, .. })
        };
        let (first, second) = (out, out1);
        if op == Op::Alt
            && (loops(first) && is_match(instructions, second)
                || is_match(instructions, first) && loops(second))
        {
            instructions[id as usize].op = Op::AltMatch;
        }
    }
}

/// What can be reached from `start`, nearest first; `visit` is called with each.
fn reachable(
    instructions: &mut [Instruction],
    start: u32,
    visit: impl Fn(&mut [Instruction], u32),
) -> Vec<u32> {
    let mut is_queued = vec![false; instructions.len()];
    let mut queue = Vec::new();
    let mut enqueue = |id: u32, queue: &mut Vec<u32>| {
        if id != 0 && !std::mem::replace(&mut is_queued[id as usize], true) {
            queue.push(id);
        }
    };
    enqueue(start, &mut queue);
    let mut at = 0;
    while let Some(&id) = queue.get(at) {
        at += 1;
        visit(instructions, id);
        let Instruction { op, out, out1 } = instructions[id as usize];
        enqueue(out, &mut queue);
        if op == Op::Alt {
            enqueue(out1, &mut queue);
        }
    }
    queue
}

fn behind_nops(instructions: &[Instruction], mut id: u32) -> u32 {
    while id != 0 && instructions[id as usize].op == Op::Nop {
        id = instructions[id as usize].out;
    }
    id
}

/// Whether nothing but the end follows.
fn is_match(instructions: &[Instruction], mut id: u32) -> bool {
    loop {
        let instruction = instructions[id as usize];
        match instruction.op {
            Op::Match => return true,
            Op::Capture | Op::Nop => id = instruction.out,
            _ => return false,
        }
    }
}

struct Graph {
    instructions: Vec<Instruction>,
    is_root: Vec<bool>,
    /// The instructions with two ways that lead to each.
    before: Vec<Vec<u32>>,
    seen: Seen,
}

/// What was seen on one walk.
struct Seen {
    stamps: Vec<u32>,
    stamp: u32,
    order: Vec<u32>,
}

impl Seen {
    fn clear(&mut self) {
        self.stamp += 1;
        self.order.clear();
    }

    fn has(&self, id: u32) -> bool {
        self.stamps[id as usize] == self.stamp
    }

    /// Whether it is new.
    fn add(&mut self, id: u32) -> bool {
        let is_new = !self.has(id);
        if is_new {
            self.stamps[id as usize] = self.stamp;
            self.order.push(id);
        }
        is_new
    }
}

impl Graph {
    /// Marks what follows a byte, a group's end or a place, and notes what leads where.
    fn mark_successors(&mut self, start: u32) {
        self.seen.clear();
        let mut stack = vec![start];
        while let Some(id) = stack.pop() {
            if !self.seen.add(id) {
                continue;
            }
            let Instruction { op, out, out1 } = self.instructions[id as usize];
            match op {
                Op::Alt | Op::AltMatch => {
                    self.before[out as usize].push(id);
                    self.before[out1 as usize].push(id);
                    stack.extend([out1, out]);
                }
                Op::Bytes { .. } | Op::Capture | Op::Place => {
                    self.is_root[out as usize] = true;
                    stack.push(out);
                }
                Op::Nop => stack.push(out),
                Op::Match | Op::Fail => {}
            }
        }
    }

    /// Walks the list of a root; `each` is told of instructions, and whether they are roots of other lists.
    fn walk(&mut self, root: u32, mut each: impl FnMut(Op, bool)) {
        self.seen.clear();
        let mut stack = vec![root];
        while let Some(id) = stack.pop() {
            if !self.seen.add(id) {
                continue;
            }
            let Instruction { op, out, out1 } = self.instructions[id as usize];
            let is_other = id != root && self.is_root[id as usize];
            each(op, is_other);
            match op {
                _ if is_other => {}
                Op::Alt | Op::AltMatch => stack.extend([out1, out]),
                Op::Nop => stack.push(out),
                _ => {}
            }
        }
    }

    /// Marks what can be reached from elsewhere than from this root.
    fn mark_shared(&mut self, root: u32) {
        self.walk(root, |_, _| {});
        for id in &self.seen.order {
            if self.before[*id as usize].iter().any(|before| !self.seen.has(*before)) {
                self.is_root[*id as usize] = true;
            }
        }
    }

    /// How many instructions the list of a root has.
    fn list_size(&mut self, root: u32) -> usize {
        let mut size = 0;
        self.walk(root, |op, is_other| match op {
            _ if is_other => size += 1,
            Op::Alt | Op::Nop => {}
            Op::AltMatch | Op::Bytes { .. } | Op::Capture | Op::Place | Op::Match | Op::Fail => size += 1,
        });
        size
    }
}
