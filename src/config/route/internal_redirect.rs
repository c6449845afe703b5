//! Redirects that are followed here and not by the client: `envoy.config.route.v3.InternalRedirectPolicy`.

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::config::route::v3;
use envoy_types::pb::envoy::extensions::internal_redirect::allow_listed_routes::v3::AllowListedRoutesConfig;
use envoy_types::pb::envoy::extensions::internal_redirect::filter_state::v3::FilterStateConfig;
use envoy_types::pb::envoy::extensions::internal_redirect::previous_routes::v3::PreviousRoutesConfig;
use envoy_types::pb::envoy::extensions::internal_redirect::safe_cross_scheme::v3::SafeCrossSchemeConfig;
use envoy_types::pb::google::protobuf::UInt32Value;
use prost::Name;

use super::headers::Header;
use super::retry_hosts::known_message;
use crate::config::field::{Scope, open};

/// Redirects of one request that are followed where nothing is said of their number.
const DEFAULT_MAX_INTERNAL_REDIRECTS: u32 = 1;

/// The statuses that may be followed.
const REDIRECTS: [u32; 5] = [301, 302, 303, 307, 308];

/// The status that is followed where none is listed.
const FOUND: u16 = 302;

/// Which responses of hosts are followed.
#[derive(Clone, Debug, PartialEq)]
pub struct InternalRedirectPolicy {
    /// Redirects that a request may have had at most when this route follows one; 1 by default.
    pub max_internal_redirects: u32,
    /// Statuses that are followed; 302 by default.
    pub response_codes: Vec<u16>,
    /// All must accept the route that a redirect leads to.
    pub predicates: Vec<RedirectPredicate>,
    /// Follow from HTTP to HTTPS and back.
    pub allow_cross_scheme_redirect: bool,
    /// Headers of the response that the request gets, lower case; it loses those that the response does not have.
    pub response_headers_to_copy: Vec<String>,
}

/// Whether a route may be redirected to (`envoy.extensions.internal_redirect`).
#[derive(Clone, Debug, PartialEq)]
pub enum RedirectPredicate {
    /// `allow_listed_routes`: the routes of these names.
    AllowListedRoutes(Vec<String>),
    /// `previous_routes`: those that this route has not redirected the request to yet.
    PreviousRoutes,
    /// `safe_cross_scheme`: not from HTTP to HTTPS.
    SafeCrossScheme,
    /// `filter_state`: what a truth in the filter state says.
    FilterState {
        /// Its name.
        key: String,
        /// What counts where there is none.
        if_absent: bool,
    },
}

impl InternalRedirectPolicy {
    /// From its proto.
    pub(super) fn from_proto(message: v3::InternalRedirectPolicy, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::InternalRedirectPolicy = message;
            implemented {
                max_internal_redirects, redirect_response_codes, predicates, allow_cross_scheme_redirect,
                response_headers_to_copy,
            }
        }
        Some(InternalRedirectPolicy {
            max_internal_redirects: limit(max_internal_redirects),
            response_codes: followed(&redirect_response_codes),
            predicates: at.list("predicates", predicates, predicate),
            allow_cross_scheme_redirect,
            response_headers_to_copy: at.list(
                "response_headers_to_copy",
                response_headers_to_copy,
                copied_header,
            ),
        })
    }

    /// What a route says that has no policy but the fields before there were any.
    pub(super) fn deprecated(
        action: i32,
        max_internal_redirects: Option<UInt32Value>,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        use v3::route_action::InternalRedirectAction as Action;
        let follows =
            at.enumeration::<Action>("internal_redirect_action", action) == Action::HandleInternalRedirect;
        follows.then(|| InternalRedirectPolicy {
            max_internal_redirects: limit(max_internal_redirects),
            response_codes: vec![FOUND],
            predicates: Vec::new(),
            allow_cross_scheme_redirect: false,
            response_headers_to_copy: Vec::new(),
        })
    }
}

fn limit(configured: Option<UInt32Value>) -> u32 {
    configured.map_or(DEFAULT_MAX_INTERNAL_REDIRECTS, |limit| limit.value)
}

/// As in Envoy statuses that are no redirects are passed over.
fn followed(codes: &[u32]) -> Vec<u16> {
    if codes.is_empty() {
        return vec![FOUND];
    }
    let redirects = codes.iter().filter(|code| REDIRECTS.contains(code));
    redirects.filter_map(|code| u16::try_from(*code).ok()).collect()
}

fn copied_header(name: String, at: &mut Scope<'_>) -> Option<String> {
    if name.starts_with(':') || name.eq_ignore_ascii_case("host") {
        at.error(":-prefixed headers or Hosts may not be specified here.");
        return None;
    }
    Header::name(name, at)
}

fn predicate(message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<RedirectPredicate> {
    open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
    let name = at.required_string("name", name);
    let mut at = at.field("typed_config");
    let known = [
        AllowListedRoutesConfig::full_name(),
        PreviousRoutesConfig::full_name(),
        SafeCrossSchemeConfig::full_name(),
        FilterStateConfig::full_name(),
    ];
    let (kind, bytes) = known_message(&name, typed_config, &known, &mut at)?;
    if kind == known[0] {
        let message = at.decode::<AllowListedRoutesConfig>(&bytes)?;
        open! { at, AllowListedRoutesConfig = message; implemented { allowed_route_names } }
        return Some(RedirectPredicate::AllowListedRoutes(allowed_route_names));
    }
    if kind == known[1] {
        let message = at.decode::<PreviousRoutesConfig>(&bytes)?;
        open! { at, PreviousRoutesConfig = message; implemented {} }
        return Some(RedirectPredicate::PreviousRoutes);
    }
    if kind == known[3] {
        let message = at.decode::<FilterStateConfig>(&bytes)?;
        open! { at, FilterStateConfig = message; implemented { redirect_enabled_key, redirect_if_absent } }
        let key = at.required_string("redirect_enabled_key", redirect_enabled_key);
        return Some(RedirectPredicate::FilterState { key, if_absent: redirect_if_absent });
    }
    let message = at.decode::<SafeCrossSchemeConfig>(&bytes)?;
    open! { at, SafeCrossSchemeConfig = message; implemented {} }
    Some(RedirectPredicate::SafeCrossScheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_that_are_no_redirects_are_passed_over() {
        assert_eq!(followed(&[]), [302]);
        assert_eq!(followed(&[303, 200, 304, 308, 66_000]), [303, 308]);
        assert!(followed(&[200]).is_empty());
    }
}
