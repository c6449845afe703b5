//! Regular expressions in queries, with errors in RE2's words where RE2 has the same one.

use regex::Regex;
use regex_syntax::ast::{Error, ErrorKind, parse::Parser};

/// Compiles a pattern.
///
/// # Errors
/// What is wrong with it, as RE2 says it: `missing ): (`.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    match Parser::new().parse(pattern) {
        Err(error) => Err(in_words_of_re2(pattern, &error)),
        // What is left are limits and classes that are not known.
        Ok(_) => Regex::new(pattern).map_err(|error| error.to_string()),
    }
}

fn in_words_of_re2(pattern: &str, error: &Error) -> String {
    let (from, to) = (error.span().start.offset, error.span().end.offset);
    let part = &pattern[from..to];
    match error.kind() {
        ErrorKind::GroupUnclosed => format!("missing ): {pattern}"),
        ErrorKind::GroupUnopened => format!("unexpected ): {pattern}"),
        ErrorKind::ClassUnclosed => format!("missing ]: {}", &pattern[from..]),
        ErrorKind::ClassRangeInvalid => format!("invalid character class range: {part}"),
        ErrorKind::EscapeUnexpectedEof => "trailing \\".to_owned(),
        ErrorKind::EscapeUnrecognized => format!("invalid escape sequence: {part}"),
        ErrorKind::RepetitionMissing => {
            format!("no argument for repetition operator: {}", &pattern[from..=from])
        }
        ErrorKind::RepetitionCountInvalid => format!("invalid repetition size: {part}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_those_of_re2() {
        let error = |pattern: &str| compile(pattern).expect_err(pattern);
        assert_eq!(error("("), "missing ): (");
        assert_eq!(error(")"), "unexpected ): )");
        assert_eq!(error("["), "missing ]: [");
        assert_eq!(error("a|*"), "no argument for repetition operator: *");
        assert_eq!(error("[z-a]"), "invalid character class range: z-a");
        assert_eq!(error("\\"), "trailing \\");
        assert_eq!(error("\\q"), "invalid escape sequence: \\q");
        assert_eq!(error("a{2,1}"), "invalid repetition size: {2,1}");
    }
}
