//! `PATH`, `QUERY_PARAM`, `QUERY_PARAMS`.

use crate::base::headers::{Headers, Known};
use crate::base::percent;
use crate::config::format::PathSource;

use super::Given;
use super::command::text;

/// Writes the path, with or without its query.
pub(super) fn path(query: bool, source: PathSource, request: &Headers, out: &mut Vec<u8>) -> Given {
    let original = request.get(Known::XEnvoyOriginalPath);
    let path = match source {
        PathSource::OriginalOrPath => original.or_else(|| request.get(Known::Path)),
        PathSource::Original => original,
        PathSource::Path => request.get(Known::Path),
    };
    text(path.map(|path| if query { path } else { without_query(path) }), out)
}

/// What stands before the `?`.
pub(super) fn without_query(path: &[u8]) -> &[u8] {
    &path[..path.iter().position(|byte| *byte == b'?').unwrap_or(path.len())]
}

/// What follows the `?`.
fn query(request: &Headers) -> Option<&[u8]> {
    let path = request.get(Known::Path)?;
    let at = path.iter().position(|byte| *byte == b'?')?;
    Some(&path[at + 1..])
}

/// Writes the whole query.
pub(super) fn query_parameters(decoded: bool, request: &Headers, out: &mut Vec<u8>) -> Given {
    let Some(query) = query(request) else { return Given::Nothing };
    if decoded {
        percent::decode_visible(query, out);
        return Given::Text;
    }
    text(Some(query), out)
}

/// Writes the decoded value of the first parameter of this name.
pub(super) fn query_parameter(name: &str, request: &Headers, out: &mut Vec<u8>) -> Given {
    let Some(query) = query(request) else { return Given::Nothing };
    // A fragment is no part of it.
    let query = query.split(|byte| *byte == b'#').next().unwrap_or(query);
    for parameter in query.split(|byte| *byte == b'&') {
        let at = parameter.iter().position(|byte| *byte == b'=');
        let (key, value) = match at {
            Some(at) => (&parameter[..at], &parameter[at + 1..]),
            None => (parameter, &[][..]),
        };
        if key == name.as_bytes() {
            return decode(value, out);
        }
    }
    Given::Nothing
}

/// Writes a text without its percent-encoding.
fn decode(text: &[u8], out: &mut Vec<u8>) -> Given {
    percent::decode(text, out);
    Given::Text
}
