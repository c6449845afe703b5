//! A pattern as RE2 reads it: literals in a row become one text, alternatives with common beginnings are factored.

use std::rc::Rc;

use regex_syntax::ast::{self, Ast};
use regex_syntax::hir::{self, translate::TranslatorBuilder};

use super::stack::Stack;
use super::tree::{Flags, Kind, LAST, Node, Often, Place, Ranges, folded};

/// The most copies that repetitions within each other may ask for.
const MAX_COPIES: u32 = 1000;

/// The tree of an expression in the syntax of the `regex` crate, made of one in RE2's.
///
/// # Errors
/// What RE2 says of repetitions within each other that are too many.
pub(super) fn read(expression: &str) -> Result<Rc<Node>, String> {
    // What the crate does not take either is refused by it.
    let Ok(ast) = ast::parse::Parser::new().parse(expression) else {
        return Ok(Node::rc(Kind::Empty, Flags::NONE));
    };
    let mut reader = Reader { expression, stack: Stack::new(), captures: 0 };
    reader.expression(&ast)?;
    Ok(Rc::new(reader.stack.finish()))
}

struct Reader<'e> {
    expression: &'e str,
    stack: Stack,
    captures: u32,
}

impl Reader<'_> {
    fn expression(&mut self, ast: &Ast) -> Result<(), String> {
        match ast {
            Ast::Empty(_) => {}
            Ast::Flags(set) => self.set(&set.flags),
            // Whoever made the expression wrote bytes that are no ASCII as escapes.
            Ast::Literal(literal) => self.literal(u32::from(literal.c) as u8),
            Ast::Dot(_) if self.stack.flags.has(Flags::DOT_NL) => {
                self.stack.push(Node::new(Kind::AnyChar, self.stack.flags))
            }
            Ast::Dot(_) => self.stack.push_class(vec![(0, 9), (11, LAST)]),
            Ast::Assertion(assertion) => self.place(&assertion.kind),
            Ast::ClassUnicode(_) | Ast::ClassPerl(_) | Ast::ClassBracketed(_) => {
                let ranges = self.ranges(ast);
                self.stack.push_class(ranges);
            }
            Ast::Repetition(repetition) => {
                self.expression(&repetition.ast)?;
                self.repetition(&repetition.op, repetition.greedy)?;
            }
            Ast::Group(group) => self.group(group)?,
            Ast::Alternation(alternation) => {
                for (at, alternative) in alternation.asts.iter().enumerate() {
                    if at > 0 {
                        self.stack.bar();
                    }
                    self.expression(alternative)?;
                }
            }
            Ast::Concat(concat) => concat.asts.iter().try_for_each(|part| self.expression(part))?,
        }
        Ok(())
    }

    fn set(&mut self, flags: &ast::Flags) {
        let mut negated = false;
        for item in &flags.items {
            // Whether the letter turns our flag on: `m` is the opposite of it.
            let (flag, on) = match item.kind {
                ast::FlagsItemKind::Negation => {
                    negated = true;
                    continue;
                }
                ast::FlagsItemKind::Flag(ast::Flag::CaseInsensitive) => (Flags::FOLD, !negated),
                ast::FlagsItemKind::Flag(ast::Flag::MultiLine) => (Flags::ONE_LINE, negated),
                ast::FlagsItemKind::Flag(ast::Flag::DotMatchesNewLine) => (Flags::DOT_NL, !negated),
                ast::FlagsItemKind::Flag(ast::Flag::SwapGreed) => (Flags::NON_GREEDY, !negated),
                ast::FlagsItemKind::Flag(_) => continue,
            };
            self.stack.flags = if on { self.stack.flags.with(flag) } else { self.stack.flags.without(flag) };
        }
    }

    fn group(&mut self, group: &ast::Group) -> Result<(), String> {
        // How `\C` is written for the crate.
        if let (Some(flags), Ast::Dot(_)) = (group.flags(), &*group.ast)
            && flags.flag_state(ast::Flag::Unicode) == Some(false)
        {
            self.stack.push(Node::new(Kind::AnyByte, self.stack.flags));
            return Ok(());
        }
        let number = group.is_capturing().then(|| {
            self.captures += 1;
            self.captures
        });
        self.stack.open(number);
        if let Some(flags) = group.flags() {
            self.set(flags);
        }
        self.expression(&group.ast)?;
        self.stack.close();
        Ok(())
    }

    fn place(&mut self, kind: &ast::AssertionKind) {
        let one_line = self.stack.flags.has(Flags::ONE_LINE);
        let (place, flags) = match kind {
            ast::AssertionKind::StartLine if one_line => (Place::BeginText, self.stack.flags),
            ast::AssertionKind::StartLine => (Place::BeginLine, self.stack.flags),
            ast::AssertionKind::EndLine if one_line => (Place::EndText, self.stack.flags.with(Flags::DOLLAR)),
            ast::AssertionKind::EndLine => (Place::EndLine, self.stack.flags),
            ast::AssertionKind::StartText => (Place::BeginText, self.stack.flags),
            ast::AssertionKind::EndText => (Place::EndText, self.stack.flags),
            ast::AssertionKind::NotWordBoundary => (Place::NoWordBoundary, self.stack.flags),
            _ => (Place::WordBoundary, self.stack.flags),
        };
        self.stack.push(Node::new(Kind::At(place), flags));
    }

    fn literal(&mut self, byte: u8) {
        if self.stack.flags.has(Flags::FOLD) && byte.is_ascii_alphabetic() {
            return self.stack.push_class(folded(byte));
        }
        // What is on top already joins what is below it, as no operator can come behind it any more.
        self.stack.join_literals();
        self.stack.push(Node::new(Kind::Literal(byte), self.stack.flags));
    }

    /// The bytes of a class, with those that differ in case where that is to be passed over.
    fn ranges(&self, class: &Ast) -> Ranges {
        let mut translator = TranslatorBuilder::new();
        translator.case_insensitive(self.stack.flags.has(Flags::FOLD)).unicode(false).utf8(false);
        let translated = translator.build().translate(self.expression, class);
        match translated.as_ref().map(hir::Hir::kind) {
            Ok(hir::HirKind::Class(hir::Class::Bytes(class))) => {
                class.ranges().iter().map(|range| (range.start(), range.end())).collect()
            }
            // Of ASCII alone.
            Ok(hir::HirKind::Class(hir::Class::Unicode(class))) => {
                class.ranges().iter().map(|range| (range.start() as u8, range.end() as u8)).collect()
            }
            Ok(hir::HirKind::Literal(hir::Literal(bytes))) => {
                bytes.iter().map(|byte| (*byte, *byte)).collect()
            }
            _ => Ranges::new(),
        }
    }

    fn repetition(&mut self, op: &ast::RepetitionOp, greedy: bool) -> Result<(), String> {
        let flags = if greedy { self.stack.flags } else { self.stack.flags.toggled(Flags::NON_GREEDY) };
        let Some(sub) = self.stack.pop() else { return Ok(()) };
        let often = match &op.kind {
            ast::RepetitionKind::ZeroOrOne => Often::Quest,
            ast::RepetitionKind::ZeroOrMore => Often::Star,
            ast::RepetitionKind::OneOrMore => Often::Plus,
            ast::RepetitionKind::Range(range) => {
                let (min, max) = match *range {
                    ast::RepetitionRange::Exactly(count) => (count, Some(count)),
                    ast::RepetitionRange::AtLeast(min) => (min, None),
                    ast::RepetitionRange::Bounded(min, max) => (min, Some(max)),
                };
                let node = Node::new(Kind::Repeat { of: Rc::new(sub), min, max }, flags);
                if copies_left(&node, MAX_COPIES) == 0 {
                    let size = &self.expression[op.span.start.offset..op.span.end.offset];
                    return Err(format!("invalid repetition size: {size}"));
                }
                self.stack.put(node.judged());
                return Ok(());
            }
        };
        let node = match sub.kind {
            // Operators behind one another are one.
            Kind::Often(inner, _) if sub.flags == flags => {
                let Node { kind: Kind::Often(_, of), .. } = sub else { return Ok(()) };
                let often = if inner == often { often } else { Often::Star };
                Node { kind: Kind::Often(often, of), flags, simple: sub.simple }
            }
            _ => Node::new(Kind::Often(often, Rc::new(sub)), flags).judged(),
        };
        self.stack.put(node);
        Ok(())
    }
}

/// How many copies more there might be of the innermost expression: 0 where there are too many.
fn copies_left(node: &Node, left: u32) -> u32 {
    match &node.kind {
        Kind::Repeat { of, min, max } => {
            let copies = max.unwrap_or(*min).max(1);
            copies_left(of, left / copies)
        }
        Kind::Often(_, sub) | Kind::Capture(sub, _) => copies_left(sub, left),
        Kind::Concat(subs) | Kind::Alternate(subs) => {
            subs.iter().map(|sub| copies_left(sub, left)).min().unwrap_or(left)
        }
        _ => left,
    }
}
