//! Matchers of strings, headers and addresses: `envoy.type.matcher.v3` and `envoy.config.route.v3.HeaderMatcher`.

use std::net::IpAddr;

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
