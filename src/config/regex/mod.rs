//! Regular expressions: `envoy.type.matcher.v3.RegexMatcher` and `RegexMatchAndSubstitute`.

mod limit;
mod program;
mod re2;

use re2::{Alphabet, translate};

use envoy_types::pb::envoy::r#type::matcher::v3;

use super::field::{Scope, open};
use limit::Limit;

/// A regular expression that is known to compile; equal when its pattern is.
#[derive(Clone, Debug)]
pub struct Regex {
    pattern: String,
    whole: regex::bytes::Regex,
    literal_prefix: Box<str>,
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Regex {
    /// Compiles a pattern of RE2's syntax.
    ///
    /// # Errors
    /// What the pattern's fault is.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let expression = translate(pattern, Alphabet::Bytes)?;
        let whole = compile(&format!(r"\A(?:{expression})\z"), pattern, Alphabet::Bytes)?;
        Ok(Regex { pattern: pattern.to_owned(), whole, literal_prefix: literal_prefix(&expression) })
    }

    /// From its proto.
    pub fn from_proto(message: v3::RegexMatcher, at: &mut Scope<'_>) -> Option<Self> {
        let (pattern, limit) = pattern(message, at);
        if !limit.keeps(&pattern, at) {
            return None;
        }
        Regex::new(&pattern).map_err(|problem| at.field("regex").error(problem)).ok()
    }

    /// The pattern as configured.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// What everything that matches begins with; often nothing.
    pub fn literal_prefix(&self) -> &str {
        &self.literal_prefix
    }

    /// Whether the whole of `input` matches, as RE2's `FullMatch`.
    pub fn matches_fully(&self, input: &[u8]) -> bool {
        self.whole.is_match(input)
    }
}

/// What expressions (CEL) read patterns as.
const ALPHABET: Alphabet = Alphabet::Characters;

/// Bytes of a pattern that a request brings.
const MAX_GIVEN: usize = 256;

/// Bytes that it may become when it is compiled.
const MAX_GIVEN_SIZE: usize = 1 << 18;

/// A regular expression that is looked for anywhere in a text; equal when its pattern is.
#[derive(Clone, Debug)]
pub struct Search {
    pattern: String,
    anywhere: regex::bytes::Regex,
}

impl PartialEq for Search {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Search {
    /// Compiles a pattern of RE2's syntax.
    ///
    /// # Errors
    /// What the pattern's fault is.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let anywhere = compile(&translate(pattern, ALPHABET)?, pattern, ALPHABET)?;
        Ok(Search { pattern: pattern.to_owned(), anywhere })
    }

    /// Compiles a pattern that a request brings, which may be `MAX_GIVEN` bytes long and must not become large.
    ///
    /// # Errors
    /// What the pattern's fault is.
    pub fn given(pattern: &str) -> Result<Self, String> {
        if pattern.len() > MAX_GIVEN {
            return Err(format!("a pattern may have {MAX_GIVEN} bytes"));
        }
        let mut builder = regex::bytes::RegexBuilder::new(&translate(pattern, ALPHABET)?);
        let built = builder.size_limit(MAX_GIVEN_SIZE).dfa_size_limit(MAX_GIVEN_SIZE).build();
        let anywhere = built.map_err(|error| problem(&error, pattern))?;
        Ok(Search { pattern: pattern.to_owned(), anywhere })
    }

    /// Whether some part of `input` matches, as RE2's `PartialMatch`.
    pub fn is_in(&self, input: &[u8]) -> bool {
        self.anywhere.is_match(input)
    }
}

/// A search for a regular expression and what is put in its place:
/// `envoy.type.matcher.v3.RegexMatchAndSubstitute`.
#[derive(Clone, Debug)]
pub struct Substitution {
    pattern: regex::bytes::Regex,
    replacement: Vec<Piece>,
}

impl PartialEq for Substitution {
    fn eq(&self, other: &Self) -> bool {
        self.pattern.as_str() == other.pattern.as_str() && self.replacement == other.replacement
    }
}

/// A part of what is put in.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Literal(Vec<u8>),
    Group(usize),
}

impl Substitution {
    /// Compiles a pattern and a replacement in which `\1` to `\9` stand for groups, `\0` for the match.
    ///
    /// # Errors
    /// What the fault of the pattern or of the replacement is.
    pub fn new(pattern: &str, replacement: &str) -> Result<Self, String> {
        Substitution::with(pattern, replacement, Alphabet::Bytes)
    }

    /// The same for an expression (CEL), which reads texts as UTF-8.
    ///
    /// # Errors
    /// What the fault of the pattern or of the replacement is.
    pub fn of_text(pattern: &str, replacement: &str) -> Result<Self, String> {
        Substitution::with(pattern, replacement, ALPHABET)
    }

    fn with(pattern: &str, replacement: &str, alphabet: Alphabet) -> Result<Self, String> {
        let pattern = compile(&translate(pattern, alphabet)?, pattern, alphabet)?;
        let replacement = pieces(replacement, pattern.captures_len())?;
        Ok(Substitution { pattern, replacement })
    }

