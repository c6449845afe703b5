//! Values of tags that are told as numbers or truth values: `CustomTag.value_type`.
//!
//! Which texts are such values is as in Envoy. Another text is told as it is.

use envoy_types::pb::opentelemetry::proto::common::v1::any_value::Value;

use crate::config::tracing::ValueType;

/// Words for what is true and what is not, whatever their case.
const TRUE: [&str; 5] = ["true", "t", "yes", "y", "1"];
const FALSE: [&str; 5] = ["false", "f", "no", "n", "0"];

/// The value of an attribute that a text is told as.
pub(super) fn value(text: &str, value_type: ValueType) -> Value {
    let number = text.trim_ascii();
    let typed = match value_type {
        ValueType::Text => None,
        ValueType::Int => number.parse().ok().map(Value::IntValue),
        ValueType::Double => number.parse().ok().or_else(|| hexadecimal(number)).map(Value::DoubleValue),
        ValueType::Bool => truth(text).map(Value::BoolValue),
    };
    typed.unwrap_or_else(|| Value::StringValue(text.to_owned()))
}

fn truth(text: &str) -> Option<bool> {
    let is_one_of = |words: [&str; 5]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    is_one_of(TRUE).then_some(true).or_else(|| is_one_of(FALSE).then_some(false))
}

/// A whole number of up to 16 digits of base 16: `0x10`.
fn hexadecimal(text: &str) -> Option<f64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1.0, text),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_number.then(|| u64::from_str_radix(digits, 16).ok()).flatten()?;
    #[expect(clippy::cast_precision_loss, reason = "a double has no more")]
    Some(sign * number as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_told_as_what_it_says_if_it_does() {
        for (text, value_type, expected) in [
            ("42", ValueType::Text, Value::StringValue("42".into())),
            (" +7 ", ValueType::Int, Value::IntValue(7)),
            ("-3", ValueType::Int, Value::IntValue(-3)),
            ("1.5", ValueType::Int, Value::StringValue("1.5".into())),
            ("99999999999999999999", ValueType::Int, Value::StringValue("99999999999999999999".into())),
            ("1e3", ValueType::Double, Value::DoubleValue(1000.0)),
            ("-0x10", ValueType::Double, Value::DoubleValue(-16.0)),
            ("inf", ValueType::Double, Value::DoubleValue(f64::INFINITY)),
            ("0x+1", ValueType::Double, Value::StringValue("0x+1".into())),
            ("7abc", ValueType::Double, Value::StringValue("7abc".into())),
            ("YES", ValueType::Bool, Value::BoolValue(true)),
            ("f", ValueType::Bool, Value::BoolValue(false)),
            (" true", ValueType::Bool, Value::StringValue(" true".into())),
        ] {
            assert_eq!(value(text, value_type), expected, "{text:?}");
        }
    }
}
