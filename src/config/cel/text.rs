//! Conversions, and what is done with texts.

use super::arithmetic::MAX_TEXT;
use super::{Failure, Value, print, time};

pub(super) fn to_int(value: &Value<'_>) -> Result<i64, Failure> {
    let number = match value {
        Value::Int(_) | Value::Uint(_) => value.whole(),
        Value::Double(number) => truncated(*number),
        Value::String(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        Value::Timestamp(nanoseconds) => Some(nanoseconds.div_euclid(time::SECOND)),
        _ => None,
    };
    number.and_then(|number| i64::try_from(number).ok()).ok_or(Failure::Error)
}

pub(super) fn to_uint(value: &Value<'_>) -> Result<u64, Failure> {
    let number = match value {
        Value::Int(_) | Value::Uint(_) => value.whole(),
        Value::Double(number) => truncated(*number),
        Value::String(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    number.and_then(|number| u64::try_from(number).ok()).ok_or(Failure::Error)
}

/// A number without its fraction; `None` beyond what integers can hold.
fn truncated(number: f64) -> Option<i128> {
    /// Two to the power of 64.
    const END: f64 = 18_446_744_073_709_551_616.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the fraction is left off, and larger ones are not cast"
    )]
    (number.is_finite() && number.abs() < END).then_some(number as i128)
}

pub(super) fn to_double(value: &Value<'_>) -> Result<f64, Failure> {
    #[expect(clippy::cast_precision_loss, reason = "the nearest number is meant")]
    let number = match value {
        Value::Int(_) | Value::Uint(_) => value.whole().map(|number| number as f64),
        Value::Double(number) => Some(*number),
        Value::String(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    number.ok_or(Failure::Error)
}

pub(super) fn to_bool(value: &Value<'_>) -> Result<bool, Failure> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        Value::String(text) => match &**text {
            b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => Ok(true),
            b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Ok(false),
            _ => Err(Failure::Error),
        },
        _ => Err(Failure::Error),
    }
}

pub(super) fn to_string<'v>(value: &Value<'v>) -> Result<Value<'v>, Failure> {
    match value {
        Value::String(_) => Ok(value.clone()),
        Value::Bytes(bytes) if std::str::from_utf8(bytes).is_ok() => Ok(Value::String(bytes.clone())),
        Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Double(_)
        | Value::Duration(_)
        | Value::Timestamp(_) => {
            let mut text = Vec::new();
            print::plain(value, &mut text);
            Ok(Value::String(text.into()))
        }
        _ => Err(Failure::Error),
    }
}

/// Replaces the first `limit` places where a part stands, or all; an empty part stands before every character and at
/// the end.
pub(super) fn replace(text: &[u8], from: &[u8], to: &[u8], limit: Option<usize>) -> Result<Vec<u8>, Failure> {
    let limit = limit.unwrap_or(usize::MAX);
    let mut made = Vec::new();
    let mut rest = 0;
    for place in places(text, from)?.into_iter().take(limit) {
        made.extend_from_slice(&text[rest..place]);
        made.extend_from_slice(to);
        rest = place + from.len();
        if made.len() > MAX_TEXT {
            return Err(Failure::Error);
        }
    }
    made.extend_from_slice(&text[rest..]);
    Ok(made)
}

/// Cuts a text at a separator into `limit` pieces at the most; an empty separator stands between all characters.
pub(super) fn split(text: &[u8], separator: &[u8], limit: Option<usize>) -> Result<Vec<Vec<u8>>, Failure> {
    let mut pieces = Vec::new();
    if limit == Some(0) {
        return Ok(pieces);
    }
    let mut places = places(text, separator)?;
    if separator.is_empty() {
        // Not before the first character and not behind the last.
        places.retain(|place| *place > 0 && *place < text.len());
    }
    let mut rest = 0;
    for place in places.into_iter().take(limit.map_or(usize::MAX, |limit| limit - 1)) {
        pieces.push(text[rest..place].to_vec());
        rest = place + separator.len();
    }
    pieces.push(text[rest..].to_vec());
    Ok(pieces)
}

/// Where a part stands, no two overlapping.
fn places(text: &[u8], part: &[u8]) -> Result<Vec<usize>, Failure> {
    if !part.is_empty() {
        return Ok(memchr::memmem::find_iter(text, part).collect());
    }
    let text = std::str::from_utf8(text).map_err(|_| Failure::Error)?;
    Ok(text.char_indices().map(|(at, _)| at).chain([text.len()]).collect())
}
