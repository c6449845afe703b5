//! Request paths as strangers write them, normalised under every choice of options.

use dragoman::config::http_connection_manager::{EscapedSlashesAction, PathNormalization};
use dragoman::http::path::{Normalized, normalize};

use super::Target;
use crate::corpus;

/// The first byte chooses the options, the rest is the path.
pub(super) const PATHS: Target = Target {
    name: "paths",
    run: |data| {
        let Some((choice, path)) = data.split_first() else { return };
        let options = PathNormalization {
            path_with_escaped_slashes_action: match choice >> 2 & 3 {
                0 => EscapedSlashesAction::KeepUnchanged,
                1 => EscapedSlashesAction::RejectRequest,
                2 => EscapedSlashesAction::UnescapeAndRedirect,
                _ => EscapedSlashesAction::UnescapeAndForward,
            },
            normalize_path: choice & 1 != 0,
            merge_slashes: choice & 2 != 0,
        };
        if let Normalized::Changed(changed) | Normalized::Redirect(changed) = normalize(path, &options) {
            normalized(&changed, &options);
        }
    },
    seeds: || corpus::load(&["fuzz/corpus/paths"]),
    dictionary: &[
        b"/", b"//", b"/./", b"/../", b"%2e", b"%2E", b"%2f", b"%5C", b"%25", b"%00", b"\\", b"?", b"#",
        b".;",
    ],
};

/// What was made of a path needs no more to be done, and leads nowhere but down.
fn normalized(path: &[u8], options: &PathNormalization) {
    let shown = String::from_utf8_lossy(path);
    // Parameters of dot segments go only where the dots came unescaped, as in Envoy.
    if !path.windows(2).any(|pair| pair == b".;") {
        assert_eq!(normalize(path, options), Normalized::Unchanged, "{shown}");
    }
    if options.normalize_path {
        let end = path.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(path.len());
        let mut segments = path[..end].split(|byte| *byte == b'/');
        assert!(!segments.any(|segment| matches!(segment, b"." | b"..")), "{shown}");
    }
}
