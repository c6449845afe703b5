//! Actions from their protos.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::route::v3::rate_limit as v3;
use envoy_types::pb::envoy::extensions::rate_limit_descriptors::expr::v3::{Descriptor, descriptor};
use envoy_types::pb::envoy::extensions::rate_limit_descriptors::jwt_claim::v3 as jwt_claim;
use envoy_types::pb::envoy::r#type::metadata::v3::{MetadataKey, metadata_key};
use envoy_types::pb::google::protobuf as pb;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;
use v3::action::{ActionSpecifier, MetaData};

use super::{Action, DescriptorValue, Label, MetadataPath, MetadataSource, Segment, TokenSource};
use crate::config::cel::{Expression, Options};
use crate::config::extension::{contained_type, read};
use crate::config::field::{Scope, open};
use crate::config::format::Format;
use crate::config::match_tree::Input;
use crate::config::matcher::{HeaderMatcher, QueryParameterMatcher, canonical_name};
use crate::config::value_matcher::addresses;

/// The message of entries that expressions make.
const EXPRESSION: &str = "envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor";

/// The message of entries that claims make.
const CLAIM: &str = "envoy.extensions.rate_limit_descriptors.jwt_claim.v3.Descriptor";

/// Keys of entries whose configuration has none.
const GENERIC_KEY: &str = "generic_key";
const HEADER_MATCH: &str = "header_match";
const QUERY_MATCH: &str = "query_match";
const REMOTE_ADDRESS_MATCH: &str = "remote_address_match";

impl Action {
    #[expect(deprecated, reason = "dynamic_metadata is answered too")]
    pub(super) fn from_proto(message: v3::Action, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Action = message; implemented { action_specifier } }
        match at.required("action_specifier", action_specifier)? {
            ActionSpecifier::SourceCluster(message) => {
                let at = &mut at.field("source_cluster");
                open! { at, v3::action::SourceCluster = message; implemented {} }
                Some(Action::SourceCluster)
            }
            ActionSpecifier::DestinationCluster(message) => {
                let at = &mut at.field("destination_cluster");
                open! { at, v3::action::DestinationCluster = message; implemented {} }
                Some(Action::DestinationCluster)
            }
            ActionSpecifier::RequestHeaders(message) => header(message, &mut at.field("request_headers")),
            ActionSpecifier::QueryParameters(message) => {
                parameter(message, &mut at.field("query_parameters"))
            }
            ActionSpecifier::RemoteAddress(message) => {
                let at = &mut at.field("remote_address");
                open! { at, v3::action::RemoteAddress = message; implemented {} }
                Some(Action::RemoteAddress)
            }
            ActionSpecifier::MaskedRemoteAddress(message) => {
                masked(message, &mut at.field("masked_remote_address"))
            }
            ActionSpecifier::GenericKey(message) => generic_key(message, &mut at.field("generic_key")),
            ActionSpecifier::HeaderValueMatch(message) => {
                header_match(message, &mut at.field("header_value_match"))
            }
            ActionSpecifier::QueryParameterValueMatch(message) => {
                query_match(message, &mut at.field("query_parameter_value_match"))
            }
            ActionSpecifier::RemoteAddressMatch(message) => {
                address_match(message, &mut at.field("remote_address_match"))
            }
            ActionSpecifier::DynamicMetadata(_) => {
                at.reject(
                    "dynamic_metadata",
                    "metadata says the same, and the API disallows this by default",
                );
                None
            }
            ActionSpecifier::Metadata(message) => metadata(message, &mut at.field("metadata")),
            ActionSpecifier::Extension(message) => extension(message, &mut at.field("extension")),
        }
    }
}

impl Label {
    fn new(key: String, default_key: &str, text: String, default_value: String, at: &mut Scope<'_>) -> Self {
        let key = if key.is_empty() { default_key.to_owned() } else { key };
        let text = at.required_string("descriptor_value", text);
        // A text that is no format stays what it is.
        let format = Format::parse(&text).ok().filter(|format| format.as_literal().is_none());
        let format = format.inspect(|format| format.note(at));
        Label { key, value: DescriptorValue { text, format, by_runtime: true, default_value } }
    }
}

