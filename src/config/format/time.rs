//! Formats of times: `strftime` with Envoy's and absl's additions for fractions of a second.

/// How a time is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeFormat {
    /// What follows on what; `None` for the default, `2026-01-31T12:00:00.123Z` (or `+0100` where local).
    pub parts: Option<Vec<TimePart>>,
    /// In which zone.
    pub zone: Zone,
}

/// A time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// UTC.
    Utc,
    /// The machine's.
    Local,
}

/// A piece of a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimePart {
    /// Text as it is.
    Literal(String),
    /// `%s`: seconds since 1970.
    Epoch,
    /// `%f`, `%3f`, `%E6f`: so many digits of the fraction of the second.
    Fraction(u8),
    /// `%E*f`: the digits of the fraction that count.
    ShortFraction,
    /// `%E3S`: seconds with so many digits.
    SecondFraction(u8),
    /// `%E*S`: seconds with the digits that count.
    SecondShortFraction,
    /// `%Ez`: the offset as `+01:00`.
    ColonOffset,
    /// A directive of `strftime`, which is a letter.
    Directive(char),
}

impl TimeFormat {
    /// The default format.
    pub fn standard(zone: Zone) -> Self {
        TimeFormat { parts: None, zone }
    }

    /// Parses a format; the default if it is empty.
    ///
    /// # Errors
    /// It would put a new line into the output.
    pub fn parse(format: &str, zone: Zone) -> Result<Self, String> {
        if format.is_empty() {
            return Ok(Self::standard(zone));
        }
        let mut parts = Vec::new();
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            push_literal(&mut parts, &rest[..at]);
            rest = directive(&rest[at + 1..], &mut parts)?;
        }
        push_literal(&mut parts, rest);
        Ok(TimeFormat { parts: Some(parts), zone })
    }
}

/// Reads what follows a `%`, and gives what follows that.
fn directive<'a>(text: &'a str, parts: &mut Vec<TimePart>) -> Result<&'a str, String> {
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        push_literal(parts, "%");
        return Ok("");
    };
    if first == 'E' {
        let after = chars.as_str();
        if let Some((part, rest)) = extended(after) {
            parts.push(part);
            return Ok(rest);
        }
        // Other alternative forms (`%EY`) are those without the E in the C locale.
        return directive(after, parts);
    }
    if let (Some(digits @ 1..=9), Some('f')) = (first.to_digit(10), chars.clone().next()) {
        parts.push(TimePart::Fraction(digits as u8));
        return Ok(&text[2..]);
    }
    match first {
        'n' => return Err("Invalid header configuration. Format string contains newline.".to_owned()),
        's' => parts.push(TimePart::Epoch),
        'f' => parts.push(TimePart::Fraction(9)),
        't' => push_literal(parts, "\t"),
        '%' => push_literal(parts, "%"),
        'O' if !chars.as_str().is_empty() => return directive(chars.as_str(), parts),
        letter if "aAbBhcCdDeFgGHIjklmMpPrRSTuUVwWxXyYzZ".contains(letter) => {
            parts.push(TimePart::Directive(letter))
        }
        other => push_literal(parts, &format!("%{other}")),
    }
    Ok(chars.as_str())
}

/// Reads what follows `%E`.
fn extended(text: &str) -> Option<(TimePart, &str)> {
    if let Some(rest) = text.strip_prefix('z').or_else(|| text.strip_prefix("*z")) {
        return Some((TimePart::ColonOffset, rest));
    }
    if let Some(rest) = text.strip_prefix('T') {
        return Some((TimePart::Literal("T".to_owned()), rest));
    }
    if let Some(rest) = text.strip_prefix("*S") {
        return Some((TimePart::SecondShortFraction, rest));
    }
    if let Some(rest) = text.strip_prefix("*f") {
        return Some((TimePart::ShortFraction, rest));
    }
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let digits: u8 = text[..length].parse().ok()?;
    match text[length..].chars().next()? {
        'S' => Some((TimePart::SecondFraction(digits.min(15)), &text[length + 1..])),
        'f' => Some((TimePart::Fraction(digits.min(15)), &text[length + 1..])),
        'Y' if digits == 4 => Some((TimePart::Directive('Y'), &text[length + 1..])),
        _ => None,
    }
}

fn push_literal(parts: &mut Vec<TimePart>, text: &str) {
    if text.is_empty() {
        return;
    }
    match parts.last_mut() {
        Some(TimePart::Literal(last)) => last.push_str(text),
        _ => parts.push(TimePart::Literal(text.to_owned())),
    }
}
