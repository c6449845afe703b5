//! Formats of times: those of absl, between them those of the C library, and Envoy's own for fractions of a second.

use super::strftime::{self, Strftime};

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
    /// `%Ez` and its like: the offset with colons.
    ColonOffset(Offset),
    /// A directive without anything else, which is a letter.
    Directive(char),
    /// What the C library writes.
    Strftime(Strftime),
}

/// How far an offset from UTC is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offset {
    /// `%Ez`, `%:z`: `+01:00`
    Minutes,
    /// `%E*z`, `%::z`: `+01:00:00`
    Seconds,
    /// `%:::z`: `+01`, and more where it counts.
    Shortest,
}

/// Digits of a fraction that can be asked for; more are as many.
const MAX_DIGITS: u32 = 18;

/// Directives that absl writes itself where nothing stands between them and their percent sign.
const SIMPLE: &str = "YmdeUuWwHMSTzZs";

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
        if strftime::breaks_the_line(format) {
            return Err("Invalid header configuration. Format string contains newline.".to_owned());
        }
        if format.is_empty() {
            return Ok(Self::standard(zone));
        }
        let mut parts = Vec::new();
        let mut rest = format;
        // Envoy takes its own out first, whatever stands before them.
        while let Some((before, part, after)) = own(rest) {
            absl(before, &mut parts);
            parts.push(part);
            rest = after;
        }
        absl(rest, &mut parts);
        Ok(TimeFormat { parts: Some(parts), zone })
    }
}

/// The first of Envoy's own directives (`%f`, `%3f`, `%E3f`, `%E*f`, `%s`), with what stands before and behind it.
fn own(text: &str) -> Option<(&str, TimePart, &str)> {
    text.match_indices('%').find_map(|(at, _)| {
        let rest = &text[at + 1..];
        let (part, length) = match rest.as_bytes() {
            [b'f', ..] => (TimePart::Fraction(9), 1),
            [b's', ..] => (TimePart::Epoch, 1),
            [digit @ b'1'..=b'9', b'f', ..] => (TimePart::Fraction(digit - b'0'), 2),
            [b'E', digit @ b'1'..=b'9', b'f', ..] => (TimePart::Fraction(digit - b'0'), 3),
            [b'E', b'*', b'f', ..] => (TimePart::ShortFraction, 3),
            _ => return None,
        };
        Some((&text[..at], part, &rest[length..]))
    })
}

/// Reads what is between those: what absl knows itself, and what it leaves to the C library.
fn absl(text: &str, parts: &mut Vec<TimePart>) {
    let (mut at, mut pending) = (0, 0);
    while at < text.len() {
        let start = at;
        at += text[at..].find('%').unwrap_or(text.len() - at);
        if pending == start {
            literal(&text[start..at], parts);
            pending = at;
        }
        let percent = at;
        at += text[at..].bytes().take_while(|byte| *byte == b'%').count();
        if pending == percent {
            // Two are one, and so is the last of all.
            let pairs = (at - pending) / 2;
            literal(&"%".repeat(pairs), parts);
            pending += 2 * pairs;
            if pending != at && at == text.len() {
                literal("%", parts);
                pending = at;
            }
        }
        if at == text.len() || (at - percent).is_multiple_of(2) {
            continue;
        }
        match simple(&text[at..]).or_else(|| extended(&text[at..])) {
            Some((part, length)) => {
                left_over(&text[pending..at - 1], parts);
                parts.push(part);
                at += length;
                pending = at;
            }
            // What follows the E is no percent sign of its own.
            None if text[at..].starts_with('E') => at += 1,
            None => {}
        }
    }
    left_over(&text[pending..], parts);
}

/// Text for the C library.
fn left_over(text: &str, parts: &mut Vec<TimePart>) {
    if !text.is_empty() {
        parts.push(TimePart::Strftime(Strftime::parse(text)));
    }
}

fn simple(text: &str) -> Option<(TimePart, usize)> {
    let letter = text.chars().next().filter(|letter| SIMPLE.contains(*letter))?;
    Some((if letter == 's' { TimePart::Epoch } else { TimePart::Directive(letter) }, 1))
}

/// Reads what absl adds: a piece, and its length.
fn extended(text: &str) -> Option<(TimePart, usize)> {
    let fixed = [
        (":z", TimePart::ColonOffset(Offset::Minutes)),
        ("::z", TimePart::ColonOffset(Offset::Seconds)),
        (":::z", TimePart::ColonOffset(Offset::Shortest)),
        ("ET", TimePart::Literal("T".to_owned())),
        ("Ez", TimePart::ColonOffset(Offset::Minutes)),
        ("E*z", TimePart::ColonOffset(Offset::Seconds)),
        ("E*S", TimePart::SecondShortFraction),
        ("E4Y", TimePart::Directive('Y')),
    ];
    if let Some((name, part)) = fixed.into_iter().find(|(name, _)| text.starts_with(name)) {
        return Some((part, name.len()));
    }
    let number = text.strip_prefix('E')?;
    let length = number.bytes().take_while(u8::is_ascii_digit).count();
    let digits = number[..length].parse::<u32>().ok().filter(|digits| *digits <= 1024)?.min(MAX_DIGITS) as u8;
    let part = match number[length..].chars().next()? {
        'S' => TimePart::SecondFraction(digits),
        'f' => TimePart::Fraction(digits),
        _ => return None,
    };
    Some((part, length + 2))
}

fn literal(text: &str, parts: &mut Vec<TimePart>) {
    if text.is_empty() {
        return;
    }
    match parts.last_mut() {
        Some(TimePart::Literal(last)) => last.push_str(text),
        _ => parts.push(TimePart::Literal(text.to_owned())),
    }
}
