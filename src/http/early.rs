//! Changes to the headers of requests before anything else looks at them: `early_header_mutation_extensions`, of which
//! there is `envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation`.

use std::sync::Arc;

use envoy_types::pb::envoy::extensions::http::early_header_mutation::header_mutation::v3;

use crate::base::headers::Headers;
use crate::config::extension::{Extension, ExtensionConfig};
use crate::config::field::{Scope, open};
use crate::config::route::HeaderMutation as Mutation;
use crate::observability::stream_info::StreamInfo;
use crate::route::header_mutation;

use super::render::render;

/// The extensions of this build.
pub const EXTENSIONS: &[Extension] = &[Extension {
    name: "envoy.http.early_header_mutation.header_mutation",
    type_name: "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
    terminal: false,
    parse: |bytes, at| {
        let message = at.decode(bytes)?;
        Some(Arc::new(HeaderMutation::from_proto(message, at)?))
    },
    per_route: None,
}];

/// `HeaderMutation`
#[derive(Clone, Debug, PartialEq)]
struct HeaderMutation {
    mutations: Vec<Mutation>,
}

impl HeaderMutation {
    fn from_proto(message: v3::HeaderMutation, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::HeaderMutation = message; implemented { mutations } }
        Some(HeaderMutation { mutations: at.list("mutations", mutations, Mutation::from_proto) })
    }
}

/// Applies the extensions in their order.
pub(super) fn mutate(extensions: &[ExtensionConfig], headers: &mut Headers, info: &StreamInfo) {
    let no_response = Headers::new();
    for extension in extensions.iter().filter_map(|extension| extension.downcast::<HeaderMutation>()) {
        header_mutation::apply_to_request(&extension.mutations, headers, &mut |format, headers, out| {
            render(info, headers, &no_response, format, out);
        });
    }
}
