//! The tokens of protobuf's text format.

use crate::{Diagnostic, path::Path, tree::Position};

/// A piece of text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name: a field, an enum value, `true`, `inf`.
    Word(String),
    /// A number as written, without sign.
    Number(String),
    /// The content of a string, which need not be UTF-8.
    Text(Vec<u8>),
    /// One of `{}<>[]:;,-`, or what stands in a type URL: `/`.
    Mark(char),
    End,
}

impl Token {
    /// What this is, in words for a message.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Word(word) | Self::Number(word) => format!("`{word}`"),
            Self::Text(_) => "a string".into(),
            Self::Mark(mark) => format!("`{mark}`"),
            Self::End => "the end".into(),
        }
    }
}

/// Splits a text into tokens, one ahead.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    column: usize,
    /// The next token.
    pub(super) token: Token,
    /// Where the next token begins.
    pub(super) at: Position,
    /// The field that is being read, for errors.
    pub(super) path: Path,
}

type Result<T> = std::result::Result<T, Diagnostic>;

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self> {
        let (token, at, path) = (Token::End, Position::default(), Path::default());
        let mut lexer = Self { rest: text, line: 1, column: 1, token, at, path };
        lexer.advance()?;
        Ok(lexer)
    }

    /// Takes the next token and reads the one behind it.
    pub(super) fn advance(&mut self) -> Result<Token> {
        self.skip_space();
        self.at = Position { line: self.line, column: self.column };
        let next = match self.peek() {
            None => Token::End,
            Some('a'..='z' | 'A'..='Z' | '_') => {
                Token::Word(self.take_while(|letter| letter.is_ascii_alphanumeric() || letter == '_').into())
            }
            Some('0'..='9' | '.') => self.number(),
            Some(quote @ ('"' | '\'')) => Token::Text(self.text(quote)?),
            Some(mark @ ('{' | '}' | '<' | '>' | '[' | ']' | ':' | ';' | ',' | '-' | '/')) => {
                self.bump();
                Token::Mark(mark)
            }
            Some(other) => return Err(self.error(format!("unexpected character `{other}`"))),
        };
        Ok(std::mem::replace(&mut self.token, next))
    }

    /// Takes a mark if it is next.
    pub(super) fn take(&mut self, mark: char) -> Result<bool> {
        let found = self.token == Token::Mark(mark);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn expected(&self, what: &str) -> Diagnostic {
        self.error(format!("expected {what}, found {}", self.token.describe()))
    }

    pub(super) fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::at(self.at, self.path.as_str(), message.into())
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.rest = &self.rest[letter.len_utf8()..];
        if letter == '\n' {
            (self.line, self.column) = (self.line + 1, 1);
        } else {
            self.column += 1;
        }
        Some(letter)
    }

    fn take_while(&mut self, matches: impl Fn(char) -> bool) -> &'a str {
        let start = self.rest;
        while self.peek().is_some_and(&matches) {
            self.bump();
        }
        &start[..start.len() - self.rest.len()]
    }

    fn skip_space(&mut self) {
        loop {
            self.take_while(char::is_whitespace);
            if self.peek() != Some('#') {
                return;
            }
            self.take_while(|letter| letter != '\n');
        }
    }

    fn number(&mut self) -> Token {
        let mut text = String::new();
        while let Some(letter) = self.peek() {
            let after_exponent =
                text.ends_with(['e', 'E']) && !text.starts_with("0x") && !text.starts_with("0X");
            if !(letter.is_ascii_alphanumeric()
                || letter == '.'
                || after_exponent && matches!(letter, '+' | '-'))
            {
                break;
            }
            text.extend(self.bump());
        }
        Token::Number(text)
    }

    fn text(&mut self, quote: char) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.bump();
        loop {
            match self.bump() {
                Some(letter) if letter == quote => return Ok(bytes),
                Some('\\') => self.escape(&mut bytes)?,
                None | Some('\n') => return Err(self.error("a string has no end")),
                Some(letter) => bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let byte = match self.bump() {
            Some('a') => 7,
            Some('b') => 8,
            Some('f') => 12,
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('v') => 11,
            Some(plain @ ('\\' | '\'' | '"' | '?')) => plain as u8,
            Some('x' | 'X') => self.code(16, 0, 2)? as u8,
            Some(first @ '0'..='7') => self.code(8, first as u32 - '0' as u32, 2)? as u8,
            Some(kind @ ('u' | 'U')) => {
                let code = self.code(16, 0, if kind == 'u' { 4 } else { 8 })?;
                let letter =
                    char::from_u32(code).ok_or_else(|| self.error("an escape names no character"))?;
                bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.error("unknown escape in a string")),
        };
        bytes.push(byte);
        Ok(())
    }

    /// Up to `digits` more digits of a code; hexadecimal ones need at least one.
    fn code(&mut self, radix: u32, mut code: u32, digits: usize) -> Result<u32> {
        for taken in 0..digits {
            match self.peek().and_then(|digit| digit.to_digit(radix)) {
                Some(digit) => code = code.wrapping_mul(radix) + digit,
                None if taken == 0 && radix == 16 => return Err(self.error("an escape has no digits")),
                None => break,
            }
            self.bump();
        }
        Ok(code)
    }
}
