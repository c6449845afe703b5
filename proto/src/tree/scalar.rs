//! What an unquoted YAML scalar means: the rules of yaml-cpp, which Envoy reads with.

use super::Value;

/// The value of a plain scalar.
pub(super) fn resolve(text: &str) -> Value {
    if is_null(text) { Value::Null } else { resolve_tagged(text) }
}

/// The value of a scalar that has a tag, whatever the tag says.
pub(super) fn resolve_tagged(text: &str) -> Value {
    if let Some(value) = boolean(text) {
        return Value::Bool(value);
    }
    match integer(text) {
        // Envoy keeps numbers beyond 32 bits as strings, since its values are doubles.
        Some(value) if i32::try_from(value).is_ok() => Value::Int(i128::from(value)),
        Some(value) => Value::String(value.to_string()),
        None => Value::String(text.to_owned()),
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// YAML 1.1 booleans in the three spellings `yes`, `Yes` and `YES`; also `y` and `n`.
fn boolean(text: &str) -> Option<bool> {
    let spelled = |word: &str| {
        let mut capitalised = word.to_owned();
        capitalised[..1].make_ascii_uppercase();
        text == word || text == capitalised || text == word.to_ascii_uppercase()
    };
    match text.len() {
        1..=5 if ["y", "yes", "true", "on"].into_iter().any(spelled) => Some(true),
        1..=5 if ["n", "no", "false", "off"].into_iter().any(spelled) => Some(false),
        _ => None,
    }
}

/// Decimal, hexadecimal (`0x50`) and octal (`010`) numbers of 64 bits, as C++ streams read them.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim_end_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.bytes().all(|digit| char::from(digit).is_digit(radix)) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Value) {
        assert_eq!(resolve(text), expected, "{text:?}");
    }

    fn string(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    #[test]
    fn booleans_are_those_of_yaml_1_1() {
        for text in ["true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"] {
            check(text, Value::Bool(true));
        }
        for text in ["false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"] {
            check(text, Value::Bool(false));
        }
        for text in ["tRUE", "yEs", "oN", "t", "f"] {
            check(text, string(text));
        }
    }

    #[test]
    fn integers_are_those_of_a_c_plus_plus_stream() {
        for (text, value) in [
            ("5", 5),
            ("+5", 5),
            ("-5", -5),
            ("0x50", 80),
            ("0X1F", 31),
            ("-0x1f", -31),
            ("010", 8),
            ("00", 0),
        ] {
            check(text, Value::Int(value));
        }
        for text in
            ["5.0", "1e3", "09", "0o17", "0b11", "0x", "-", "+", "1_000", "- 5", "9223372036854775808"]
        {
            check(text, string(text));
        }
    }

    #[test]
    fn integers_beyond_32_bits_are_decimal_strings() {
        check("2147483647", Value::Int(2_147_483_647));
        check("2147483648", string("2147483648"));
        check("0xffffffff", string("4294967295"));
    }

    #[test]
    fn null_has_the_spellings_of_yaml() {
        for text in ["", "~", "null", "Null", "NULL"] {
            check(text, Value::Null);
        }
        check("nUll", string("nUll"));
    }
}
