//! The older place of what the filter cors is told: `envoy.config.route.v3.CorsPolicy` of routes and virtual hosts.

use envoy_types::pb::envoy::config::route::v3;
use envoy_types::pb::envoy::extensions::filters::http::cors::v3 as filter;
use prost::Message as _;
use v3::cors_policy::EnabledSpecifier;

use super::filter_config::extension_of;
use crate::config::extension::ExtensionConfig;
use crate::config::field::{Scope, open};

/// The policy, as the filter takes it from `typed_per_filter_config`: the message is the same but for its package.
pub(super) fn policy(message: v3::CorsPolicy, at: &mut Scope<'_>) -> Option<ExtensionConfig> {
    open! { at, v3::CorsPolicy = message;
        implemented {
            allow_origin_string_match, allow_methods, allow_headers, expose_headers, max_age, allow_credentials,
            shadow_enabled, allow_private_network_access, forward_not_matching_preflights, enabled_specifier,
        }
    }
    let newer = filter::CorsPolicy {
        allow_origin_string_match,
        allow_methods,
        allow_headers,
        expose_headers,
        max_age,
        allow_credentials,
        filter_enabled: enabled_specifier.map(|EnabledSpecifier::FilterEnabled(share)| share),
        shadow_enabled,
        allow_private_network_access,
        forward_not_matching_preflights,
    };
    let type_name = <filter::CorsPolicy as prost::Name>::full_name();
    let Some(per_route) = extension_of(&type_name, at).and_then(|extension| extension.per_route) else {
        at.unsupported("no filter is known that it is for");
        return None;
    };
    let value = (per_route.parse)(&newer.encode_to_vec(), at)?;
    Some(ExtensionConfig { name: "cors".to_owned(), type_name: per_route.type_name, value })
}
