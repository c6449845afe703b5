//! From RE2's syntax, which Envoy's configuration is written in, to that of the `regex` crate.
//!
//! Both have the same semantics (leftmost-first, linear time), but not quite the same language:
//!
//! - `\d`, `\s`, `\w` and `\b` mean ASCII in RE2, Unicode in the crate;
//! - in a class the crate has set operations (`&&`, `--`, `~~`, `[[a]b]`) where RE2 has plain characters;
//! - a brace that opens no repetition is a brace in RE2, an error in the crate; `\<` is a `<`, not a word's start;
//! - RE2 has `\Q…\E`, `\C` and octal escapes; the crate takes `a**` and flags that RE2 refuses.
//!
//! What RE2 refuses is refused here in its words.
//!
//! Envoy reads its patterns as Latin-1, so that each stands for bytes: `.` is a byte, whatever it is part of, and `\p{L}` the
//! letters among the first 256 characters. Expressions (CEL) read theirs as UTF-8.

mod escapes;

use escapes::ascii_class;

/// The most repetitions that RE2 takes.
const MAX_REPETITIONS: u32 = 1000;

/// The classes of POSIX that stand within `[:` and `:]`.
const NAMED_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// What the characters of a pattern and of texts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// Bytes, as of texts in Latin-1.
    Bytes,
    /// Characters of UTF-8.
    Characters,
}

impl Alphabet {
    /// The last of them.
    fn last(self) -> u32 {
        match self {
            Alphabet::Bytes => 0xFF,
            Alphabet::Characters => char::MAX.into(),
        }
    }
}

/// The pattern in the crate's syntax, without Unicode where its characters are bytes.
///
/// # Errors
/// What RE2 says of a pattern that it refuses.
pub(super) fn translate(pattern: &str, alphabet: Alphabet) -> Result<String, String> {
    match alphabet {
        // As RE2 does it: a character for each byte, here and in what it says of a pattern that it refuses.
        Alphabet::Bytes if !pattern.is_ascii() => {
            translate_characters(&pattern.bytes().map(char::from).collect::<String>(), alphabet)
        }
        _ => translate_characters(pattern, alphabet),
    }
}

fn translate_characters(pattern: &str, alphabet: Alphabet) -> Result<String, String> {
    let mut translation = Translation {
        pattern,
        alphabet,
        at: 0,
        out: String::with_capacity(pattern.len()),
        depth: 0,
        last: Last::Nothing,
    };
    while let Some(next) = translation.next() {
        translation.step(next)?;
    }
    match translation.depth {
        0 => Ok(translation.out),
        _ => Err(format!("missing ): {pattern}")),
    }
}

/// What stands before the place now read, as far as a repetition operator has to know.
#[derive(Clone, Copy)]
enum Last {
    /// Nothing that could be repeated.
    Nothing,
    /// Something that can be repeated.
    Expression,
    /// A repetition operator that began here.
    Repetition(usize),
}

struct Translation<'a> {
    pattern: &'a str,
    alphabet: Alphabet,
    /// The byte after the character read last.
    at: usize,
    out: String,
    depth: usize,
    last: Last,
}

