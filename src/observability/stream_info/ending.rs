//! How connections ended, where that was not in the usual way.

/// How the two connections of a proxied one ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// How that from downstream did: `%DOWNSTREAM_DETECTED_CLOSE_TYPE%`.
    pub downstream_close: CloseType,
    /// How that to the host did: `%UPSTREAM_DETECTED_CLOSE_TYPE%`.
    pub upstream_close: CloseType,
    /// Why this proxy closed that from downstream, if it did: `%DOWNSTREAM_LOCAL_CLOSE_REASON%`.
    pub downstream_local_close_reason: Option<&'static str>,
}

/// How a connection ended: Envoy's `DetectedCloseType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CloseType {
    /// By an end of its bytes, or not yet.
    #[default]
    Normal,
    /// This proxy has reset it.
    LocalReset,
    /// The peer has reset it.
    RemoteReset,
}

impl CloseType {
    /// As access logs write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            CloseType::Normal => "Normal",
            CloseType::LocalReset => "LocalReset",
            CloseType::RemoteReset => "RemoteReset",
        }
    }
}
