//! Texts as the library of Protocol Buffers writes them in JSON.

use std::io::Write;

/// Writes a text in quotes, with everything escaped that a browser or an editor may take for something else.
pub(super) fn string(text: &[u8], out: &mut Vec<u8>) {
    let mut known = Vec::new();
    valid(text, &mut known);
    out.push(b'"');
    for character in String::from_utf8_lossy(&known).chars() {
        match character {
            '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            character if is_plain(character) => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            character => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a vector does not fail.
                    write!(out, "\\u{unit:04x}").unwrap_or_default();
                }
            }
        }
    }
    out.push(b'"');
}

/// Writes a text with a space for each byte that is no UTF-8.
pub(super) fn valid(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        out.resize(out.len() + chunk.invalid().len(), b' ');
    }
}

/// Whether a character stands for itself.
fn is_plain(character: char) -> bool {
    !matches!(character,
        '\0'..='\u{1f}' | '<' | '>' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{600}'..='\u{603}' | '\u{6dd}' | '\u{70f}'
        | '\u{17b4}' | '\u{17b5}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
        | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}
