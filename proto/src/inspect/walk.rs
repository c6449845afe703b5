//! The pass over a message's bytes.

use super::{
    Deprecated, Findings, MAX_FINDINGS, MAX_NEWER, Newer, UnknownField, UnknownType, Violation,
    pieces::{is_in_pieces, join},
    report::{Element, Found, Step, path},
};
use crate::{
    WireError,
    descriptor::{
        self, Field, Kind, Message,
        rules::{Content, FieldRules, MessageRules, bit},
    },
    wire::{Fields, MAX_DEPTH, Payload, scalar_fits, unpack},
};

/// Messages whose constraints nobody has to keep who puts them into an `Any`, as in Envoy: requests come with them, and
/// what is wrong in one is passed over.
const UNCHECKED: [&str; 1] =
    ["envoy.extensions.router.cluster_specifiers.priority_group.v3.PriorityGroupsOverride"];

/// Inspects a message.
pub(super) fn walk(bytes: &[u8], message: &'static Message) -> Result<Findings, WireError> {
    let mut walker = Walker::default();
    match Content::of_message(message) {
        Content::Any => walker.any(bytes)?,
        Content::Message => walker.message(bytes, message)?,
        _ => {}
    }
    walker.violations.sort_by(|one, other| one.order().cmp(other.order()));
    let violations: Vec<Violation> = walker.violations.into_iter().map(|found| found.violation).collect();
    Ok(Findings { violations, ..walker.findings })
}

#[derive(Default)]
struct Walker<'a> {
    /// The way from the outermost message to where we are.
    steps: Vec<Step<'a>>,
    findings: Findings,
    violations: Vec<Found>,
    /// How many messages lie around us.
    depth: usize,
    /// For the lists of all enclosing messages: field and number of elements met so far.
    lists: Vec<(u16, u32)>,
}

/// A message that is being inspected.
struct Frame<'a> {
    message: &'static Message,
    bytes: &'a [u8],
    /// The fields met so far.
    seen: u128,
    /// Where its lists begin in [`Walker::lists`].
    lists_from: usize,
    /// The encodings of its fields that are newer than its type in Rust.
    newer: Vec<u8>,
}

impl<'a> Walker<'a> {
    fn message(&mut self, bytes: &'a [u8], message: &'static Message) -> Result<(), WireError> {
        self.deeper(|walker| walker.level(bytes, message))
    }

