//! Scalars in the text format: their meaning depends on the type of the field.

use super::{
    Result,
    lexer::{Lexer, Token},
};
use crate::{
    descriptor::{Field, Kind},
    wire::{Scalar, integer_bounds, integer_on_the_wire},
};

/// Reads the value of a scalar field.
pub(super) fn parse(lexer: &mut Lexer<'_>, field: &'static Field) -> Result<Scalar> {
    match field.kind() {
        Kind::String | Kind::Bytes => text(lexer, field.kind()),
        Kind::Bool => boolean(lexer),
        Kind::Enum => enumeration(lexer, field),
        Kind::Float | Kind::Double => float(lexer, field.kind()),
        kind => integer(lexer, kind),
    }
}

/// Strings that follow each other are one.
fn text(lexer: &mut Lexer<'_>, kind: Kind) -> Result<Scalar> {
    if !matches!(lexer.token, Token::Text(_)) {
        return Err(lexer.expected("a string"));
    }
    let mut bytes = Vec::new();
    while let Token::Text(_) = lexer.token {
        if let Token::Text(piece) = lexer.advance()? {
            bytes.extend(piece);
        }
    }
    if kind == Kind::String && std::str::from_utf8(&bytes).is_err() {
        return Err(lexer.error("a string is not UTF-8"));
    }
    Ok(Scalar::Bytes(bytes))
}

fn boolean(lexer: &mut Lexer<'_>) -> Result<Scalar> {
    let value = match &lexer.token {
        Token::Word(word) | Token::Number(word) => match word.as_str() {
            "true" | "True" | "t" | "1" => Some(1),
            "false" | "False" | "f" | "0" => Some(0),
            _ => None,
        },
        _ => None,
    };
    let value = value.ok_or_else(|| lexer.expected("true or false"))?;
    lexer.advance()?;
    Ok(Scalar::Varint(value))
}

fn enumeration(lexer: &mut Lexer<'_>, field: &'static Field) -> Result<Scalar> {
    let Token::Word(name) = &lexer.token else {
        return integer(lexer, Kind::Int32);
    };
    let values = field.enumeration().map(|enumeration| enumeration.values()).unwrap_or_default();
    let Some(value) = values.iter().find(|value| value.name == name) else {
        return Err(lexer.error(format!("{} has no value `{name}`", field.type_name())));
    };
    lexer.advance()?;
    Ok(integer_on_the_wire(i128::from(value.number), Kind::Int32))
}

fn float(lexer: &mut Lexer<'_>, kind: Kind) -> Result<Scalar> {
    let negative = lexer.take('-')?;
    let value = match &lexer.token {
        Token::Word(word) => match word.to_ascii_lowercase().as_str() {
            "inf" | "infinity" => Some(f64::INFINITY),
            "nan" => Some(f64::NAN),
            _ => None,
        },
        Token::Number(digits) => match whole(digits) {
            Some(value) => Some(value as f64),
            None => digits.strip_suffix(['f', 'F']).unwrap_or(digits).parse().ok(),
        },
        _ => None,
    };
    let value = value.ok_or_else(|| lexer.expected("a number"))?;
    lexer.advance()?;
    let value = if negative { -value } else { value };
    Ok(match kind {
        Kind::Float => Scalar::Fixed32((value as f32).to_bits()),
        _ => Scalar::Fixed64(value.to_bits()),
    })
}

fn integer(lexer: &mut Lexer<'_>, kind: Kind) -> Result<Scalar> {
    let negative = lexer.take('-')?;
    let bounds = integer_bounds(kind);
    let value = match &lexer.token {
        Token::Number(digits) => whole(digits).map(|value| if negative { -value } else { value }),
        _ => None,
    };
    let Some(value) = value.filter(|value| bounds.contains(value)) else {
        let what = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        return Err(lexer.expected(&what));
    };
    lexer.advance()?;
    Ok(integer_on_the_wire(value, kind))
}

/// A decimal, octal (`010`) or hexadecimal (`0x10`) number.
fn whole(digits: &str) -> Option<i128> {
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    i128::from_str_radix(digits, radix).ok()
}