impl<'a> Translation<'a> {
    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &'a str {
        &self.pattern[self.at..]
    }

    fn step(&mut self, next: char) -> Result<(), String> {
        let start = self.at - next.len_utf8();
        match next {
            '\\' => return self.escape(start),
            '[' => return self.class(start),
            '*' | '+' | '?' => return self.repetition(start),
            '{' if self.skip_counts(start)? => return self.repetition(start),
            '{' => self.out.push_str(r"\{"),
            '(' => return self.group(start),
            ')' => {
                self.depth =
                    self.depth.checked_sub(1).ok_or_else(|| format!("unexpected ): {}", self.pattern))?;
                self.out.push(')');
            }
            '|' => {
                self.out.push('|');
                self.last = Last::Nothing;
                return Ok(());
            }
            other if other.is_ascii() => self.out.push(other),
            other => self.put(other),
        }
        self.last = Last::Expression;
        Ok(())
    }

    /// A character that stands for itself.
    fn put(&mut self, character: char) {
        match self.alphabet {
            Alphabet::Bytes if !character.is_ascii() => {
                let escape = self.hexadecimal_escape(character.into());
                self.out.push_str(&escape);
            }
            _ => self.out.push_str(&regex::escape(character.encode_utf8(&mut [0; 4]))),
        }
    }

    /// The counts of a repetition behind its opening brace; false if it is a plain brace.
    fn skip_counts(&mut self, start: usize) -> Result<bool, String> {
        let Some((inside, _)) = self.rest().split_once('}') else { return Ok(false) };
        let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
        // `{01}` is no repetition, as in RE2.
        let is_number = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && (text.len() == 1 || !text.starts_with('0'))
        };
        if !is_number(least) || !(most.is_empty() || is_number(most)) {
            return Ok(false);
        }
        self.at += inside.len() + 1;
        // A number too long for the type is too large too.
        let count = |text: &str| text.parse().unwrap_or(u32::MAX);
        let (least, most) = (count(least), if most.is_empty() { count(least) } else { count(most) });
        if most > MAX_REPETITIONS || least > most {
            return Err(format!("invalid repetition size: {}", &self.pattern[start..self.at]));
        }
        Ok(true)
    }

    /// A repetition operator that ends here, less the `?` that makes it lazy.
    fn repetition(&mut self, start: usize) -> Result<(), String> {
        if self.peek() == Some('?') {
            self.at += 1;
        }
        let operator = &self.pattern[start..self.at];
        match self.last {
            Last::Nothing => return Err(format!("no argument for repetition operator: {operator}")),
            Last::Repetition(first) => {
                return Err(format!("bad repetition operator: {}", &self.pattern[first..self.at]));
            }
            Last::Expression => self.out.push_str(operator),
        }
        self.last = Last::Repetition(start);
        Ok(())
    }

    fn group(&mut self, start: usize) -> Result<(), String> {
        self.last = Last::Nothing;
        self.out.push('(');
        let Some(special) = self.rest().strip_prefix('?') else {
            self.depth += 1;
            return Ok(());
        };
        let named = special.strip_prefix('P').unwrap_or(special);
        if named.starts_with('<') && !named.starts_with("<=") && !named.starts_with("<!") {
            self.depth += 1;
            let name = self.rest().find('>').map_or(self.rest().len(), |end| end + 1);
            self.out.push_str(&self.pattern[self.at..self.at + name]);
            self.at += name;
            return Ok(());
        }
        let flags = special.find(|flag| !"imsU-".contains(flag)).unwrap_or(special.len());
        let end = self.at + 1 + flags;
        match special[flags..].chars().next() {
            Some(':') => self.depth += 1,
            Some(')') if flags > 0 => {}
            behind => {
                let end = end + behind.map_or(0, char::len_utf8);
                return Err(format!("invalid perl operator: {}", &self.pattern[start..end]));
            }
        }
        self.out.push_str(&self.pattern[self.at..=end]);
        self.at = end + 1;
        Ok(())
    }

    fn replace(&mut self, bytes: usize, with: &str) {
        self.at += bytes;
        self.out.push_str(with);
    }

    fn class(&mut self, start: usize) -> Result<(), String> {
        self.last = Last::Expression;
        self.out.push('[');
        if self.peek() == Some('^') {
            self.replace(1, "^");
        }
        let mut first = true;
        loop {
            match self.peek() {
                None => return Err(format!("missing ]: {}", &self.pattern[start..])),
                Some(']') if !first => break,
                Some('[') if self.rest().starts_with("[:") && self.rest().contains(":]") => {
                    let end = self.rest().find(":]").map_or(0, |end| end + 2);
                    let class = &self.rest()[..end];
                    let name = class.trim_start_matches("[:").trim_end_matches(":]");
                    if !NAMED_CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
                        return Err(format!("invalid character class range: {class}"));
                    }
                    self.replace(end, class);
                }
                Some(_) => self.class_item()?,
            }
            first = false;
        }
        self.replace(1, "]");
        Ok(())
    }

    /// A character, a range or an escape in a class.
    fn class_item(&mut self) -> Result<(), String> {
        let start = self.at;
        if let Some((negated, members)) =
            self.rest().strip_prefix('\\').and_then(|rest| ascii_class(rest.chars().next()?))
        {
            let set = if negated.is_empty() { members.to_owned() } else { format!("[^{members}]") };
            self.replace(2, &set);
            return Ok(());
        }
        self.class_character()?;
        let mut behind = self.rest().chars();
        if behind.next() == Some('-') && behind.next().is_some_and(|end| end != ']') {
            self.replace(1, "-");
            self.class_character()?;
            // Which end is the larger the crate knows; it does not know RE2's words.
            let range = &self.pattern[start..self.at];
            let mut ends = range.chars();
            if let (Some(low), Some('-'), Some(high), None) =
                (ends.next(), ends.next(), ends.next(), ends.next())
                && low > high
            {
                return Err(format!("invalid character class range: {range}"));
            }
        }
        Ok(())
    }

    fn class_character(&mut self) -> Result<(), String> {
        let start = self.at;
        match self.next() {
            Some('\\') => self.character_escape(start),
            Some(character) => {
                self.put(character);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
