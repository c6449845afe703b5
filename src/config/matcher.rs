//! Matchers of strings, headers and addresses: `envoy.type.matcher.v3` and `envoy.config.route.v3.HeaderMatcher`.

use std::net::IpAddr;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::route::v3 as route;
use envoy_types::pb::envoy::r#type::matcher::v3;
use envoy_types::pb::envoy::r#type::v3 as type_v3;
use envoy_types::pb::google::protobuf as pb;
use envoy_types::pb::xds::core::v3 as xds;

use super::field::{Scope, open};
pub use super::regex::{Regex, Substitution};

/// `envoy.type.matcher.v3.StringMatcher`
#[derive(Clone, Debug, PartialEq)]
pub struct StringMatcher {
    /// What to compare with.
    pub pattern: StringPattern,
    /// Case does not count; not for regular expressions.
    pub ignore_case: bool,
}

/// `StringMatcher.match_pattern`
#[derive(Clone, Debug, PartialEq)]
pub enum StringPattern {
    /// The whole value.
    Exact(String),
    /// Its beginning.
    Prefix(String),
    /// Its end.
    Suffix(String),
    /// Some part of it.
    Contains(String),
    /// The whole value, as a regular expression.
    SafeRegex(Regex),
}

/// `envoy.config.route.v3.HeaderMatcher`
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderMatcher {
    /// The header, lower case.
    pub name: String,
    /// What is asked of it.
    pub test: HeaderTest,
    /// Turns the answer round.
    pub invert: bool,
    /// Take a missing header as one with an empty value.
    pub treat_missing_as_empty: bool,
}

/// `HeaderMatcher.header_match_specifier`
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderTest {
    /// Its value matches.
    String(StringMatcher),
    /// Its value is an integer of this range; the end is excluded.
    Range(i64, i64),
    /// It is there, or is not.
    Present(bool),
}

/// `envoy.config.route.v3.QueryParameterMatcher`
#[derive(Clone, Debug, PartialEq)]
pub struct QueryParameterMatcher {
    /// The parameter's name, case counts.
    pub name: String,
    /// What is asked of it.
    pub test: QueryParameterTest,
}

/// `QueryParameterMatcher.query_parameter_match_specifier`
#[derive(Clone, Debug, PartialEq)]
pub enum QueryParameterTest {
    /// Its value matches.
    String(StringMatcher),
    /// It is there, or is not.
    Present(bool),
}

/// `envoy.config.core.v3.CidrRange`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CidrRange {
    /// The network's address, bits beyond the length are zero.
    pub address: IpAddr,
    /// Bits of the network.
    pub prefix_len: u8,
}

impl StringMatcher {
    /// From its proto.
    pub fn from_proto(message: v3::StringMatcher, at: &mut Scope<'_>) -> Option<Self> {
        use v3::string_matcher::MatchPattern;
        open! { at, v3::StringMatcher = message; implemented { ignore_case, match_pattern } }
        let pattern = match at.required("match_pattern", match_pattern)? {
            MatchPattern::Exact(text) => StringPattern::Exact(text),
            MatchPattern::Prefix(text) => StringPattern::Prefix(at.required_string("prefix", text)),
            MatchPattern::Suffix(text) => StringPattern::Suffix(at.required_string("suffix", text)),
            MatchPattern::Contains(text) => StringPattern::Contains(at.required_string("contains", text)),
            MatchPattern::SafeRegex(regex) => {
                if ignore_case {
                    at.error("ignore_case has no effect for safe_regex");
                }
                StringPattern::SafeRegex(Regex::from_proto(regex, &mut at.field("safe_regex"))?)
            }
            MatchPattern::Custom(_) => {
                at.reject("custom", "Envoy knows but one such extension, whose matchers are written in Lua");
                return None;
            }
        };
        Some(StringMatcher { pattern, ignore_case })
    }

    /// A matcher with case, from one of the patterns that older fields hold.
    fn plain(pattern: StringPattern) -> Self {
        StringMatcher { pattern, ignore_case: false }
    }
}

impl HeaderMatcher {
    /// From its proto.
    pub fn from_proto(message: route::HeaderMatcher, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, route::HeaderMatcher = message;
            implemented { name, header_match_specifier, invert_match, treat_missing_header_as_empty }
        }
        let name = at.required_string("name", name);
        // Without a specifier the header has to be there.
        let test = match header_match_specifier {
            Some(specifier) => HeaderTest::from_proto(specifier, at)?,
            None => HeaderTest::Present(true),
        };
        Some(HeaderMatcher {
            name: canonical_name(&name),
            test,
            invert: invert_match,
            treat_missing_as_empty: treat_missing_header_as_empty,
        })
    }
}

