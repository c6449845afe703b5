//! How paths are normalised before anything is matched by them.

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3;
use envoy_types::pb::google::protobuf as pb;

use crate::config::field::Scope;

/// What is done to paths, in this order; fields of `HttpConnectionManager`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathNormalization {
    /// What happens to `%2F` and `%5C`.
    pub path_with_escaped_slashes_action: EscapedSlashesAction,
    /// Decode and normalise paths (RFC 3986 §6).
    pub normalize_path: bool,
    /// Merge slashes.
    pub merge_slashes: bool,
}

/// `HttpConnectionManager.PathWithEscapedSlashesAction`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EscapedSlashesAction {
    /// They stay.
    #[default]
    KeepUnchanged,
    /// The request is refused with 400.
    RejectRequest,
    /// They are decoded and the client is redirected there.
    UnescapeAndRedirect,
    /// They are decoded.
    UnescapeAndForward,
}

/// The fields as they came.
pub(super) struct Given {
    pub(super) normalize_path: Option<pb::BoolValue>,
    pub(super) merge_slashes: bool,
    pub(super) path_with_escaped_slashes_action: i32,
}

impl Given {
    pub(super) fn read(self, at: &mut Scope<'_>) -> PathNormalization {
        PathNormalization {
            path_with_escaped_slashes_action: EscapedSlashesAction::from_proto(
                self.path_with_escaped_slashes_action,
                at,
            ),
            normalize_path: self.normalize_path.is_some_and(|value| value.value),
            merge_slashes: self.merge_slashes,
        }
    }
}

impl EscapedSlashesAction {
    fn from_proto(value: i32, at: &mut Scope<'_>) -> Self {
        use v3::http_connection_manager::PathWithEscapedSlashesAction as Message;
        match at.enumeration("path_with_escaped_slashes_action", value) {
            Message::ImplementationSpecificDefault | Message::KeepUnchanged => {
                EscapedSlashesAction::KeepUnchanged
            }
            Message::RejectRequest => EscapedSlashesAction::RejectRequest,
            Message::UnescapeAndRedirect => EscapedSlashesAction::UnescapeAndRedirect,
            Message::UnescapeAndForward => EscapedSlashesAction::UnescapeAndForward,
        }
    }
}
