//! From a format string to its parts.

use super::argument::with_argument;
use super::bare::{address, bare};
use super::command::Command;
use super::{Format, FormatError, Formatters, Part};

/// Parses a whole format string.
pub(super) fn parse(format: &str, formatters: &Formatters) -> Result<Format, FormatError> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < format.len() {
        let rest = &format[at..];
        let literal = rest.find('%').unwrap_or(rest.len());
        if literal > 0 {
            push_literal(&mut parts, &rest[..literal]);
            at += literal;
        } else if rest.starts_with("%%") {
            push_literal(&mut parts, "%");
            at += 2;
        } else {
            let found = Found::new(rest).ok_or_else(|| {
                format!("Incorrect configuration: {format}. Couldn't find valid command at position {at}")
            })?;
            parts.push(Part::Command(command(found.name, found.argument, found.max_length, formatters)?));
            at += found.length;
        }
    }
    Ok(Format { parts })
}

fn push_literal(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Literal(last)) => last.push_str(text),
        _ => parts.push(Part::Literal(text.to_owned())),
    }
}

/// A command as it stands in the text: `%NAME(ARGUMENT):MAX_LENGTH%`.
struct Found<'a> {
    name: &'a str,
    argument: &'a str,
    max_length: Option<usize>,
    /// Of the whole.
    length: usize,
}

impl<'a> Found<'a> {
    fn new(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix('%')?;
        let is_name = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        let (name, rest) = rest.split_at(rest.bytes().take_while(is_name).count());
        if name.is_empty() {
            return None;
        }
        let mut argument = "";
        let mut end = end_of_command(rest);
        if let Some(inner) = rest.strip_prefix('(') {
            // The first parenthesis that a command can end after: there may be some in the argument.
            let line = inner.split('\n').next().unwrap_or(inner);
            let closing = line.match_indices(')').map(|(at, _)| at);
            let (at, ended) = { closing }.find_map(|at| Some((at, end_of_command(&inner[at + 1..])?)))?;
            argument = &inner[..at];
            end = Some(ended);
        }
        let (max_length, rest) = end?;
        Some(Found { name, argument, max_length, length: text.len() - rest.len() })
    }
}

/// The length and what follows, if a command ends here: `:LENGTH%` or `%`.
fn end_of_command(text: &str) -> Option<(Option<usize>, &str)> {
    let Some(number) = text.strip_prefix(':') else {
        return Some((None, text.strip_prefix('%')?));
    };
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let rest = number[digits..].strip_prefix('%').filter(|_| digits > 0)?;
    // Longer than any text is as good as no limit.
    Some((Some(number[..digits].parse().unwrap_or(usize::MAX)), rest))
}

/// What a command may have.
#[derive(Clone, Copy, PartialEq)]
enum Syntax {
    /// Neither argument nor length.
    Bare,
    /// An argument, but no length.
    Argument,
    /// An argument, and no length without one.
    ArgumentRequired,
    /// An argument and a length.
    ArgumentAndLength,
    /// An argument, which must be there, and a length.
    ArgumentRequiredAndLength,
}

/// Makes a command of its parts; an empty argument is none.
pub(super) fn command(
    name: &str,
    argument: &str,
    max_length: Option<usize>,
    formatters: &Formatters,
) -> Result<Command, FormatError> {
    let syntax = match name {
        "REQ_WITHOUT_QUERY" => formatters.req_without_query.then_some(Syntax::ArgumentAndLength),
        "SECRET" => formatters.secrets.is_some().then_some(Syntax::ArgumentAndLength),
        "FILE_CONTENT" => formatters.file_content.then_some(Syntax::ArgumentAndLength),
        _ => syntax(name),
    };
    let syntax = syntax.ok_or_else(|| format!("Not supported field in StreamInfo: {name}"))?;
    if syntax == Syntax::Bare && (!argument.is_empty() || max_length.is_some()) {
        return Err(format!("{name} does not take any parameters or length").into());
    }
    if matches!(syntax, Syntax::ArgumentRequired | Syntax::ArgumentRequiredAndLength) && argument.is_empty() {
        return Err(format!("{name} requires parameters").into());
    }
    if matches!(syntax, Syntax::Argument | Syntax::ArgumentRequired) && max_length.is_some() {
        return Err(format!("{name} does not allow length to be specified.").into());
    }
    let operator = match syntax {
        Syntax::Bare => bare(name).ok_or_else(|| format!("Not supported field in StreamInfo: {name}"))?,
        _ => with_argument(name, argument, max_length, formatters)?,
    };
    // As in Envoy, which takes a length here and does nothing by it; of a variable it counts while that is read.
    let max_length = max_length.filter(|_| !matches!(name, "XFCC_VALUE" | "ENVIRONMENT"));
    Ok(Command { operator, max_length })
}

fn syntax(name: &str) -> Option<Syntax> {
    Some(match name {
        "REQ" | "REQUEST_HEADER" | "RESP" | "RESPONSE_HEADER" | "TRAILER" | "RESPONSE_TRAILER"
        | "STREAM_INFO_REQ" | "ENVIRONMENT" | "QUERY_PARAM" | "DYNAMIC_METADATA" | "COALESCE" => {
            Syntax::ArgumentRequiredAndLength
        }
        "PATH"
        | "QUERY_PARAMS"
        | "XFCC_VALUE"
        | "METADATA"
        | "FILTER_STATE"
        | "UPSTREAM_FILTER_STATE"
        | "CEL"
        | "TYPED_CEL" => Syntax::ArgumentAndLength,
        "COMMON_DURATION" | "CLUSTER_METADATA" | "UPSTREAM_METADATA" => Syntax::ArgumentRequired,
        "START_TIME"
        | "START_TIME_LOCAL"
        | "EMIT_TIME"
        | "EMIT_TIME_LOCAL"
        | "GRPC_STATUS"
        | "REQUESTED_SERVER_NAME"
        | "RESPONSE_CODE_DETAILS"
        | "DOWNSTREAM_PEER_CERT_V_START"
        | "DOWNSTREAM_PEER_CERT_V_END"
        | "UPSTREAM_PEER_CERT_V_START"
        | "UPSTREAM_PEER_CERT_V_END" => Syntax::Argument,
        _ if name.ends_with("_ADDRESS_WITHOUT_PORT") && address(name).is_some() => Syntax::Argument,
        _ if bare(name).is_some() => Syntax::Bare,
        _ => return None,
    })
}