/// A header's name as messages are asked for it: in lower case, and `host` as HTTP/2 calls it (RFC 9113 §8.3.1).
pub(super) fn canonical_name(name: &str) -> String {
    match name.to_ascii_lowercase() {
        host if host == "host" => ":authority".to_owned(),
        name => name,
    }
}

impl HeaderTest {
    fn from_proto(
        specifier: route::header_matcher::HeaderMatchSpecifier,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        use route::header_matcher::HeaderMatchSpecifier as Specifier;
        #[expect(deprecated, reason = "older forms are still accepted, as by Envoy")]
        let pattern = match specifier {
            Specifier::StringMatch(matcher) => {
                return StringMatcher::from_proto(matcher, &mut at.field("string_match"))
                    .map(HeaderTest::String);
            }
            Specifier::PresentMatch(present) => return Some(HeaderTest::Present(present)),
            Specifier::RangeMatch(range) => {
                open! { at, type_v3::Int64Range = range; implemented { start, end } }
                return Some(HeaderTest::Range(start, end));
            }
            Specifier::ExactMatch(text) => StringPattern::Exact(text),
            Specifier::PrefixMatch(text) => StringPattern::Prefix(at.required_string("prefix_match", text)),
            Specifier::SuffixMatch(text) => StringPattern::Suffix(at.required_string("suffix_match", text)),
            Specifier::ContainsMatch(text) => {
                StringPattern::Contains(at.required_string("contains_match", text))
            }
            Specifier::SafeRegexMatch(regex) => {
                StringPattern::SafeRegex(Regex::from_proto(regex, &mut at.field("safe_regex_match"))?)
            }
        };
        Some(HeaderTest::String(StringMatcher::plain(pattern)))
    }
}

impl QueryParameterMatcher {
    /// From its proto.
    pub fn from_proto(message: route::QueryParameterMatcher, at: &mut Scope<'_>) -> Option<Self> {
        use route::query_parameter_matcher::QueryParameterMatchSpecifier as Specifier;
        open! { at, route::QueryParameterMatcher = message;
            implemented { name, query_parameter_match_specifier }
        }
        let name = at.required_string("name", name);
        let test = match query_parameter_match_specifier {
            Some(Specifier::StringMatch(matcher)) => {
                QueryParameterTest::String(StringMatcher::from_proto(matcher, &mut at.field("string_match"))?)
            }
            Some(Specifier::PresentMatch(present)) => QueryParameterTest::Present(present),
            None => QueryParameterTest::Present(true),
        };
        Some(QueryParameterMatcher { name, test })
    }
}

impl CidrRange {
    /// From its proto.
    pub fn from_proto(message: core::CidrRange, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, core::CidrRange = message; implemented { address_prefix, prefix_len } }
        Self::new(address_prefix, prefix_len, at)
    }

    /// From the form that xDS has of it.
    pub fn from_xds(message: xds::CidrRange, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, xds::CidrRange = message; implemented { address_prefix, prefix_len } }
        Self::new(address_prefix, prefix_len, at)
    }

    /// The network of an address.
    pub fn of(address: IpAddr, prefix_len: u8) -> Self {
        CidrRange { address: network(address, prefix_len), prefix_len }
    }

    fn new(address_prefix: String, prefix_len: Option<pb::UInt32Value>, at: &mut Scope<'_>) -> Option<Self> {
        let address_prefix = at.required_string("address_prefix", address_prefix);
        let prefix_len = at.within("prefix_len", prefix_len, 0..=128).unwrap_or(0);
        let Ok(address) = address_prefix.parse::<IpAddr>() else {
            at.field("address_prefix").error(format!("malformed IP address: {address_prefix}"));
            return None;
        };
        // A longer prefix is cut to the whole address, as Envoy does.
        Some(CidrRange::around(address, u8::try_from(prefix_len).unwrap_or(u8::MAX)))
    }

    /// The network of so many bits that an address is in; more bits than it has are all of them.
    pub fn around(address: IpAddr, prefix_len: u8) -> Self {
        let longest: u8 = if address.is_ipv4() { 32 } else { 128 };
        let prefix_len = prefix_len.min(longest);
        CidrRange { address: network(address, prefix_len), prefix_len }
    }

    /// Whether the address is of this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && network(address, self.prefix_len) == self.address
    }
}

/// The address with the bits beyond the prefix zero.
fn network(address: IpAddr, prefix_len: u8) -> IpAddr {
    let prefix_len = u32::from(prefix_len);
    match address {
        IpAddr::V4(v4) => {
            IpAddr::V4((v4.to_bits() & u32::MAX.checked_shl(32 - prefix_len).unwrap_or(0)).into())
        }
        IpAddr::V6(v6) => {
            IpAddr::V6((v6.to_bits() & u128::MAX.checked_shl(128 - prefix_len).unwrap_or(0)).into())
        }
    }
}
