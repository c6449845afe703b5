//! Changes to headers: `request_headers_to_add` and its like.

use envoy_types::pb::envoy::config::core::v3;

use crate::config::field::{Scope, open};
use crate::config::format::{Format, Formatters, Part};
use crate::config::matcher::canonical_name;

/// Headers that one level may add at most.
const MAX_HEADERS_TO_ADD: usize = 1000;

/// Changes to the headers of requests and responses, at one level of the route table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeaderMutations {
    /// `request_headers_to_add`
    pub request_add: Vec<HeaderValueOption>,
    /// `request_headers_to_remove`, lower case.
    pub request_remove: Vec<String>,
    /// `response_headers_to_add`
    pub response_add: Vec<HeaderValueOption>,
    /// `response_headers_to_remove`, lower case.
    pub response_remove: Vec<String>,
}

/// `envoy.config.core.v3.HeaderValueOption`
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderValueOption {
    /// The header's name, lower case.
    pub name: String,
    /// Its value, with commands.
    pub value: Format,
    /// What happens where the header is there already.
    pub append_action: AppendAction,
    /// Add the header even when its value is empty.
    pub keep_empty_value: bool,
}

/// `HeaderValueOption.HeaderAppendAction`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AppendAction {
    /// Another value beside those there.
    #[default]
    AppendIfExistsOrAdd,
    /// Only where it is not there.
    AddIfAbsent,
    /// In place of those there.
    OverwriteIfExistsOrAdd,
    /// Only where it is there, in its place.
    OverwriteIfExists,
}

/// The mutations of one level: what is added and what is removed, of requests and of responses.
pub(super) fn mutations(
    [request_add, response_add]: [Vec<v3::HeaderValueOption>; 2],
    [request_remove, response_remove]: [Vec<String>; 2],
    at: &mut Scope<'_>,
) -> HeaderMutations {
    HeaderMutations {
        request_add: additions("request_headers_to_add", request_add, at),
        request_remove: removals("request_headers_to_remove", request_remove, at),
        response_add: additions("response_headers_to_add", response_add, at),
        response_remove: removals("response_headers_to_remove", response_remove, at),
    }
}

fn additions(field: &str, options: Vec<v3::HeaderValueOption>, at: &mut Scope<'_>) -> Vec<HeaderValueOption> {
    if options.len() > MAX_HEADERS_TO_ADD {
        at.field(field).violation(format!("value must contain no more than {MAX_HEADERS_TO_ADD} item(s)"));
    }
    at.list(field, options, HeaderValueOption::from_proto)
}

fn removals(field: &str, names: Vec<String>, at: &mut Scope<'_>) -> Vec<String> {
    at.list(field, names, |name, at| {
        if name.starts_with(':') || name.eq_ignore_ascii_case("host") {
            at.error(":-prefixed or host headers may not be removed");
            return None;
        }
        Header::name(name, at)
    })
}

/// Names of headers.
pub(super) struct Header;

impl Header {
    /// A name in lower case, if it is one that HTTP allows (RFC 9110 §5.1).
    pub(super) fn name(name: String, at: &mut Scope<'_>) -> Option<String> {
        if name.is_empty() {
            at.violation("value length must be at least 1 characters");
            return None;
        }
        let token = name.strip_prefix(':').unwrap_or(&name);
        if http::HeaderName::from_bytes(token.as_bytes()).is_err() {
            at.violation(format!("not the name of a header: {name:?}"));
            return None;
        }
        Some(canonical_name(&name))
    }
}

impl HeaderValueOption {
    /// From its proto.
    pub fn from_proto(message: v3::HeaderValueOption, at: &mut Scope<'_>) -> Option<Self> {
        Self::with(&Formatters::default(), message, at)
    }

    /// The same beside which formatter extensions are configured.
    pub fn with(formatters: &Formatters, message: v3::HeaderValueOption, at: &mut Scope<'_>) -> Option<Self> {
        use v3::header_value_option::HeaderAppendAction;
        open! { at, v3::HeaderValueOption = message;
            implemented { header, append, append_action, keep_empty_value }
        }
        let append_action = match (append, at.enumeration("append_action", append_action)) {
            (Some(append), HeaderAppendAction::AppendIfExistsOrAdd) if append.value => {
                AppendAction::AppendIfExistsOrAdd
            }
            (Some(_), HeaderAppendAction::AppendIfExistsOrAdd) => AppendAction::OverwriteIfExistsOrAdd,
            (Some(_), _) => {
                at.error("Both append and append_action are set and it's not allowed");
                return None;
            }
            (None, HeaderAppendAction::AppendIfExistsOrAdd) => AppendAction::AppendIfExistsOrAdd,
            (None, HeaderAppendAction::AddIfAbsent) => AppendAction::AddIfAbsent,
            (None, HeaderAppendAction::OverwriteIfExistsOrAdd) => AppendAction::OverwriteIfExistsOrAdd,
            (None, HeaderAppendAction::OverwriteIfExists) => AppendAction::OverwriteIfExists,
        };
        let header = at.required("header", header);
        let (name, value) =
            at.message("header", header, |message, at| header_value(formatters, message, at))?;
        Some(HeaderValueOption { name, value, append_action, keep_empty_value })
    }
}

impl HeaderValueOption {
    /// A header that takes the place of those of its name: from `envoy.config.core.v3.HeaderValue`.
    pub fn overwriting(message: v3::HeaderValue, at: &mut Scope<'_>) -> Option<Self> {
        let (name, value) = header_value(&Formatters::default(), message, at)?;
        let append_action = AppendAction::OverwriteIfExistsOrAdd;
        Some(HeaderValueOption { name, value, append_action, keep_empty_value: false })
    }

    /// The same where the value is not looked into for commands; it has to be a format all the same.
    pub fn as_written(message: v3::HeaderValue, at: &mut Scope<'_>) -> Option<Self> {
        let text = match message.raw_value.is_empty() {
            true => message.value.clone(),
            false => String::from_utf8_lossy(&message.raw_value).into_owned(),
        };
        let option = Self::overwriting(message, at)?;
        Some(HeaderValueOption { value: Format { parts: vec![Part::Literal(text)] }, ..option })
    }
}

fn header_value(
    formatters: &Formatters,
    message: v3::HeaderValue,
    at: &mut Scope<'_>,
) -> Option<(String, Format)> {
    open! { at, v3::HeaderValue = message; implemented { key, value, raw_value } }
    if key.starts_with(':') || key.eq_ignore_ascii_case("host") {
        at.field("key").error(":-prefixed or host headers may not be modified");
        return None;
    }
    let name = Header::name(key, &mut at.field("key"));
    let text = value_text(value, raw_value, at)?;
    let value = Format::read(&text, formatters, &mut at.field("value"));
    Some((name?, value?))
}

/// The value, of which there is one form.
fn value_text(value: String, raw_value: Vec<u8>, at: &mut Scope<'_>) -> Option<String> {
    let text = if raw_value.is_empty() {
        Ok(value)
    } else if value.is_empty() {
        String::from_utf8(raw_value).map_err(|_| "raw_value must be UTF-8")
    } else {
        Err("only one of value and raw_value may be set")
    };
    let text = text.map_err(|problem| at.error(problem)).ok()?;
    if text.contains(['\r', '\n', '\0']) {
        at.field("value").violation("value does not match regex pattern \"^[^\\u0000\\u000a\\u000d]*$\"");
        return None;
    }
    Some(text)
}