fn header(message: v3::action::RequestHeaders, at: &mut Scope<'_>) -> Option<Action> {
    use v3::action::RequestHeaders as Message;
    open! { at, Message = message; implemented { header_name, descriptor_key, skip_if_absent } }
    Some(Action::RequestHeader {
        name: canonical_name(&at.required_string("header_name", header_name)),
        key: at.required_string("descriptor_key", descriptor_key),
        skip_if_absent,
    })
}

fn parameter(message: v3::action::QueryParameters, at: &mut Scope<'_>) -> Option<Action> {
    use v3::action::QueryParameters as Message;
    open! { at, Message = message; implemented { query_parameter_name, descriptor_key, skip_if_absent } }
    Some(Action::QueryParameter {
        name: at.required_string("query_parameter_name", query_parameter_name),
        key: at.required_string("descriptor_key", descriptor_key),
        skip_if_absent,
    })
}

fn masked(message: v3::action::MaskedRemoteAddress, at: &mut Scope<'_>) -> Option<Action> {
    use v3::action::MaskedRemoteAddress as Message;
    open! { at, Message = message; implemented { v4_prefix_mask_len, v6_prefix_mask_len } }
    let mut bits = |name: &str, value: Option<pb::UInt32Value>, max: u8| {
        let bits = at.within(name, value, 0..=max.into());
        bits.and_then(|bits| u8::try_from(bits).ok()).unwrap_or(max)
    };
    Some(Action::MaskedRemoteAddress {
        v4: bits("v4_prefix_mask_len", v4_prefix_mask_len, 32),
        v6: bits("v6_prefix_mask_len", v6_prefix_mask_len, 128),
    })
}

fn generic_key(message: v3::action::GenericKey, at: &mut Scope<'_>) -> Option<Action> {
    use v3::action::GenericKey as Message;
    open! { at, Message = message; implemented { descriptor_value, default_value, descriptor_key } }
    Some(Action::GenericKey(Label::new(descriptor_key, GENERIC_KEY, descriptor_value, default_value, at)))
}

fn header_match(message: v3::action::HeaderValueMatch, at: &mut Scope<'_>) -> Option<Action> {
    use v3::action::HeaderValueMatch as Message;
    open! { at, Message = message;
        implemented { descriptor_value, default_value, descriptor_key, expect_match, headers }
    }
    if headers.is_empty() {
        at.field("headers").violation("value must contain at least 1 item(s)");
    }
    let label = Label::new(descriptor_key, HEADER_MATCH, descriptor_value, default_value, at);
    let headers = at.list("headers", headers, HeaderMatcher::from_proto);
    Some(Action::HeaderValueMatch(label, expect_match.is_none_or(|expect| expect.value), headers))
}

fn query_match(message: v3::action::QueryParameterValueMatch, at: &mut Scope<'_>) -> Option<Action> {
    use v3::action::QueryParameterValueMatch as Message;
    open! { at, Message = message;
        implemented { descriptor_value, default_value, descriptor_key, expect_match, query_parameters }
    }
    if query_parameters.is_empty() {
        at.field("query_parameters").violation("value must contain at least 1 item(s)");
    }
    let label = Label::new(descriptor_key, QUERY_MATCH, descriptor_value, default_value, at);
    let parameters = at.list("query_parameters", query_parameters, QueryParameterMatcher::from_proto);
    Some(Action::QueryParameterValueMatch(label, expect_match.is_none_or(|expect| expect.value), parameters))
}

fn address_match(message: v3::action::RemoteAddressMatch, at: &mut Scope<'_>) -> Option<Action> {
    use v3::action::RemoteAddressMatch as Message;
    open! { at, Message = message;
        implemented { descriptor_value, descriptor_key, default_value, address_matcher }
    }
    let mut label = Label::new(descriptor_key, REMOTE_ADDRESS_MATCH, descriptor_value, default_value, at);
    label.value.by_runtime = false;
    let matcher = at.required("address_matcher", address_matcher);
    let (ranges, invert) =
        at.message("address_matcher", matcher, |message, at| Some(addresses(message, at)))?;
    Some(Action::RemoteAddressMatch(label, !invert, ranges))
}

