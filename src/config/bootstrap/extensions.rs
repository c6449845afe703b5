//! Extensions of the process: `envoy.config.bootstrap.v3.Bootstrap.bootstrap_extensions`.

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::extensions::bootstrap::internal_listener::v3::InternalListener;
use prost::Name as _;

use crate::config::extension;
use crate::config::field::{Scope, open};

/// What is served of them.
pub(super) enum BootstrapExtension {
    /// `envoy.bootstrap.internal_listener`: listeners within the process, and how many bytes their connections hold.
    InternalListener(usize),
}

/// `buffer_size_kb` where it is not set.
const DEFAULT_BUFFER_KB: u32 = 1024;

impl BootstrapExtension {
    /// The bytes that wait on connections within the process, as the last of them says.
    pub(super) fn internal_buffer_bytes(extensions: &[Self]) -> Option<usize> {
        extensions.last().map(|BootstrapExtension::InternalListener(bytes)| *bytes)
    }

    pub(super) fn from_proto(message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
        let name = at.required_string("name", name);
        let config = typed_config.unwrap_or_default();
        let known = InternalListener::full_name();
        if extension::contained_type(&config) != known {
            at.unsupported(format!("Didn't find a registered implementation for '{name}'; known: {known}"));
            return None;
        }
        let mut at = at.field("typed_config");
        let message = extension::read(config, &mut at)?;
        open! { at, InternalListener = message; implemented { buffer_size_kb } }
        let size = at.within("buffer_size_kb", buffer_size_kb, 1..=8192);
        Some(BootstrapExtension::InternalListener(size.unwrap_or(DEFAULT_BUFFER_KB) as usize * 1024))
    }
}