    /// From its proto.
    pub fn from_proto(message: v3::RegexMatchAndSubstitute, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::RegexMatchAndSubstitute = message;
            implemented { pattern, substitution }
        }
        let matcher = at.required("pattern", pattern)?;
        let (pattern, limit) = self::pattern(matcher, &mut at.field("pattern"));
        if !limit.keeps(&pattern, &mut at.field("pattern")) {
            return None;
        }
        Substitution::new(&pattern, &substitution).map_err(|problem| at.error(problem)).ok()
    }

    /// Replaces every match in `input`, as RE2's `GlobalReplace`.
    pub fn apply(&self, input: &[u8]) -> Vec<u8> {
        self.pattern.replace_all(input, |found: &regex::bytes::Captures<'_>| self.fill(found)).into_owned()
    }

    /// What is put in the place of the first match, as RE2's `Extract`; `None` without a match.
    pub fn extract(&self, input: &[u8]) -> Option<Vec<u8>> {
        self.pattern.captures(input).map(|found| self.fill(&found))
    }

    fn fill(&self, found: &regex::bytes::Captures<'_>) -> Vec<u8> {
        let mut text = Vec::new();
        for piece in &self.replacement {
            match piece {
                Piece::Literal(literal) => text.extend_from_slice(literal),
                Piece::Group(group) => {
                    text.extend_from_slice(found.get(*group).map_or(b"", |m| m.as_bytes()))
                }
            }
        }
        text
    }
}

/// A regular expression whose groups are asked for.
#[derive(Clone, Debug)]
pub struct Groups(regex::bytes::Regex);

impl Groups {
    /// Compiles a pattern of RE2's syntax; it has to match the whole of a text.
    ///
    /// # Errors
    /// What the pattern's fault is.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let expression = translate(pattern, ALPHABET)?;
        compile(&format!(r"\A(?:{expression})\z"), pattern, ALPHABET).map(Groups)
    }

    /// What the groups match, each by its name or else its number; `None` where the whole does not match.
    pub fn of<'t>(&self, input: &'t [u8]) -> Option<Vec<(String, &'t [u8])>> {
        let found = self.0.captures(input)?;
        let names = self.0.capture_names().enumerate().skip(1);
        let named = names.map(|(number, name)| {
            let text = found.get(number).map_or(&b""[..], |group| group.as_bytes());
            (name.map_or_else(|| number.to_string(), str::to_owned), text)
        });
        Some(named.collect())
    }
}

/// What every match of an expression begins with, as far as that is easy to tell.
fn literal_prefix(expression: &str) -> Box<str> {
    let parsed = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(expression);
    let Ok(parsed) = parsed else { return Box::default() };
    let literals = regex_syntax::hir::literal::Extractor::new().extract(&parsed);
    let prefix = literals.longest_common_prefix().unwrap_or_default();
    std::str::from_utf8(prefix).map(Box::from).unwrap_or_default()
}

/// Compiles an expression that was made of the pattern to be named in an error.
fn compile(expression: &str, pattern: &str, alphabet: Alphabet) -> Result<regex::bytes::Regex, String> {
    let mut builder = regex::bytes::RegexBuilder::new(expression);
    builder.unicode(alphabet == Alphabet::Characters).build().map_err(|error| problem(&error, pattern))
}

/// What is wrong with a pattern, in one line.
pub(super) fn problem(error: &regex::Error, pattern: &str) -> String {
    let text = error.to_string();
    let reason = text.rsplit("error: ").next().unwrap_or(&text).trim();
    format!("{reason}: {pattern}")
}

/// The parts of a replacement, given how many groups the pattern has (the match itself counted).
fn pieces(replacement: &str, groups: usize) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut literal = Vec::new();
    let mut bytes = replacement.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            literal.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'\\') => literal.push(b'\\'),
            Some(digit @ b'0'..=b'9') => {
                let group = usize::from(digit - b'0');
                if group >= groups {
                    let last = groups - 1;
                    return Err(format!(
                        "substitution refers to group {group}, the pattern's last is {last}"
                    ));
                }
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                pieces.push(Piece::Group(group));
            }
            _ => {
                return Err(
                    r"a backslash in a substitution must be followed by a digit or a backslash".to_owned()
                );
            }
        }
    }
    pieces.push(Piece::Literal(literal));
    pieces.retain(|piece| *piece != Piece::Literal(Vec::new()));
    Ok(pieces)
}

/// The pattern of a matcher and how large its program may be. RE2 is the only engine there is.
fn pattern(message: v3::RegexMatcher, at: &mut Scope<'_>) -> (String, Limit) {
    open! { at, v3::RegexMatcher = message; implemented { regex, engine_type } }
    let mut limit = Limit::Runtime;
    #[expect(deprecated, reason = "still accepted, as by Envoy")]
    if let Some(v3::regex_matcher::EngineType::GoogleRe2(engine)) = engine_type {
        let mut at = at.field("google_re2");
        open! { at, v3::regex_matcher::GoogleRe2 = engine; implemented { max_program_size } }
        if let Some(size) = max_program_size {
            limit = Limit::Configured(size.value.into());
        }
    }
    (at.required_string("regex", regex), limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_match_begins_with_is_known_where_it_is_literal() {
        let cases = [
            ("/service-1/[^/]+", "/service-1/"),
            ("^/a(b|c)", "/a"),
            ("/a|/b", "/"),
            ("(?i)/abc", "/"),
            ("/ab?c", "/a"),
            (r"/a\.b.*", "/a.b"),
            ("(/api|/apj)/x", "/ap"),
            (".*", ""),
            ("", ""),
        ];
        for (pattern, expected) in cases {
            assert_eq!(Regex::new(pattern).unwrap().literal_prefix(), expected, "{pattern}");
        }
    }
}
