//! What the filters `original_src` are told, of listeners and of HTTP: hosts see the client's address.

use std::num::NonZeroU32;

/// How connections to hosts come from the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginalSrc {
    /// `SO_MARK` of what is sent to hosts; none where it is 0.
    pub mark: Option<NonZeroU32>,
}

impl OriginalSrc {
    /// With this mark.
    pub fn new(mark: u32) -> Self {
        OriginalSrc { mark: NonZeroU32::new(mark) }
    }
}
