//! From errors to what the management server is told: a text for people, and the same for programs.

mod details;

use bytes::Bytes;

use super::resources::Record;
use crate::config::field;
use crate::xds::Verdict;

/// Bytes of the text of a NACK beyond which errors are left out, as long as one is told. Whoever needs all of them finds
/// those of each resource in `/config_dump`.
const MAX_TEXT_BYTES: usize = 4096;

/// Bytes of the text of one error.
const MAX_ERROR_BYTES: usize = 1024;

/// One resource that is not in force, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The resource.
    pub name: String,
    /// Every error of it.
    pub errors: Vec<field::Error>,
    /// Full name of its message.
    message: &'static str,
    /// The message as it came.
    value: Bytes,
}

impl Problem {
    /// All errors of one resource of this message.
    pub fn new(message: &'static str, name: &str, errors: Vec<field::Error>, record: &Record) -> Self {
        Problem { name: name.to_owned(), errors, message, value: record.value.clone() }
    }

    /// All errors, each with the path of its field.
    pub fn text(&self) -> String {
        joined(&self.errors)
    }
}

/// Errors in one line.
pub fn joined(errors: &[field::Error]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// How the error text of a type begins: Envoy's words, by which tools know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeadIn {
    /// `Error adding/updating cluster(s) `, then `name: message`, separated by commas.
    Clusters,
    /// `Error adding/updating listener(s) `, then `name: message`, each with a line end.
    Listeners,
    /// Nothing, then `name: message`, separated by commas.
    None,
}

/// ACK when there is no problem, else a NACK that tells all of them.
pub fn verdict(lead_in: LeadIn, problems: &[Problem]) -> Verdict {
    if problems.is_empty() {
        return Verdict::Ack;
    }
    Verdict::Nack {
        error: text(lead_in, problems),
        details: details::of(problems),
        rejected: problems.iter().map(|problem| problem.name.clone()).collect(),
    }
}

/// The NACK of a response of which nothing counts: some of it could not even be decoded, or it counts only as a whole.
pub fn rejection(problems: &[Problem]) -> Verdict {
    Verdict::Nack {
        error: text(LeadIn::None, problems),
        details: details::of(problems),
        rejected: Vec::new(),
    }
}

fn text(lead_in: LeadIn, problems: &[Problem]) -> String {
    let (lead, between, end) = match lead_in {
        LeadIn::Clusters => ("Error adding/updating cluster(s) ", ", ", ""),
        LeadIn::Listeners => ("Error adding/updating listener(s) ", "\n", "\n"),
        LeadIn::None => ("", ", ", ""),
    };
    let mut text = lead.to_owned();
    let mut told = 0;
    'all: for problem in problems {
        for (index, error) in problem.errors.iter().enumerate() {
            let begin = match (told, index) {
                (0, _) => format!("{}: ", problem.name),
                (_, 0) => format!("{between}{}: ", problem.name),
                _ => "; ".to_owned(),
            };
            let error = error.to_string();
            let error = cut(&error, MAX_ERROR_BYTES);
            if told > 0 && text.len() + begin.len() + error.len() > MAX_TEXT_BYTES {
                break 'all;
            }
            text.push_str(&begin);
            text.push_str(error);
            told += 1;
        }
    }
    let all: usize = problems.iter().map(|problem| problem.errors.len()).sum();
    match all - told {
        0 => text + end,
        1 => text + " (1 more error)" + end,
        more => format!("{text} ({more} more errors){end}"),
    }
}

/// The beginning of a text, of at most so many bytes.
fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests;
