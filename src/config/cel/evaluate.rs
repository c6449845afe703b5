//! Evaluating an expression.
//!
//! Every part is visited at most once, and none allocates but lists, maps, and texts where that is allowed.

use std::borrow::Cow;

use super::compile::{Capture, Literal, Node};
use super::value::{List, Map};
use super::{Attributes, Failure, Value};
use crate::config::regex::Search;

impl Node {
    pub(super) fn evaluate<'v>(&'v self, attributes: &'v dyn Attributes) -> Result<Value<'v>, Failure> {
        match self {
            Node::Literal(literal) => Ok(literal.value()),
            Node::Root(root) if !attributes.has(*root) => Err(Failure::Error),
            Node::Root(root) => Ok(Value::Map(Map::Attributes(*root))),
            Node::Metadata => Ok(attributes.metadata()),
            Node::Type(name) => Ok(Value::Type(name)),
            Node::Unknown => Err(Failure::Error),
            Node::Select(of, field) => of.evaluate(attributes)?.select(field, attributes),
            Node::Has(of, field) => of.evaluate(attributes)?.has(field, attributes).map(Value::Bool),
            Node::And(parts) => logic(parts, false, attributes),
            Node::Or(parts) => logic(parts, true, attributes),
            Node::Choose(parts) => {
                let [condition, one, other] = &**parts;
                match condition.evaluate(attributes)? {
                    Value::Bool(true) => one.evaluate(attributes),
                    Value::Bool(false) => other.evaluate(attributes),
                    _ => Err(Failure::Error),
                }
            }
            Node::List(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| item.evaluate(attributes)).collect();
                Ok(Value::List(List::Items(items?.into())))
            }
            Node::Map(entries) => map(entries, attributes),
            Node::Message(message, fields) => {
                let [first, second] = &**fields;
                let value = |field: &'v Option<Node>| {
                    field.as_ref().map(|field| field.evaluate(attributes)).transpose()
                };
                message.value([value(first)?, value(second)?])
            }
            Node::Matches(of, search) => match of.evaluate(attributes)? {
                Value::String(text) => Ok(Value::Bool(search.is_in(&text))),
                _ => Err(Failure::Error),
            },
            Node::MatchesGiven(parts) => {
                let [of, pattern] = &**parts;
                match (of.evaluate(attributes)?, pattern.evaluate(attributes)?) {
                    (Value::String(text), Value::String(pattern)) => {
                        let pattern = std::str::from_utf8(&pattern).map_err(|_| Failure::Error)?;
                        let search = Search::given(pattern).map_err(|_| Failure::Error)?;
                        Ok(Value::Bool(search.is_in(&text)))
                    }
                    _ => Err(Failure::Error),
                }
            }
            Node::Captured(of, capture) => match (of.evaluate(attributes)?, capture) {
                (Value::String(text), Some(capture)) => captured(&text, capture).ok_or(Failure::Error),
                _ => Err(Failure::Error),
            },
            Node::TimeIn(of, part, zone) => match (of.evaluate(attributes)?, zone) {
                (Value::Timestamp(moment), Some(zone)) => part.of_moment_in(moment, zone).map(Value::Int),
                _ => Err(Failure::Error),
            },
            Node::Call(function, arguments) => {
                let values: Result<smallvec::SmallVec<[_; 2]>, _> =
                    arguments.iter().map(|argument| argument.evaluate(attributes)).collect();
                function.call(&values?, attributes)
            }
        }
    }
}

/// `&&`, for which false decides, and `||`, for which true does: then an error in the other part is forgiven.
fn logic<'v>(
    parts: &'v [Node; 2],
    decides: bool,
    attributes: &'v dyn Attributes,
) -> Result<Value<'v>, Failure> {
    let truth = |node: &'v Node| match node.evaluate(attributes)? {
        Value::Bool(truth) => Ok(truth),
        _ => Err(Failure::Error),
    };
    let [one, other] = parts;
    let one = truth(one);
    if one == Ok(decides) {
        return Ok(Value::Bool(decides));
    }
    match (one, truth(other)) {
        (_, Ok(other)) if other == decides => Ok(Value::Bool(decides)),
        (Ok(_), Ok(_)) => Ok(Value::Bool(!decides)),
        (Err(Failure::NotYet), _) | (_, Err(Failure::NotYet)) => Err(Failure::NotYet),
        _ => Err(Failure::Error),
    }
}

/// What the groups of a regular expression give.
fn captured<'v>(text: &[u8], capture: &Capture) -> Option<Value<'v>> {
    let owned = |text: &[u8]| Value::String(Cow::Owned(text.to_vec()));
    match capture {
        Capture::Extract(substitution) => substitution.extract(text).map(|text| Value::String(text.into())),
        Capture::First(groups) => groups.of(text)?.first().map(|(_, text)| owned(text)),
        Capture::All(groups) => {
            let found = groups.of(text)?;
            let key = |name: String| Value::String(Cow::Owned(name.into_bytes()));
            let entries: Vec<_> = found.into_iter().map(|(name, text)| (key(name), owned(text))).collect();
            (!entries.is_empty()).then(|| Value::Map(Map::Entries(entries.into())))
        }
    }
}

fn map<'v>(entries: &'v [(Node, Node)], attributes: &'v dyn Attributes) -> Result<Value<'v>, Failure> {
    let mut made: Vec<(Value<'v>, Value<'v>)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let key = key.evaluate(attributes)?;
        let is_key = matches!(key, Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::String(_));
        if !is_key || made.iter().any(|(known, _)| known.equals(&key)) {
            return Err(Failure::Error);
        }
        made.push((key, value.evaluate(attributes)?));
    }
    Ok(Value::Map(Map::Entries(made.into())))
}

impl Literal {
    fn value(&self) -> Value<'_> {
        match self {
            Literal::Null => Value::Null,
            Literal::Bool(truth) => Value::Bool(*truth),
            Literal::Int(number) => Value::Int(*number),
            Literal::Uint(number) => Value::Uint(*number),
            Literal::Double(number) => Value::Double(*number),
            Literal::String(text) => Value::text(text),
            Literal::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
        }
    }
}