    /// Goes one message deeper, unless it is too deep.
    fn deeper(&mut self, go: impl FnOnce(&mut Self) -> Result<(), WireError>) -> Result<(), WireError> {
        if self.depth == MAX_DEPTH {
            return Err(WireError::TooDeep);
        }
        self.depth += 1;
        go(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn level(&mut self, bytes: &'a [u8], message: &'static Message) -> Result<(), WireError> {
        let rules = message.rules();
        if is_in_pieces(bytes, message, rules)? {
            return self.joined(bytes, message, rules);
        }
        let lists_from = self.lists.len();
        let mut frame = Frame { message, bytes, seen: 0, lists_from, newer: Vec::new() };
        let mut fields = Fields::new(bytes);
        while let (before, Some(field)) = (fields.rest(), fields.next()) {
            let (number, payload) = field?;
            let Some(index) = message.index_of(number) else {
                self.unknown(message, number);
                continue;
            };
            self.field(&mut frame, index, rules, payload)?;
            if message.fields()[usize::from(index)].is_newer() {
                frame.newer.extend_from_slice(&before[..before.len() - fields.rest().len()]);
            }
        }
        self.lists.truncate(frame.lists_from);
        self.absent(&frame, rules)?;
        self.newer(frame);
        Ok(())
    }

    /// Keeps what the message's type in Rust would drop.
    fn newer(&mut self, frame: Frame<'a>) {
        if frame.newer.is_empty() {
            return;
        }
        if self.findings.newer.len() >= MAX_NEWER {
            return self
                .found(|steps| Found::field(steps, format!("{MAX_NEWER} messages have newer fields")));
        }
        let (path, message) = (path(&self.steps), frame.message.full_name());
        self.findings.newer.push(Newer { path, message, bytes: frame.newer });
    }

    /// Puts together what stands in several pieces, which is what decoding does, and goes through the result.
    fn joined(
        &mut self,
        bytes: &[u8],
        message: &'static Message,
        rules: &'static MessageRules,
    ) -> Result<(), WireError> {
        let joined = join(bytes, message, rules)?;
        let mut walker = Walker { steps: self.steps.clone(), depth: self.depth, ..Walker::default() };
        walker.level(&joined, message)?;
        self.violations.append(&mut walker.violations);
        self.findings.unknown_fields.append(&mut walker.findings.unknown_fields);
        self.findings.unknown_types.append(&mut walker.findings.unknown_types);
        self.findings.deprecated.append(&mut walker.findings.deprecated);
        self.findings.newer.append(&mut walker.findings.newer);
        Ok(())
    }

    fn field(
        &mut self,
        frame: &mut Frame<'a>,
        index: u16,
        rules: &'static MessageRules,
        payload: Payload<'a>,
    ) -> Result<(), WireError> {
        let field = &frame.message.fields()[usize::from(index)];
        let rules = &rules.fields[usize::from(index)];
        if !field_fits(field, payload) {
            self.unknown(frame.message, field.number());
            return Ok(());
        }
        let seen_before = frame.seen & bit(index) != 0;
        frame.seen |= bit(index);
        if field.is_deprecated() && !seen_before {
            self.deprecated(frame.message, field, payload);
        }
        if rules.is_idle() {
            return Ok(());
        }
        let element = match field.is_repeated() {
            true => Element::Index(self.next(frame, index)),
            false => Element::Only,
        };
        self.steps.push(Step { message: frame.message, field, element });
        let done = self.value(field, rules, payload);
        self.steps.pop();
        done
    }

    /// Looks at a value of the field that the last step leads to.
    fn value(
        &mut self,
        field: &'static Field,
        rules: &'static FieldRules,
        payload: Payload<'a>,
    ) -> Result<(), WireError> {
        match (rules.content, payload) {
            (Content::Message, Payload::Bytes(bytes)) => {
                field.message().map_or(Ok(()), |message| self.message(bytes, message))
            }
            (Content::Any, Payload::Bytes(bytes)) => self.any(bytes),
            (Content::Wrapper, Payload::Bytes(bytes)) => self.wrapper(field, rules, bytes),
            (Content::Plain, Payload::Bytes(packed)) if field.kind().is_packable() => {
                self.packed(field, rules, packed)
            }
            (Content::Plain, payload) => {
                self.check(rules, field.kind(), payload);
                Ok(())
            }
            (_, Payload::Bytes(entry)) => self.map_entry(field, rules, entry),
            _ => Ok(()),
        }
    }

    fn check(&mut self, rules: &'static FieldRules, kind: Kind, payload: Payload<'_>) {
        if let Some(reason) = rules.check.as_ref().and_then(|check| check.violation(kind, payload)) {
            self.found(|steps| Found::field(steps, reason));
        }
    }

    fn packed(
        &mut self,
        field: &'static Field,
        rules: &'static FieldRules,
        packed: &[u8],
    ) -> Result<(), WireError> {
        let mut index = 0;
        unpack(field.kind(), packed, |payload| {
            if let Some(step) = self.steps.last_mut() {
                step.element = Element::Index(index);
            }
            index += 1;
            self.check(rules, field.kind(), payload);
        })
    }

    /// A wrapper's value has the constraints of the field that holds the wrapper.
    fn wrapper(
        &mut self,
        field: &'static Field,
        rules: &'static FieldRules,
        bytes: &[u8],
    ) -> Result<(), WireError> {
        let Some(value) = field.message().and_then(|wrapper| wrapper.field(1)) else { return Ok(()) };
        let mut found = value.empty();
        for field in Fields::new(bytes) {
            match field? {
                (1, payload) if scalar_fits(value.kind(), &payload) => found = payload,
                _ => {}
            }
        }
        self.check(rules, value.kind(), found);
        Ok(())
    }

    fn any(&mut self, bytes: &'a [u8]) -> Result<(), WireError> {
        let (mut type_url, mut value): (&[u8], &[u8]) = (&[], &[]);
        for field in Fields::new(bytes) {
            match field? {
                (1, Payload::Bytes(bytes)) => type_url = bytes,
                (2, Payload::Bytes(bytes)) => value = bytes,
                _ => {}
            }
        }
        match std::str::from_utf8(type_url).ok().and_then(descriptor::message_of_url) {
            Some(message) if Content::of_message(message) == Content::Any => {
                self.deeper(|walker| walker.any(value))
            }
            Some(message) if Content::of_message(message) == Content::Message => self.held(value, message),
            Some(_) => Ok(()),
            None if type_url.is_empty() => Ok(()),
            None if self.findings.unknown_types.len() >= MAX_FINDINGS => Ok(()),
            None => {
                let type_url = String::from_utf8_lossy(type_url).into_owned();
                self.findings.unknown_types.push(UnknownType { path: path(&self.steps), type_url });
                Ok(())
            }
        }
    }

    /// Goes through what an `Any` says is this message. That it is none is for the `Any` to answer for: the message
    /// around it can be read.
    fn held(&mut self, value: &'a [u8], message: &'static Message) -> Result<(), WireError> {
        let (depth, steps, lists) = (self.depth, self.steps.len(), self.lists.len());
        let violations = self.violations.len();
        let done = self.message(value, message);
        if UNCHECKED.contains(&message.full_name()) {
            self.violations.truncate(violations);
        }
        match done {
            Ok(()) => Ok(()),
            Err(WireError::TooDeep) => Err(WireError::TooDeep),
            Err(error) => {
                self.depth = depth;
                self.steps.truncate(steps);
                self.lists.truncate(lists);
                let reason = format!("not a valid {}: {error}", message.full_name());
                self.found(|steps| Found::field(steps, reason));
                Ok(())
            }
        }
    }

    fn map_entry(
        &mut self,
        field: &'static Field,
        rules: &'static FieldRules,
        entry: &'a [u8],
    ) -> Result<(), WireError> {
        let Some(entry_type) = field.message() else { return Ok(()) };
        let (Some(key_field), Some(value_field)) = (entry_type.field(1), entry_type.field(2)) else {
            return Ok(());
        };
        let (mut key, mut value) = (key_field.empty(), value_field.empty());
        for found in Fields::new(entry) {
            match found? {
                (1, payload) if scalar_fits(key_field.kind(), &payload) => key = payload,
                (2, payload) if scalar_fits(value_field.kind(), &payload) => value = payload,
                _ => {}
            }
        }
        if let (Payload::Bytes(key), Some(step)) = (key, self.steps.last_mut()) {
            step.element = Element::Key(key);
        }
        if let Some(reason) =
            rules.key_check.as_ref().and_then(|check| check.violation(key_field.kind(), key))
        {
            self.found(|steps| Found::field(steps, reason));
        }
        match (rules.content, value) {
            (Content::MapOfMessages, Payload::Bytes(bytes)) => {
                value_field.message().map_or(Ok(()), |message| self.message(bytes, message))
            }
            (Content::MapOfAnys, Payload::Bytes(bytes)) => self.any(bytes),
            _ => {
                self.check(rules, value_field.kind(), value);
                Ok(())
            }
        }
    }

    /// What the message should have and has not, or has too often.
    fn absent(&mut self, frame: &Frame<'a>, rules: &'static MessageRules) -> Result<(), WireError> {
        for (index, reason) in &rules.needed {
            if frame.seen & bit(*index) == 0 {
                self.violated(frame, *index, reason.clone());
            }
        }
        for &index in &rules.counted {
            self.count(frame, index, &rules.fields[usize::from(index)])?;
        }
        for &(oneof, members) in &rules.needed_oneofs {
            if frame.seen & members == 0 {
                let oneof = usize::from(oneof);
                let name = frame.message.oneofs()[oneof].name();
                self.found(|steps| Found::oneof(steps, name, oneof));
            }
        }
        Ok(())
    }

    /// Counts the elements of a list or map, and compares them if they must differ.
    fn count(&mut self, frame: &Frame<'a>, index: u16, rules: &'static FieldRules) -> Result<(), WireError> {
        let field = &frame.message.fields()[usize::from(index)];
        let mut elements = Vec::new();
        for found in Fields::new(frame.bytes) {
            match found? {
                (number, _) if number != field.number() => {}
                (_, Payload::Bytes(packed)) if field.kind().is_packable() => {
                    unpack(field.kind(), packed, |payload| elements.push(payload))?;
                }
                (_, payload) => elements.push(payload),
            }
        }
        let noun = if field.is_map() { "pair" } else { "item" };
        if let Some(reason) = rules.count.violation(elements.len() as u64, noun) {
            self.violated(frame, index, reason);
        }
        let mut others = std::collections::HashSet::new();
        if rules.count.unique && !elements.iter().all(|element| others.insert(element)) {
            self.violated(frame, index, "repeated value must contain unique items".into());
        }
        Ok(())
    }

    fn violated(&mut self, frame: &Frame<'a>, index: u16, reason: String) {
        let field = &frame.message.fields()[usize::from(index)];
        self.steps.push(Step { message: frame.message, field, element: Element::Only });
        self.found(|steps| Found::field(steps, reason));
        self.steps.pop();
    }

    /// Notes a violation at the place now looked at.
    fn found(&mut self, violation: impl FnOnce(&[Step<'a>]) -> Found) {
        if self.violations.len() < MAX_FINDINGS {
            self.violations.push(violation(&self.steps));
        }
    }

    /// The index of the next element of a list.
    fn next(&mut self, frame: &Frame<'a>, index: u16) -> u32 {
        let known = self.lists[frame.lists_from..].iter_mut().rev().find(|(list, _)| *list == index);
        match known {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.lists.push((index, 0));
                0
            }
        }
    }

    fn unknown(&mut self, message: &'static Message, number: u32) {
        if self.findings.unknown_fields.len() >= MAX_FINDINGS {
            return;
        }
        let path = path(&self.steps);
        self.findings.unknown_fields.push(UnknownField { path, message: message.full_name(), number });
    }

    fn deprecated(&mut self, message: &'static Message, field: &'static Field, payload: Payload<'a>) {
        if payload == field.empty() && !field.has_presence() && !field.is_repeated()
            || self.findings.deprecated.len() >= MAX_FINDINGS
        {
            return;
        }
        self.steps.push(Step { message, field, element: Element::Only });
        self.findings.deprecated.push(Deprecated {
            path: path(&self.steps),
            field: format!("{}.{}", message.full_name(), field.name()),
            disallowed_by_default: field.is_disallowed_by_default(),
        });
        self.steps.pop();
    }
}

/// Whether a value on the wire may belong to a field of this declaration.
fn field_fits(field: &Field, payload: Payload<'_>) -> bool {
    scalar_fits(field.kind(), &payload) || field.is_repeated() && matches!(payload, Payload::Bytes(_))
}
