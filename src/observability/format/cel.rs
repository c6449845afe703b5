//! `CEL` and `TYPED_CEL`: what expressions give.

use serde_json::Value as Json;

use crate::config::cel::{Expression, Value};
use crate::observability::attributes::StreamAttributes;

use super::command::{Within, text};
use super::{Context, Given, metadata};

/// Writes what an expression gives: a text, or within JSON what it is where it is `typed`.
pub(super) fn write(
    expression: &Expression,
    typed: bool,
    context: &Context<'_>,
    within: Within,
    out: &mut Vec<u8>,
) -> Given {
    match expression.evaluate(&StreamAttributes::of(context)) {
        Ok(value) if typed && within == Within::Json => as_it_is(&value, out),
        Ok(value) => {
            value.print(out);
            Given::Text
        }
        Err(_) => Given::Nothing,
    }
}

fn as_it_is(value: &Value<'_>, out: &mut Vec<u8>) -> Given {
    if let Value::String(value) = value {
        // Headers may bring what is no UTF-8.
        return text(Some(value), out);
    }
    match value.to_json() {
        None | Some(Json::Null) => Given::Nothing,
        Some(Json::String(value)) => text(Some(value.as_bytes()), out),
        Some(value) => {
            metadata::json(&value, out);
            Given::Json
        }
    }
}
