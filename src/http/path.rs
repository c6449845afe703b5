//! Normalising a request's path (RFC 3986 §6.2.2), before anything is matched by it.

use std::borrow::Cow;

use crate::config::http_connection_manager::{EscapedSlashesAction, PathNormalization};

/// What becomes of a request whose path was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Normalized {
    /// The path stays as it is.
    Unchanged,
    /// The path is this from now on.
    Changed(Vec<u8>),
    /// The client is redirected to this path.
    Redirect(Vec<u8>),
    /// The request is refused; its path is shown like this, or as it came.
    Refused(Option<Vec<u8>>),
}

/// Does to a path what the connection manager says, in Envoy's order: escaped slashes, then decoding and dot segments,
/// then merging slashes.
pub fn normalize(path: &[u8], options: &PathNormalization) -> Normalized {
    let (mut text, suffix) = split(path);
    let mut owned;
    let action = options.path_with_escaped_slashes_action;
    let unescapes = action != EscapedSlashesAction::KeepUnchanged && has_escaped_slash(text);
    if unescapes {
        owned = unescape_slashes(text);
        if action == EscapedSlashesAction::RejectRequest {
            return Normalized::Refused(Some([&owned, suffix].concat()));
        }
        text = &owned;
    }
    if options.normalize_path {
        let Some(canonical) = canonicalize(&without_dot_parameters(text)) else {
            return Normalized::Refused(None);
        };
        owned = canonical;
        text = &owned;
    }
    if options.merge_slashes {
        owned = merge_slashes(text);
        text = &owned;
    }
    if text == split(path).0 {
        return Normalized::Unchanged;
    }
    let changed = [text, suffix].concat();
    let redirect = unescapes && action == EscapedSlashesAction::UnescapeAndRedirect;
    if redirect { Normalized::Redirect(changed) } else { Normalized::Changed(changed) }
}

/// The path and what follows it: query and fragment.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(path.len());
    path.split_at(end)
}

fn is_escaped_slash(text: &[u8]) -> bool {
    matches!(text, [b'%', b'2', b'f' | b'F', ..] | [b'%', b'5', b'c' | b'C', ..])
}

fn has_escaped_slash(text: &[u8]) -> bool {
    (0..text.len()).any(|at| is_escaped_slash(&text[at..]))
}

fn unescape_slashes(text: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if is_escaped_slash(&text[at..]) {
            result.push(if text[at + 1] == b'2' { b'/' } else { b'\\' });
            at += 3;
        } else {
            result.push(text[at]);
            at += 1;
        }
    }
    result
}

/// Dot segments without their parameters: `/a/..;b/c` is `/a/../c`. Servers that know parameters read it so, and what
/// was to be kept from them must not get by. As in Envoy only what stands there unescaped, behind a slash.
fn without_dot_parameters(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memmem::find(text, b".;").is_none() {
        return Cow::Borrowed(text);
    }
    let segments = text.split(|byte| *byte == b'/').map(|segment| match segment {
        [b'.', b';', ..] => &segment[..1],
        [b'.', b'.', b';', ..] => &segment[..2],
        _ => segment,
    });
    Cow::Owned(segments.collect::<Vec<_>>().join(&b'/'))
}

/// Decodes escaped unreserved characters, escapes what no path has, turns backslashes round and resolves dot segments.
/// `None` for what has a null, escaped or not, or does not begin at the root.
fn canonicalize(text: &[u8]) -> Option<Vec<u8>> {
    if text.first() != Some(&b'/') {
        return None;
    }
    let decoded = decode_unreserved(text)?;
    let mut result: Vec<u8> = Vec::with_capacity(decoded.len());
    let mut segments = decoded[1..].split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b"." | b".." => {
                if segment == b".." {
                    let parent = result.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                    result.truncate(parent);
                }
                if is_last {
                    result.push(b'/');
                }
            }
            _ => {
                result.push(b'/');
                result.extend_from_slice(segment);
            }
        }
    }
    Some(result)
}

