//! Asking the matchers of [`super::matcher`].
//!
//! A header with several values matches where one of them does, as in Envoy since
//! `envoy.reloadable_features.match_headers_individually` is on.

use std::borrow::Cow;

use super::matcher::{HeaderMatcher, HeaderTest, QueryParameterMatcher, QueryParameterTest};
use super::matcher::{StringMatcher, StringPattern};
use crate::base::headers::{Headers, Name};

impl StringMatcher {
    /// Whether `value` matches.
    pub fn matches(&self, value: &[u8]) -> bool {
        match &self.pattern {
            StringPattern::Exact(text) => self.same(value, text),
            StringPattern::Prefix(text) => value.len() >= text.len() && self.same(&value[..text.len()], text),
            StringPattern::Suffix(text) => {
                value.len() >= text.len() && self.same(&value[value.len() - text.len()..], text)
            }
            StringPattern::Contains(text) if self.ignore_case => {
                text.is_empty() || value.windows(text.len()).any(|part| self.same(part, text))
            }
            StringPattern::Contains(text) => memchr::memmem::find(value, text.as_bytes()).is_some(),
            StringPattern::SafeRegex(regex) => regex.matches_fully(value),
        }
    }

    fn same(&self, value: &[u8], text: &str) -> bool {
        if self.ignore_case { value.eq_ignore_ascii_case(text.as_bytes()) } else { value == text.as_bytes() }
    }
}

impl HeaderMatcher {
    /// Whether these headers match. A missing header matches nothing, inverted or not, unless it counts as
    /// empty; only [`HeaderTest::Present`] asks about missing ones.
    pub fn matches(&self, headers: &Headers) -> bool {
        let name = Name::new(self.name.as_bytes());
        let mut values = headers.get_all(name).peekable();
        if let HeaderTest::Present(present) = self.test {
            let there = self.treat_missing_as_empty || values.peek().is_some();
            return (there == present) != self.invert;
        }
        if values.peek().is_none() {
            return self.treat_missing_as_empty && (self.test.matches(b"") != self.invert);
        }
        values.any(|value| self.test.matches(value)) != self.invert
    }
}

impl HeaderTest {
    /// Whether this one value passes.
    fn matches(&self, value: &[u8]) -> bool {
        match self {
            HeaderTest::String(matcher) => matcher.matches(value),
            HeaderTest::Range(start, end) => {
                integer(value).is_some_and(|number| (*start..*end).contains(&number))
            }
            HeaderTest::Present(present) => *present,
        }
    }
}

/// A whole value as a decimal integer, spaces around it allowed.
fn integer(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}

/// A request target's path and query; the question mark and a fragment belong to neither.
pub fn split_query(target: &[u8]) -> (&[u8], &[u8]) {
    let path_end = path_len(target);
    let rest = &target[path_end..];
    let query = match rest.strip_prefix(b"?") {
        Some(query) => &query[..memchr::memchr(b'#', query).unwrap_or(query.len())],
        None => b"",
    };
    (&target[..path_end], query)
}

/// Bytes of a request target before its query or fragment.
pub fn path_len(target: &[u8]) -> usize {
    memchr::memchr2(b'?', b'#', target).unwrap_or(target.len())
}

/// The value of a query parameter, of several the first. Nothing is decoded.
pub fn query_parameter<'q>(query: &'q [u8], name: &[u8]) -> Option<&'q [u8]> {
    query.split(|byte| *byte == b'&').find_map(|parameter| {
        let (known, value) = match memchr::memchr(b'=', parameter) {
            Some(at) => (&parameter[..at], &parameter[at + 1..]),
            None => (parameter, &b""[..]),
        };
        (known == name).then_some(value)
    })
}

/// All values of a header with commas between them; usually there is one, which is not copied. The name is in lower case.
pub fn joined<'h>(headers: &'h Headers, name: &str) -> Option<Cow<'h, [u8]>> {
    let first = headers.get_by_name(name.as_bytes())?;
    let values: smallvec::SmallVec<[&[u8]; 2]> = headers.get_all(Name::new(name.as_bytes())).collect();
    match values[..] {
        [_] => Some(Cow::Borrowed(first)),
        _ => Some(Cow::Owned(values.join(&b","[..]))),
    }
}

