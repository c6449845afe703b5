//! From protobuf's text format (`.pb_text`) to the wire form of a message.
//!
//! Unlike YAML and JSON, the notation is strict: field names as declared, enum values in their case, strings
//! in quotes, one value where one belongs. What a bare word or a string means depends on the field's type,
//! so this does not go by way of the [`tree`](crate::tree).

mod lexer;
mod scalar;

use lexer::{Lexer, Token};

use crate::{
    Diagnostic,
    descriptor::{self, Field, Message},
    hint,
    tree::Position,
    wire::{MAX_DEPTH, put_bytes},
};

type Result<T> = std::result::Result<T, Diagnostic>;

/// Encodes a text as the message of this full name.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn encode_text(text: &str, message: &str) -> Result<Vec<u8>> {
    let Some(descriptor) = descriptor::message(message) else {
        let text = format!("there is no message type `{message}`");
        return Err(Diagnostic::at(Position::default(), "", text));
    };
    let mut parser = Parser { lexer: Lexer::new(text)?, depth: 0 };
    let mut out = Vec::new();
    parser.fields(descriptor, &Token::End, &mut out)?;
    Ok(out)
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    depth: usize,
}

impl Parser<'_> {
    /// Appends fields until `end` is next.
    fn fields(&mut self, message: &'static Message, end: &Token, out: &mut Vec<u8>) -> Result<()> {
        if self.depth == MAX_DEPTH {
            return Err(self.lexer.error(format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.depth += 1;
        let mut set = Vec::new();
        while self.lexer.token != *end {
            match self.lexer.token.clone() {
                Token::Mark('[') if message.full_name() == "google.protobuf.Any" => self.any(out)?,
                Token::Word(name) => {
                    let mark = self.lexer.path.field(&name);
                    let field = self.known(&name, message, &mut set)?;
                    self.lexer.advance()?;
                    self.field(field, out)?;
                    self.lexer.path.back_to(mark);
                }
                _ => return Err(self.lexer.expected("a field name")),
            }
            if !self.lexer.take(',')? {
                self.lexer.take(';')?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// The field of this name, if it may be set here.
    fn known(
        &self,
        name: &str,
        message: &'static Message,
        set: &mut Vec<&'static Field>,
    ) -> Result<&'static Field> {
        let Some(field) = message.field_named(name).filter(|field| field.name() == name) else {
            let near = hint::nearest_identifier(name, message.fields().iter().map(Field::name));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(self.lexer.error(format!("{} has no field `{name}`{near}", message.full_name())));
        };
        let clash = set.iter().find(|other| {
            other.number() == field.number() && !field.is_repeated()
                || other.oneof().is_some() && other.oneof() == field.oneof()
        });
        if let Some(other) = clash {
            return Err(self.lexer.error(format!("`{}` is already set", other.name())));
        }
        set.push(field);
        Ok(field)
    }

    /// What follows a field's name.
    fn field(&mut self, field: &'static Field, out: &mut Vec<u8>) -> Result<()> {
        let colon = self.lexer.take(':')?;
        if !colon && field.message().is_none() {
            return Err(self.lexer.expected("`:`"));
        }
        if !field.is_repeated() || !self.lexer.take('[')? {
            return self.value(field, out);
        }
        while !self.lexer.take(']')? {
            self.value(field, out)?;
            if !self.lexer.take(',')? && self.lexer.token != Token::Mark(']') {
                return Err(self.lexer.expected("`,` or `]`"));
            }
        }
        Ok(())
    }

    fn value(&mut self, field: &'static Field, out: &mut Vec<u8>) -> Result<()> {
        match field.message() {
            Some(message) => {
                let inner = self.message(message)?;
                put_bytes(out, field.number(), &inner);
            }
            None => {
                let scalar = scalar::parse(&mut self.lexer, field)?;
                if field.has_presence() || field.is_repeated() || !scalar.is_default() {
                    scalar.put(field.number(), out);
                }
            }
        }
        Ok(())
    }

    /// A message in braces or angle brackets.
    fn message(&mut self, message: &'static Message) -> Result<Vec<u8>> {
        let end = match self.lexer.token {
            Token::Mark('{') => Token::Mark('}'),
            Token::Mark('<') => Token::Mark('>'),
            _ => return Err(self.lexer.expected(&format!("`{{` ({})", message.full_name()))),
        };
        self.lexer.advance()?;
        let mut inner = Vec::new();
        self.fields(message, &end, &mut inner)?;
        self.lexer.advance()?;
        Ok(inner)
    }

    /// `[type.googleapis.com/some.Type] { … }`
    fn any(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.lexer.advance()?;
        let mut type_url = String::new();
        while !self.lexer.take(']')? {
            match self.lexer.advance()? {
                Token::Word(word) | Token::Number(word) => type_url.push_str(&word),
                Token::Mark(mark @ ('/' | '-')) => type_url.push(mark),
                _ => return Err(self.lexer.expected("a type URL and `]`")),
            }
        }
        let Some(message) = descriptor::message_of_url(&type_url) else {
            return Err(self.lexer.error(format!("there is no message type `{type_url}`")));
        };
        self.lexer.take(':')?;
        let value = self.message(message)?;
        put_bytes(out, 1, type_url.as_bytes());
        put_bytes(out, 2, &value);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
