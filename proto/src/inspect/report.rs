//! From the place in a message to a path, and to the chain of messages in Envoy's errors.

use super::Violation;
use crate::descriptor::{Field, Message};

/// A step from a message into a field of it.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) message: &'static Message,
    pub(super) field: &'static Field,
    pub(super) element: Element<'a>,
}

/// Which value of a field.
#[derive(Clone, Copy)]
pub(super) enum Element<'a> {
    /// The only one.
    Only,
    /// One of a list.
    Index(u32),
    /// One of a map, by its key.
    Key(&'a [u8]),
}

impl Element<'_> {
    fn suffix(self, quote: &str) -> String {
        match self {
            Self::Only => String::new(),
            Self::Index(index) => format!("[{index}]"),
            Self::Key(key) => format!("[{quote}{}{quote}]", String::from_utf8_lossy(key)),
        }
    }
}

/// The path of a place.
pub(super) fn path(steps: &[Step<'_>]) -> String {
    let names = steps.iter().map(|step| format!("{}{}", step.field.name(), step.element.suffix("\"")));
    names.collect::<Vec<_>>().join(".")
}

/// A violation with what is needed to put it into Envoy's order.
pub(super) struct Found {
    pub(super) violation: Violation,
    order: (usize, Vec<(bool, usize, u32)>),
}

impl Found {
    pub(super) fn order(&self) -> &(usize, Vec<(bool, usize, u32)>) {
        &self.order
    }

    /// A violation by the field of the last step.
    pub(super) fn field(steps: &[Step<'_>], reason: String) -> Self {
        let enclosing = steps.split_last().map_or(&[][..], |(_, outer)| outer);
        let (anys, chain) = chain(steps, enclosing);
        let violation = Violation { path: path(steps), envoy: format!("{chain}{reason}"), reason };
        Self { violation, order: (anys, steps.iter().map(rank).collect()) }
    }

    /// A oneof of which no field is set, in the message that the steps lead to.
    pub(super) fn oneof(steps: &[Step<'_>], name: &str, oneof: usize) -> Self {
        let (anys, chain) = chain(steps, steps);
        let embedded = if chain.is_empty() { "" } else { "embedded message failed validation | caused by " };
        let path = [path(steps), name.to_owned()]
            .iter()
            .filter(|part| !part.is_empty())
            .cloned()
            .collect::<Vec<_>>();
        let violation = Violation {
            path: path.join("."),
            reason: format!("one field of the oneof `{name}` is required"),
            envoy: format!("{chain}{embedded}field: \"{name}\", reason: is required"),
        };
        let mut order: Vec<_> = steps.iter().map(rank).collect();
        order.push((true, oneof, 0));
        Self { violation, order: (anys, order) }
    }
}

/// Envoy validates the fields that are in no oneof first, then the others, both as declared.
fn rank(step: &Step<'_>) -> (bool, usize, u32) {
    let declared = step.message.fields().iter().position(|field| field.number() == step.field.number());
    let rank = step.field.oneof().or(declared).unwrap_or_default();
    let element = match step.element {
        Element::Index(index) => index,
        _ => 0,
    };
    (step.field.oneof().is_some(), rank, element)
}

/// In how many `Any`s the place lies, and what Envoy puts before the reason: the fields on the way to it, from the
/// innermost `Any` on.
fn chain(steps: &[Step<'_>], enclosing: &[Step<'_>]) -> (usize, String) {
    let anys = enclosing.iter().filter(|step| is_any(step.field)).count();
    let from = enclosing.iter().rposition(|step| is_any(step.field)).map_or(0, |any| any + 1);
    let links = steps[from..].iter().map(|step| {
        let element = step.element.suffix("");
        format!("{}ValidationError.{}{element}: ", step.message.name(), pascal(step.field.name()))
    });
    (anys, links.collect::<Vec<_>>().join("embedded message failed validation | caused by "))
}

/// Whether the field holds an `Any`, or a map of them.
fn is_any(field: &Field) -> bool {
    const ANY: &str = "google.protobuf.Any";
    let value = if field.is_map() { field.message().and_then(|entry| entry.field(2)) } else { Some(field) };
    value.is_some_and(|value| value.type_name() == ANY)
}

/// `connect_timeout` as `ConnectTimeout`.
fn pascal(snake: &str) -> String {
    let words = snake.split('_').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    words.collect()
}
