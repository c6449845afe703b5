//! How the names of a message's headers were written when it came, for whoever writes them again.

/// The spelling of names in the head of a message. Names are compared in lower case everywhere else.
#[derive(Clone, Debug, Default)]
pub struct Spelling {
    /// Each name once, one a line; the first spelling of a name counts.
    names: Vec<u8>,
    /// The reason phrase of a response, where it is to be passed on.
    reason: Vec<u8>,
    others: Others,
}

/// How names are written that did not come with the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// In lower case.
    #[default]
    LowerCase,
    /// Like `Content-Type`.
    TitleCase,
}

impl Spelling {
    /// The spelling of the names in a head of HTTP/1.1 that was found to be sound. `reason` says whether the reason
    /// phrase of a response is to be passed on.
    pub fn of_head(head: &[u8], others: Others, reason: bool) -> Self {
        let mut lines = head.split(|byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default();
        let reason = if reason { phrase(first).to_vec() } else { Vec::new() };
        let mut spelling = Spelling { names: Vec::with_capacity(256), reason, others };
        for line in lines {
            if let Some(colon) = memchr::memchr(b':', line) {
                spelling.names.extend_from_slice(&line[..=colon]);
            }
        }
        spelling
    }

    /// How a name was written, which is given in lower case.
    pub fn of(&self, name: &[u8]) -> Option<&[u8]> {
        self.names.split(|byte| *byte == b':').find(|spelled| spelled.eq_ignore_ascii_case(name))
    }

    /// The reason phrase; empty for the usual one.
    pub fn reason(&self) -> &[u8] {
        &self.reason
    }

    /// How other names are written.
    pub fn others(&self) -> Others {
        self.others
    }
}

/// What stands behind the status in a status line.
fn phrase(line: &[u8]) -> &[u8] {
    line.splitn(3, |byte| *byte == b' ').nth(2).unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_spelling_of_a_name_counts() {
        let head = b"HTTP/1.1 200 Quite Fine\r\nX-One: a:b\r\nx-TWO:2\r\nX-ONE: c\r\n\r\n";
        let spelling = Spelling::of_head(head, Others::LowerCase, true);
        assert_eq!(spelling.of(b"x-one"), Some(&b"X-One"[..]));
        assert_eq!(spelling.of(b"x-two"), Some(&b"x-TWO"[..]));
        assert_eq!(spelling.of(b"x-three"), None);
        assert_eq!(spelling.reason(), b"Quite Fine");
        assert_eq!(Spelling::of_head(b"HTTP/1.1 200\r\n\r\n", Others::LowerCase, true).reason(), b"");
    }
}
