//! What ends a chain of upstream filters: `envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec`, the HTTP filter
//! that sends a request to the host that was chosen for it.

use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::http::upstream_codec::v3;

use super::extension::Extension;
use super::field::{Scope, open};

/// Full name of the message.
pub const TYPE_NAME: &str = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec";

/// The HTTP filter.
pub const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.upstream_codec",
    type_name: TYPE_NAME,
    terminal: true,
    parse: |bytes, at| {
        let codec = at.decode(bytes).and_then(|message| UpstreamCodec::from_proto(message, at))?;
        Some(Arc::new(codec))
    },
    per_route: None,
};

/// The codec, of which there is nothing to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamCodec;

impl UpstreamCodec {
    #[expect(clippy::unnecessary_wraps, reason = "the form of all conversions")]
    fn from_proto(message: v3::UpstreamCodec, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::UpstreamCodec = message; implemented {} }
        Some(UpstreamCodec)
    }
}
