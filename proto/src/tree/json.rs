//! From JSON to a [`Node`], as lenient as the parser of protobuf's C++ library that Envoy uses.

use super::{Document, Entry, Node, Position, Value};
use crate::{Diagnostic, path::Path, wire::MAX_DEPTH};

/// Parses a JSON text as Envoy reads it.
///
/// Beyond the standard it takes single quotes, bare words as keys, a comma before a closing bracket, and
/// control characters in strings.
///
/// # Errors
///
/// Text that is not JSON even so; nesting beyond 100 levels.
pub fn parse_json(text: &str) -> Result<Document, Diagnostic> {
    let mut reader = Reader { rest: text, line: 1, column: 1, depth: 0, path: Path::default() };
    let root = reader.value()?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(Document { root, warnings: Vec::new() }),
        Some(_) => Err(reader.error("unexpected text after the end of the JSON value")),
    }
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    column: usize,
    depth: usize,
    path: Path,
}

type Result<T, E = Diagnostic> = std::result::Result<T, E>;

impl<'a> Reader<'a> {
    fn at(&self) -> Position {
        Position { line: self.line, column: self.column }
    }

    fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::at(self.at(), self.path.as_str(), format!("not valid JSON: {}", message.into()))
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.rest = &self.rest[character.len_utf8()..];
        if character == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(character)
    }

    /// Takes as many characters as match.
    fn take_while(&mut self, matches: impl Fn(char) -> bool) -> &'a str {
        let start = self.rest;
        while self.peek().is_some_and(&matches) {
            self.bump();
        }
        &start[..start.len() - self.rest.len()]
    }

    fn skip_space(&mut self) {
        self.take_while(|character| matches!(character, ' ' | '\t' | '\r' | '\n'));
    }

    /// Skips white space, then the character if it is the next one.
    fn take(&mut self, wanted: char) -> bool {
        self.skip_space();
        let found = self.peek() == Some(wanted);
        if found {
            self.bump();
        }
        found
    }

    fn value(&mut self) -> Result<Node> {
        self.skip_space();
        let at = self.at();
        let value = match self.peek() {
            Some('{') => self.nested(Self::object)?,
            Some('[') => self.nested(Self::array)?,
            Some('"' | '\'') => Value::String(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            Some('a'..='z') => self.word()?,
            Some(other) => return Err(self.error(format!("unexpected character `{other}`"))),
            None => return Err(self.error("unexpected end")),
        };
        Ok(Node { value, at })
    }

    fn word(&mut self) -> Result<Value> {
        let error = self.error("expected a value; strings stand in double quotes");
        match self.take_while(|character| character.is_ascii_alphanumeric()) {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "null" => Ok(Value::Null),
            _ => Err(error),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value>) -> Result<Value> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.depth += 1;
        self.bump();
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value> {
        let mut entries = Vec::new();
        while !self.take('}') {
            let at = self.at();
            let key = self.key()?;
            if !self.take(':') {
                return Err(self.error("expected `:`"));
            }
            let mark = self.path.field(&key);
            let value = self.value()?;
            self.path.back_to(mark);
            entries.push(Entry { key, at, value });
            self.comma('}')?;
        }
        Ok(Value::Map(entries))
    }

    fn array(&mut self) -> Result<Value> {
        let mut elements = Vec::new();
        while !self.take(']') {
            let mark = self.path.element(elements.len());
            elements.push(self.value()?);
            self.path.back_to(mark);
            self.comma(']')?;
        }
        Ok(Value::List(elements))
    }

    /// What separates two elements, or the end, which is left in place.
    fn comma(&mut self, end: char) -> Result<()> {
        if self.take(',') || self.peek() == Some(end) {
            return Ok(());
        }
        Err(self.error(format!("expected `,` or `{end}`")))
    }

    fn key(&mut self) -> Result<String> {
        if matches!(self.peek(), Some('"' | '\'')) {
            return self.string();
        }
        let word =
            self.take_while(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '$'));
        if word.is_empty() || word.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(self.error("expected a key in double quotes"));
        }
        Ok(word.to_owned())
    }

    fn number(&mut self) -> Result<Value> {
        let error = self.error("malformed number");
        let text = self.take_while(|character| matches!(character, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
        let digits = text.strip_prefix('-').unwrap_or(text);
        let leading_zero =
            digits.starts_with('0') && digits[1..].starts_with(|next: char| next.is_ascii_digit());
        let starts_well = digits.starts_with(|first: char| first.is_ascii_digit());
        if leading_zero
            || !starts_well
            || digits.contains(".e")
            || digits.contains(".E")
            || digits.ends_with('.')
        {
            return Err(error);
        }
        if let Ok(value) = text.parse::<i128>() {
            return Ok(Value::Int(value));
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Value::Float(value)),
            _ => Err(error),
        }
    }

    fn string(&mut self) -> Result<String> {
        let quote = self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                None => return Err(self.error("a string has no end")),
                Some('\\') => text.push(self.escape()?),
                end if end == quote => return Ok(text),
                Some(other) => text.push(other),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        Ok(match self.bump() {
            Some(plain @ ('"' | '\\' | '/' | '\'')) => plain,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u' | 'U') => self.code_point()?,
            _ => return Err(self.error("unknown escape in a string")),
        })
    }

    fn code_point(&mut self) -> Result<char> {
        let mut code = self.hex4()?;
        if (0xd800..0xdc00).contains(&code) {
            if self.bump() != Some('\\') || self.bump() != Some('u') {
                return Err(self.error("a high surrogate needs a low one behind it"));
            }
            let low = self.hex4()?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(self.error("a high surrogate needs a low one behind it"));
            }
            code = 0x10000 + ((code & 0x3ff) << 10 | (low & 0x3ff));
        }
        char::from_u32(code).ok_or_else(|| self.error("an escape names no character"))
    }

    fn hex4(&mut self) -> Result<u32> {
        (0..4).try_fold(0, |code, _| match self.bump().and_then(|digit| digit.to_digit(16)) {
            Some(digit) => Ok(code << 4 | digit),
            None => Err(self.error("`\\u` needs four hexadecimal digits")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Value {
        parse_json(text).expect("JSON").root.value
    }

    fn refuse(text: &str, expected: &str) {
        let error = parse_json(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }

    #[test]
    fn values_know_their_place() {
        let document = parse_json("{\n  \"a\": [1, \"b\"]\n}").expect("JSON");
        let list = document.root.get("a").expect("a key");
        assert_eq!(list.at, Position { line: 2, column: 8 });
        assert_eq!(list.elements()[1].at, Position { line: 2, column: 12 });
        assert_eq!(document.root.entries()[0].at, Position { line: 2, column: 3 });
    }

    #[test]
    fn what_envoy_takes_beyond_json_is_taken() {
        assert_eq!(parse_json("{_a1:'b',}").expect("JSON").root.get("_a1").and_then(Node::as_str), Some("b"));
        assert_eq!(parse("[1,]"), parse("[1]"));
        assert_eq!(parse("\"a\tb\""), Value::String("a\tb".into()));
    }

    #[test]
    fn numbers_keep_their_precision() {
        assert_eq!(parse("18446744073709551615"), Value::Int(18_446_744_073_709_551_615));
        assert_eq!(parse("-0"), Value::Int(0));
        assert_eq!(parse("1e3"), Value::Float(1000.0));
        for text in ["080", "1.", "-", "1e999", "1.e3", "--1", "1-2"] {
            refuse(text, "malformed number");
        }
        for text in [".5", "+5", "NaN"] {
            refuse(text, "unexpected character");
        }
    }

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(parse(r#""\u00e4\ud83d\ude00\n\/""#), Value::String("ä😀\n/".into()));
        refuse(r#""\x""#, "unknown escape");
        refuse(r#""\ud83d""#, "surrogate");
        refuse(r#""\ude00""#, "names no character");
        refuse(r#""\u12"#, "four hexadecimal digits");
    }

    #[test]
    fn an_error_names_its_place() {
        let error = parse_json("{\"a\": {\"b\": [1, ?]}}").expect_err("no JSON");
        assert_eq!(error.to_string(), "1:17: a.b[1]: not valid JSON: unexpected character `?`");
    }

    #[test]
    fn broken_text_is_refused() {
        refuse("", "unexpected end");
        refuse("{} x", "after the end");
        refuse("[1 2]", "expected `,` or `]`");
        refuse("{\"a\" 1}", "expected `:`");
        refuse("[truth]", "expected a value");
        refuse(&"[".repeat(200), "nested more than 100 levels deep");
    }
}
