//! What stands behind a backslash.

use regex_syntax::hir::{Class, HirKind};

use super::{Alphabet, Last, Translation};

/// Letters that may follow a backslash and mean the same in both syntaxes.
const SAME_ESCAPES: &str = "aftnrvAz";

impl Translation<'_> {
    /// An escape outside a class.
    pub(super) fn escape(&mut self, start: usize) -> Result<(), String> {
        self.last = Last::Expression;
        match self.peek() {
            Some('b') => self.replace(1, r"(?-u:\b)"),
            Some('B') => self.replace(1, r"(?-u:\B)"),
            Some('C') => self.replace(1, "(?s-u:.)"),
            Some('Q') => self.quotation(),
            Some(letter) => match ascii_class(letter) {
                Some((negated, members)) => self.replace(1, &format!("[{negated}{members}]")),
                None => return self.character_escape(start),
            },
            None => return Err(r"trailing \".to_owned()),
        }
        Ok(())
    }

    /// `\Q` up to `\E` or the end: as it stands.
    fn quotation(&mut self) {
        self.at += 1;
        let quoted = self.rest().split(r"\E").next().unwrap_or_default();
        if quoted.is_empty() {
            self.last = Last::Nothing;
        }
        quoted.chars().for_each(|character| self.put(character));
        self.at = (self.at + quoted.len() + 2).min(self.pattern.len());
    }

    /// An escape that stands for one character, or for a Unicode class.
    pub(super) fn character_escape(&mut self, start: usize) -> Result<(), String> {
        let invalid = |end: usize| format!("invalid escape sequence: {}", &self.pattern[start..end]);
        let Some(letter) = self.peek() else { return Err(r"trailing \".to_owned()) };
        let behind = self.at + letter.len_utf8();
        match letter {
            '0'..='7' => {
                let digits =
                    self.rest().bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                // A single digit but 0 would refer back to a group.
                if letter != '0' && digits == 1 {
                    return Err(invalid(behind));
                }
                let code = u32::from_str_radix(&self.rest()[..digits], 8).unwrap_or(0);
                if code > self.alphabet.last() {
                    return Err(invalid(self.at + digits));
                }
                let escape = self.hexadecimal_escape(code);
                self.replace(digits, &escape);
            }
            'x' => return self.hexadecimal(start),
            'p' | 'P' => return self.property(start, letter),
            letter if SAME_ESCAPES.contains(letter) => {
                self.out.push('\\');
                self.replace(1, letter.encode_utf8(&mut [0; 4]));
            }
            letter if letter.is_ascii_punctuation() || letter == ' ' => {
                self.at += 1;
                self.put(letter);
            }
            _ => return Err(invalid(behind)),
        }
        Ok(())
    }

    /// `\x41` or `\x{10FFFF}`.
    fn hexadecimal(&mut self, start: usize) -> Result<(), String> {
        let rest = &self.rest()[1..];
        let (open, limit) = if rest.starts_with('{') { (1, usize::MAX) } else { (0, 2) };
        let invalid =
            |taken: usize| format!("invalid escape sequence: {}", &self.pattern[start..self.at + 1 + taken]);
        let mut code = 0;
        let mut digits = 0;
        for digit in rest[open..].chars().take(limit).map_while(|digit| digit.to_digit(16)) {
            code = code * 16 + digit;
            digits += 1;
            if code > self.alphabet.last() {
                return Err(invalid(open + digits));
            }
        }
        let closed = open == 0 || rest[open + digits..].starts_with('}');
        let is_whole = closed && if open == 1 { digits > 0 } else { digits == 2 };
        let Some(code) = char::from_u32(code).filter(|_| is_whole) else {
            let behind = rest[open + digits..].chars().next().map_or(0, char::len_utf8);
            return Err(invalid(open + digits + if open == 1 || digits < 2 { behind } else { 0 }));
        };
        let escape = self.hexadecimal_escape(code.into());
        self.replace(1 + digits + 2 * open, &escape);
        Ok(())
    }

    /// The crate's escape for a number of the alphabet.
    pub(super) fn hexadecimal_escape(&self, code: u32) -> String {
        match self.alphabet {
            // In braces it would be a character of UTF-8.
            Alphabet::Bytes => format!(r"\x{code:02X}"),
            Alphabet::Characters => format!(r"\x{{{code:X}}}"),
        }
    }

    /// `\pL`, `\p{Greek}`, or `\p{^Greek}`, which the crate writes `\P{Greek}`. RE2 knows fewer names.
    fn property(&mut self, start: usize, letter: char) -> Result<(), String> {
        let rest = &self.rest()[1..];
        let (name, length) = match rest.strip_prefix('{') {
            Some(braced) => match braced.find('}') {
                Some(end) => (&braced[..end], end + 2),
                None => (rest, rest.len()),
            },
            None => {
                let end = rest.chars().next().map_or(0, char::len_utf8);
                (&rest[..end], end)
            }
        };
        let (negated, name) =
            name.strip_prefix('^').map_or((letter == 'P', name), |name| (letter == 'p', name));
        let end = self.at + 1 + length;
        if !is_property(name) {
            return Err(format!("invalid character class range: {}", &self.pattern[start..end]));
        }
        let stated = match self.alphabet {
            Alphabet::Characters => format!("\\{}{{{name}}}", if negated { 'P' } else { 'p' }),
            Alphabet::Bytes => bytes_of_property(name, negated),
        };
        self.replace(1 + length, &stated);
        Ok(())
    }
}

/// The general categories that RE2 knows.
const CATEGORIES: &str = "Any C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps \
                          S Sc Sk Sm So Z Zl Zp Zs";

/// Whether RE2 knows a property of this name: a general category, or a script by its whole name.
fn is_property(name: &str) -> bool {
    let is_name = name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let is_script = || name.len() > 2 && regex_syntax::parse(&format!(r"\p{{Script={name}}}")).is_ok();
    is_name && (CATEGORIES.split_whitespace().any(|known| known == name) || is_script())
}

/// The class of those among the first 256 characters that have a property, or have it not.
fn bytes_of_property(name: &str, negated: bool) -> String {
    let is_category = CATEGORIES.split_whitespace().any(|known| known == name);
    let property = if is_category { format!(r"\p{{{name}}}") } else { format!(r"\p{{Script={name}}}") };
    let parsed = regex_syntax::parse(&property);
    let ranges = match parsed.as_ref().map(regex_syntax::hir::Hir::kind) {
        Ok(HirKind::Class(Class::Unicode(class))) => class.ranges(),
        _ => &[],
    };
    let has =
        |byte: &u8| ranges.iter().any(|range| (range.start()..=range.end()).contains(&char::from(*byte)));
    let members: String = (0..=u8::MAX).filter(has).map(|byte| format!(r"\x{byte:02X}")).collect();
    match (members.is_empty(), negated) {
        (true, false) => r"[^\x00-\xFF]".to_owned(),
        (true, true) => r"[\x00-\xFF]".to_owned(),
        (false, false) => format!("[{members}]"),
        (false, true) => format!("[^{members}]"),
    }
}

/// A class of ASCII characters that a letter behind a backslash stands for: whether negated, and its members.
pub(super) fn ascii_class(letter: char) -> Option<(&'static str, &'static str)> {
    Some(match letter {
        'd' => ("", "0-9"),
        'D' => ("^", "0-9"),
        's' => ("", r"\t\n\f\r "),
        'S' => ("^", r"\t\n\f\r "),
        'w' => ("", "0-9A-Za-z_"),
        'W' => ("^", "0-9A-Za-z_"),
        _ => return None,
    })
}
