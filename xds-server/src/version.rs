//! Versions: hashes of content as sixteen hexadecimal digits.

use std::hash::Hasher;

use twox_hash::XxHash3_64;

/// The version of several pieces of content, each counted with its length, so that moving a byte from
/// one to the next makes another version.
pub(crate) fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = XxHash3_64::default();
    for part in parts {
        hasher.write_u64(part.len() as u64);
        hasher.write(part);
    }
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_between_parts_count() {
        assert_ne!(of_parts([&b"ab"[..], b"c"]), of_parts([&b"a"[..], b"bc"]));
    }
}
