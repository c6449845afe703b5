//! Words of a command line to values of flags, by the rules of TCLAP, Envoy's parser: a value is the next
//! word (`-c FILE`, never `-c=FILE` or `-cFILE`), whatever it begins with; a flag is given at most once;
//! names are not abbreviated; nothing may be left over.

use std::collections::BTreeMap;

use super::flags::{FLAGS, Flag, Takes};

/// What the words said.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// The values of each flag that was there, by its long name; a flag without value has an empty one.
    values: BTreeMap<&'static str, Vec<String>>,
}

/// Why the words cannot be understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// The flag or word at fault, as messages name it.
    pub(super) argument: String,
    pub(super) error: String,
}

/// How parsing ended, unless in an error.
#[derive(Debug)]
pub(super) enum Outcome {
    Flags(Parsed),
    /// `--help` was met before anything wrong.
    Help,
    /// `--version` likewise.
    Version,
}

/// Reads the words behind the program's name.
pub(super) fn parse(words: &[String]) -> Result<Outcome, Malformed> {
    let mut parsed = Parsed::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if matches!(word.as_str(), "" | "-") {
            continue;
        }
        let (name, attached) = split(word);
        let Some(flag) = FLAGS.iter().find(|flag| flag.is(name) && (attached.is_none() || flag.has_value()))
        else {
            return Err(malformed(word, "Couldn't find match for argument"));
        };
        match flag.long {
            "help" => return Ok(Outcome::Help),
            "version" => return Ok(Outcome::Version),
            "ignore_rest" => break,
            _ => {}
        }
        let values = parsed.values.entry(flag.long).or_default();
        if !values.is_empty() && flag.takes != Takes::Texts {
            return Err(malformed(flag.name_in_errors(), "Argument already set!"));
        }
        if flag.has_value() {
            let value = attached.or_else(|| words.next().map(String::as_str));
            let value = value
                .ok_or_else(|| malformed(flag.name_in_errors(), "Missing a value for this argument!"))?;
            if flag.takes == Takes::Number {
                number(value).map_err(|error| malformed(flag.name_in_errors(), error))?;
            }
            values.push(value.to_owned());
        } else {
            values.push(String::new());
        }
    }
    Ok(Outcome::Flags(parsed))
}

impl Flag {
    fn has_value(&self) -> bool {
        self.takes != Takes::Nothing
    }
}

impl Parsed {
    /// Whether the flag was there.
    pub(super) fn has(&self, long: &str) -> bool {
        self.values.contains_key(long)
    }

    /// The value of a flag that takes a text; empty when it was not there.
    pub(super) fn text(&self, long: &str) -> &str {
        self.texts(long).first().map_or("", String::as_str)
    }

    /// The values of a flag that may be repeated.
    pub(super) fn texts(&self, long: &str) -> &[String] {
        self.values.get(long).map_or(&[], Vec::as_slice)
    }

    /// The value of a flag that takes a number, if it was there and not empty.
    pub(super) fn number(&self, long: &str) -> Option<u32> {
        number(self.text(long)).ok().flatten()
    }

    /// The flags that were there.
    pub(super) fn given(&self) -> impl Iterator<Item = &'static Flag> {
        FLAGS.iter().filter(|flag| self.has(flag.long))
    }
}

/// A word that is flag and value at once, `"--mode validate"` with the space inside, taken apart.
fn split(word: &str) -> (&str, Option<&str>) {
    match word.split_once(' ') {
        Some((name, value)) if name.starts_with('-') && !value.is_empty() => (name, Some(value)),
        _ => (word, None),
    }
}

/// Reads a number as TCLAP does, except that a negative one is refused where TCLAP wraps it around.
/// An empty value leaves the flag's default.
fn number(value: &str) -> Result<Option<u32>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    let mut numbers = value.split_ascii_whitespace().map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(number)), None) if !value.ends_with(|c: char| c.is_ascii_whitespace()) => Ok(Some(number)),
        (Some(Ok(_)), Some(Ok(_))) => Err(format!("More than one valid value parsed from string '{value}'")),
        _ => Err(format!("Couldn't read argument value from string '{value}'")),
    }
}

fn malformed(argument: impl Into<String>, error: impl Into<String>) -> Malformed {
    Malformed { argument: argument.into(), error: error.into() }
}