impl QueryParameterMatcher {
    /// Whether a query, without its question mark, matches. Nothing is decoded, and of a parameter that
    /// comes several times the first counts.
    pub fn matches(&self, query: &[u8]) -> bool {
        let value = query_parameter(query, self.name.as_bytes());
        match &self.test {
            QueryParameterTest::Present(present) => value.is_some() == *present,
            QueryParameterTest::String(matcher) => value.is_some_and(|value| matcher.matches(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::matcher::Regex;
    use super::*;

    fn headers(values: &[&str]) -> Headers {
        let mut headers = Headers::new();
        values.iter().for_each(|value| headers.append_received(b"h", value.as_bytes()));
        headers
    }

    fn exact(text: &str) -> HeaderTest {
        string(StringPattern::Exact(text.into()), false)
    }

    fn string(pattern: StringPattern, ignore_case: bool) -> HeaderTest {
        HeaderTest::String(StringMatcher { pattern, ignore_case })
    }

    fn check(test: HeaderTest, invert: bool, missing: bool, cases: &[(&[&str], bool)]) {
        let matcher = HeaderMatcher { name: "h".into(), test, invert, treat_missing_as_empty: missing };
        for (values, expected) in cases {
            assert_eq!(matcher.matches(&headers(values)), *expected, "{matcher:?} {values:?}");
        }
    }

    // The expectations below are what Envoy 1.40 answered to the same matchers.

    #[test]
    fn one_matching_value_is_enough() {
        check(exact("a,b"), false, false, &[(&["a", "b"], false), (&["c", "a,b"], true), (&["a, b"], false)]);
        check(
            HeaderTest::Range(-10, 10),
            false,
            false,
            &[(&["40", "3"], true), (&["40", "50"], false), (&["3,4"], false)],
        );
    }

    #[test]
    fn inversion_asks_that_no_value_matches_but_that_there_is_one() {
        check(
            exact("a"),
            true,
            false,
            &[(&[], false), (&["a"], false), (&["b", "a"], false), (&["b", "c"], true)],
        );
    }

    #[test]
    fn a_missing_header_can_count_as_empty() {
        check(exact("a"), true, true, &[(&[], true), (&["a"], false)]);
        check(HeaderTest::Present(true), false, true, &[(&[], true), (&["1"], true)]);
    }

    #[test]
    fn presence_holds_for_empty_values() {
        check(HeaderTest::Present(true), false, false, &[(&[], false), (&[""], true)]);
        check(HeaderTest::Present(false), false, false, &[(&[], true), (&[""], false)]);
        check(HeaderTest::Present(true), true, false, &[(&[], true), (&["1"], false)]);
    }

    #[test]
    fn ranges_take_decimal_integers_and_exclude_the_end() {
        let cases: [(&[&str], bool); 10] = [
            (&["-10"], true),
            (&["10"], false),
            (&["9"], true),
            (&[" 3"], true),
            (&["+3"], true),
            (&["3x"], false),
            (&[""], false),
            (&["007"], true),
            (&["-0x1"], false),
            (&["99999999999999999999"], false),
        ];
        check(HeaderTest::Range(-10, 10), false, false, &cases);
    }

    #[test]
    fn strings_match_in_part_and_without_case() {
        check(
            string(StringPattern::Prefix("AB".into()), true),
            false,
            false,
            &[(&["abc"], true), (&["a"], false)],
        );
        check(
            string(StringPattern::Suffix("XY".into()), true),
            false,
            false,
            &[(&["axy"], true), (&["axyz"], false)],
        );
        check(
            string(StringPattern::Contains("MiD".into()), true),
            false,
            false,
            &[(&["amidb"], true), (&["md"], false)],
        );
        check(
            string(StringPattern::Contains("mid".into()), false),
            false,
            false,
            &[(&["amidb"], true), (&["aMidb"], false)],
        );
    }

    #[test]
    fn regular_expressions_match_the_whole_value() {
        let regex = Regex::new("a|ab").unwrap();
        check(
            string(StringPattern::SafeRegex(regex), false),
            false,
            false,
            &[(&["ab"], true), (&["abc"], false)],
        );
    }

    #[test]
    fn the_first_of_equal_query_parameters_counts_and_nothing_is_decoded() {
        let matcher = QueryParameterMatcher {
            name: "a".into(),
            test: QueryParameterTest::String(StringMatcher {
                pattern: StringPattern::Exact("1".into()),
                ignore_case: false,
            }),
        };
        let cases = [
            ("a=1", true),
            ("a=2&a=1", false),
            ("a=1&a=2", true),
            ("x=1&a=1", true),
            ("%61=1", false),
            ("&&a=1", true),
            ("a=1?", false),
            ("a=1;b=2", false),
            ("?a=1", false),
            ("", false),
        ];
        for (query, expected) in cases {
            assert_eq!(matcher.matches(query.as_bytes()), expected, "{query}");
        }
    }

    #[test]
    fn a_query_parameter_is_present_with_and_without_a_value() {
        let present =
            |present| QueryParameterMatcher { name: "b".into(), test: QueryParameterTest::Present(present) };
        for (query, expected) in [("b", true), ("b=", true), ("bb", false), ("d", false)] {
            assert_eq!(present(true).matches(query.as_bytes()), expected, "{query}");
            assert_eq!(present(false).matches(query.as_bytes()), !expected, "{query}");
        }
    }
}
