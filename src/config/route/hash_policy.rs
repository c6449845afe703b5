//! What of a request always goes to the same host: `envoy.config.route.v3.RouteAction.HashPolicy`.

use envoy_types::pb::envoy::config::route::v3;

use super::headers::Header;
use crate::config::field::{Scope, open};
use crate::config::matcher::Substitution;

/// One part of a request's hash.
#[derive(Clone, Debug, PartialEq)]
pub struct HashPolicy {
    /// What is hashed.
    pub key: HashKey,
    /// Whether the policies after this one do not count once there is a hash.
    pub terminal: bool,
}

/// `RouteAction.HashPolicy.policy_specifier`
#[derive(Clone, Debug, PartialEq)]
pub enum HashKey {
    /// The values of a request header.
    Header {
        /// Its name, lower case.
        name: String,
        /// Changes each value before it is hashed.
        rewrite: Option<Substitution>,
    },
    /// The value of a cookie.
    Cookie(HashCookie),
    /// The client's IP address; `connection_properties` that does not ask for it says nothing.
    SourceIp,
    /// The first value of a query parameter.
    QueryParameter(String),
    /// The object of the filter state with this name, if it is one that is hashed.
    FilterState(String),
}

/// `RouteAction.HashPolicy.Cookie`
#[derive(Clone, Debug, PartialEq)]
pub struct HashCookie {
    /// Its name, case counts.
    pub name: String,
    /// Give clients without the cookie one that lasts so many seconds, 0 for as long as the client's session; `None`
    /// gives none.
    pub ttl: Option<u64>,
    /// The path that a cookie is given with; none where empty.
    pub path: String,
    /// Further attributes of a cookie that is given, with their values where those are not empty.
    pub attributes: Vec<(String, String)>,
}

impl HashPolicy {
    /// From its proto; `None` also where it says nothing.
    pub(in crate::config) fn from_proto(
        message: v3::route_action::HashPolicy,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        use v3::route_action::HashPolicy as Message;
        use v3::route_action::hash_policy::PolicySpecifier as Specifier;
        open! { at, Message = message; implemented { policy_specifier, terminal } }
        let key = match at.required("policy_specifier", policy_specifier)? {
            Specifier::Header(header) => at.message("header", Some(header), from_header)?,
            Specifier::Cookie(cookie) => {
                at.message("cookie", Some(cookie), from_cookie).map(HashKey::Cookie)?
            }
            Specifier::ConnectionProperties(properties) => {
                at.message("connection_properties", Some(properties), from_connection)?
            }
            Specifier::QueryParameter(parameter) => {
                at.message("query_parameter", Some(parameter), from_query_parameter)?
            }
            Specifier::FilterState(state) => at.message("filter_state", Some(state), from_filter_state)?,
        };
        Some(HashPolicy { key, terminal })
    }
}

fn from_header(message: v3::route_action::hash_policy::Header, at: &mut Scope<'_>) -> Option<HashKey> {
    use v3::route_action::hash_policy::Header as Message;
    open! { at, Message = message; implemented { header_name, regex_rewrite } }
    let rewrite = at.message("regex_rewrite", regex_rewrite, Substitution::from_proto);
    let name = Header::name(header_name, &mut at.field("header_name"))?;
    Some(HashKey::Header { name, rewrite })
}

fn from_connection(
    message: v3::route_action::hash_policy::ConnectionProperties,
    at: &mut Scope<'_>,
) -> Option<HashKey> {
    use v3::route_action::hash_policy::ConnectionProperties as Message;
    open! { at, Message = message; implemented { source_ip } }
    source_ip.then_some(HashKey::SourceIp)
}

fn from_query_parameter(
    message: v3::route_action::hash_policy::QueryParameter,
    at: &mut Scope<'_>,
) -> Option<HashKey> {
    use v3::route_action::hash_policy::QueryParameter as Message;
    open! { at, Message = message; implemented { name } }
    Some(HashKey::QueryParameter(at.required_string("name", name)))
}

fn from_filter_state(
    message: v3::route_action::hash_policy::FilterState,
    at: &mut Scope<'_>,
) -> Option<HashKey> {
    use v3::route_action::hash_policy::FilterState as Message;
    open! { at, Message = message; implemented { key } }
    Some(HashKey::FilterState(at.required_string("key", key)))
}

fn from_cookie(message: v3::route_action::hash_policy::Cookie, at: &mut Scope<'_>) -> Option<HashCookie> {
    use v3::route_action::hash_policy::{Cookie as Message, CookieAttribute};
    open! { at, Message = message; implemented { name, ttl, path, attributes } }
    let attribute = |message: CookieAttribute, at: &mut Scope<'_>| {
        open! { at, CookieAttribute = message; implemented { name, value } }
        Some((name, value))
    };
    Some(HashCookie {
        name: at.required_string("name", name),
        ttl: at.duration("ttl", ttl).map(|ttl| ttl.as_secs()),
        path,
        attributes: at.list("attributes", attributes, attribute),
    })
}