fn decode_unreserved(text: &[u8]) -> Option<Vec<u8>> {
    let mut result = Vec::with_capacity(text.len());
    let mut bare_percents = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'%' => {
                // What is no escape stays as it is.
                let escaped =
                    text.get(at + 1..at + 3).and_then(|digits| Some(hex(digits[0])? << 4 | hex(digits[1])?));
                let Some(byte) = escaped else {
                    bare_percents.push(result.len());
                    result.push(b'%');
                    at += 1;
                    continue;
                };
                match byte {
                    0 => return None,
                    b'-' | b'.' | b'_' | b'~' => result.push(byte),
                    _ if byte.is_ascii_alphanumeric() => result.push(byte),
                    _ => result.extend_from_slice(&text[at..at + 3]),
                }
                at += 3;
            }
            b'\\' => {
                result.push(b'/');
                at += 1;
            }
            0 => return None,
            byte => {
                if is_path_character(byte) {
                    result.push(byte);
                } else {
                    result.extend_from_slice(format!("%{byte:02X}").as_bytes());
                }
                at += 1;
            }
        }
    }
    Some(escape_percents(&result, &bare_percents))
}

/// What stands in a path as it is: RFC 3986 §3.3, and brackets, as in Envoy.
fn is_path_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/[]".contains(&byte)
}

/// What was decoded must not make an escape of a bare percent sign: `%2%65` is `%252e`, else the next one to decode
/// finds a dot.
fn escape_percents(text: &[u8], bare: &[usize]) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len());
    let mut from = 0;
    for at in bare.iter().copied() {
        if text.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            result.extend_from_slice(&text[from..at]);
            result.extend_from_slice(b"%25");
            from = at + 1;
        }
    }
    result.extend_from_slice(&text[from..]);
    result
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Makes one slash of several in a row. What is slashes alone becomes `//`, as in Envoy, which writes the first and
/// the last around what is between.
fn merge_slashes(text: &[u8]) -> Vec<u8> {
    if text.len() > 1 && text.iter().all(|byte| *byte == b'/') {
        return b"//".to_vec();
    }
    let mut result = Vec::with_capacity(text.len());
    for byte in text {
        if *byte != b'/' || result.last() != Some(&b'/') {
            result.push(*byte);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_makes_no_new_escapes() {
        assert_eq!(canonicalize(b"/a/%2%65%2%65/b").as_deref(), Some(&b"/a/%252e%252e/b"[..]));
        assert_eq!(canonicalize(b"/%4%41").as_deref(), Some(&b"/%254A"[..]));
        assert_eq!(canonicalize(b"/%4%4Azz").as_deref(), Some(&b"/%4Jzz"[..]));
    }

    #[test]
    fn dot_segments_are_resolved_and_unreserved_escapes_decoded() {
        for (path, expected) in [
            ("/a/./b/../c", Some("/a/c")),
            ("/a/..", Some("/")),
            ("/a/.", Some("/a/")),
            ("/%7Ea%2fb", Some("/~a%2fb")),
            ("/a\\b", Some("/a/b")),
            ("/../a", Some("/a")),
            ("/a//b", Some("/a//b")),
            ("/%2e%2e/a", Some("/a")),
            ("/%", Some("/%")),
            ("/%zz", Some("/%zz")),
            ("/%00", None),
            ("/%\0", None),
            ("*", None),
        ] {
            let found = canonicalize(path.as_bytes()).map(|path| String::from_utf8_lossy(&path).into_owned());
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn dot_segments_lose_their_parameters() {
        for (path, expected) in [
            ("/a/..;/b", "/a/../b"),
            ("/a/.;x=1/b", "/a/./b"),
            ("/..;", "/.."),
            ("/a/...;/b", "/a/...;/b"),
            ("/a/b..;/c", "/a/b..;/c"),
            ("/a/.%2e;/b", "/a/.%2e;/b"),
            ("/a\\..;/b", "/a\\..;/b"),
        ] {
            let found = without_dot_parameters(path.as_bytes());
            assert_eq!(found, expected.as_bytes(), "{path}");
        }
    }

    #[test]
    fn what_no_path_has_is_escaped() {
        let found = canonicalize("/|\"<>^`{}[]\u{e9}".as_bytes());
        assert_eq!(found.as_deref(), Some(&b"/%7C%22%3C%3E%5E%60%7B%7D[]%C3%A9"[..]));
    }

    #[test]
    fn slashes_are_merged_and_unescaped() {
        assert_eq!(merge_slashes(b"//a///b/"), b"/a/b/");
        assert_eq!((merge_slashes(b"/"), merge_slashes(b"///")), (b"/".to_vec(), b"//".to_vec()));
        assert_eq!(unescape_slashes(b"/a%2Fb%5cc%20"), b"/a/b\\c%20");
    }
}
