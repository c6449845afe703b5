//! What the translation makes of patterns.

use super::super::Regex;
use super::*;

#[test]
fn classes_by_letter_mean_ascii() {
    for (pattern, input, expected) in [
        (r"\d+", "42", true),
        (r"\d+", "٤٢", false),
        (r"\w+", "é", false),
        (r"[\w-]+", "a-b", true),
        (r"[^\W]+", "ab", true),
        (r".", "é", false),
        (r"..", "é", true),
        (r"/users/{id}", "/users/{id}", true),
        (r"a{2,3}", "aaa", true),
        (r"[a&&b]+", "a&b", true),
        (r"[[]", "[", true),
        (r"[+--]", ",", true),
        (r"[]a]+", "]a", true),
        (r"[[:digit:]x]+", "1x", true),
        (r"\<a\>", "<a>", true),
        (r"\Qa.b\E+", "a.bb", true),
        (r"\Qa.b\E", "axb", false),
        (r"\101\x42\x{43}", "ABC", true),
        (r"(?i)app", "APP", true),
        (r"(?P<x>a)|(?<y>b)", "b", true),
        (r"\pL+", "aZ", true),
        (r"\p{^L}+", "1a", false),
        (r"[\p{^L}x]+", "1x", true),
        (r"[^\pL]", "a", false),
        (r"\p{Greek}", "a", false),
        (r"\p{Any}+", "é", true),
        (r"[[:^alpha:]]+", "12", true),
        (r"\xc3\x{a9}\x41", "éA", true),
        ("é+", "é", true),
        ("é+", "éé", false),
        ("[éa]", "é", false),
        ("[éa]{2}", "é", true),
        (r"\Qé\E", "é", true),
        ("(?i)É", "é", false),
        ("a{01}", "a{01}", true),
        (r"x|yz", "yz", true),
    ] {
        let regex = Regex::new(pattern).unwrap_or_else(|problem| panic!("{pattern}: {problem}"));
        assert_eq!(regex.matches_fully(input.as_bytes()), expected, "{pattern} on {input}");
    }
}

#[test]
fn what_re2_refuses_is_refused_in_its_words() {
    for (pattern, expected) in [
        ("(a", "missing ): (a"),
        ("a)", "unexpected ): a)"),
        ("*", "no argument for repetition operator: *"),
        ("a|*", "no argument for repetition operator: *"),
        ("a**", "bad repetition operator: **"),
        ("a{2}{3}", "bad repetition operator: {2}{3}"),
        ("a*?+", "bad repetition operator: *?+"),
        ("a{1001}", "invalid repetition size: {1001}"),
        ("[a", "missing ]: [a"),
        ("[z-a]", "invalid character class range: z-a"),
        (r"\q", r"invalid escape sequence: \q"),
        (r"(a)\1", r"invalid escape sequence: \1"),
        (r"a\", r"trailing \"),
        (r"\x4", r"invalid escape sequence: \x4"),
        (r"\xg", r"invalid escape sequence: \xg"),
        (r"\x{4g}", r"invalid escape sequence: \x{4g"),
        (r"\x{100}", r"invalid escape sequence: \x{100"),
        (r"\x{10FFFF}", r"invalid escape sequence: \x{10F"),
        (r"\777", r"invalid escape sequence: \777"),
        ("[é", "missing ]: [Ã©"),
        (r"\p{Foo}", r"invalid character class range: \p{Foo}"),
        (r"\p{Letter}", r"invalid character class range: \p{Letter}"),
        (r"\p{L&}", r"invalid character class range: \p{L&}"),
        (r"\p{", r"invalid character class range: \p{"),
        ("[[:foo:]]", "invalid character class range: [:foo:]"),
        ("(?=a)", "invalid perl operator: (?="),
        ("(?x)a", "invalid perl operator: (?x"),
    ] {
        assert_eq!(translate(pattern, Alphabet::Bytes), Err(expected.to_owned()), "{pattern}");
    }
}