fn metadata(message: MetaData, at: &mut Scope<'_>) -> Option<Action> {
    use v3::action::meta_data::Source;
    open! { at, MetaData = message;
        implemented { descriptor_key, metadata_key, default_value, source, skip_if_absent }
    }
    let source = match at.enumeration("source", source) {
        Source::Dynamic => MetadataSource::Dynamic,
        Source::RouteEntry => MetadataSource::Route,
        Source::ClusterEntry => MetadataSource::Cluster,
        Source::ClusterLocalityEntry => MetadataSource::Locality,
    };
    let metadata_key = at.required("metadata_key", metadata_key);
    Some(Action::Metadata {
        source,
        path: at.message("metadata_key", metadata_key, metadata_path)?,
        key: at.required_string("descriptor_key", descriptor_key),
        default_value: (!default_value.is_empty()).then_some(default_value),
        skip_if_absent,
    })
}

pub(in crate::config) fn metadata_path(message: MetadataKey, at: &mut Scope<'_>) -> Option<MetadataPath> {
    use metadata_key::{PathSegment, path_segment};
    open! { at, MetadataKey = message; implemented { key, path } }
    if path.is_empty() {
        at.field("path").violation("value must contain at least 1 item(s)");
    }
    let segments = at.list("path", path, |message: PathSegment, at| {
        open! { at, PathSegment = message; implemented { segment } }
        match at.required("segment", segment)? {
            path_segment::Segment::Key(key) => Some(Segment::Key(at.required_string("key", key))),
            path_segment::Segment::Index(index) => usize::try_from(index).ok().map(Segment::Index),
        }
    });
    Some(MetadataPath { name: at.required_string("key", key), segments })
}

fn extension(message: core::TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Action> {
    open! { at, core::TypedExtensionConfig = message; implemented { name, typed_config } }
    if typed_config.as_ref().map(contained_type).as_deref() == Some(EXPRESSION) {
        let at = &mut at.field("typed_config");
        return expression(read(typed_config?, at)?, at);
    }
    if typed_config.as_ref().map(contained_type).as_deref() == Some(CLAIM) {
        let at = &mut at.field("typed_config");
        return claim(read(typed_config?, at)?, at);
    }
    let key = at.required_string("name", name);
    let input = TypedExtensionConfig { name: key.clone(), typed_config };
    Some(Action::Input { key, input: Input::from_proto(input, at)? })
}

fn expression(message: Descriptor, at: &mut Scope<'_>) -> Option<Action> {
    use descriptor::ExprSpecifier;
    open! { at, Descriptor = message; implemented { descriptor_key, skip_if_error, expr_specifier } }
    let parsed = match at.required("expr_specifier", expr_specifier)? {
        ExprSpecifier::Text(text) => Expression::parse(&text, Options::default()),
        ExprSpecifier::Parsed(tree) => Expression::of_older_tree(tree, Options::default()),
    };
    let expression = parsed.map_err(|problem| problem.tell(at)).ok();
    let key = at.required_string("descriptor_key", descriptor_key);
    Some(Action::Expression { key, expression: expression?, skip_if_error })
}

fn claim(message: jwt_claim::Descriptor, at: &mut Scope<'_>) -> Option<Action> {
    use jwt_claim::Descriptor;
    open! { at, Descriptor = message;
        implemented { descriptor_key, header_name, cookie, value_prefix, claim_name, default_value, skip_if_absent }
    }
    let source = match (header_name.is_empty(), cookie.is_empty()) {
        (false, true) => TokenSource::Header(canonical_name(&header_name)),
        (true, false) => TokenSource::Cookie(cookie),
        (true, true) | (false, false) => {
            at.error("exactly one of header_name and cookie must be set");
            return None;
        }
    };
    Some(Action::JwtClaim {
        key: at.required_string("descriptor_key", descriptor_key),
        source,
        prefix: value_prefix,
        claim: at.required_string("claim_name", claim_name).split('.').map(str::to_owned).collect(),
        default_value: Some(default_value).filter(|value| !value.is_empty()),
        skip_if_absent,
    })
}
