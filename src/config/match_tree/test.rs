//! What is asked of an input's value: `value_match` and the matchers behind `custom_match`.

use envoy_types::pb::envoy::extensions::matching::input_matchers as matchers;
use envoy_types::pb::envoy::r#type::matcher::v3 as envoy;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;
use envoy_types::pb::xds::r#type::matcher::v3 as xds;
use matchers::consistent_hashing::v3::ConsistentHashing;
use matchers::ip::v3::Ip;
use matchers::metadata::v3::Metadata;
use matchers::runtime_fraction::v3::RuntimeFraction as Message;

use super::input::Kind;
use super::unparsed::{Count, Unparsed};
use super::{Given, NotYet, Subject};
use crate::base::xxhash::hash_with_seed;
use crate::config::cel::Expression;
use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::matcher::{CidrRange, StringMatcher};
use crate::config::messages::xds::r#type::matcher::v3::CelMatcher;
use crate::config::runtime::RuntimeFraction;
use crate::config::value_matcher::ValueMatcher;

/// The matchers that are known, by the names of their messages.
const KNOWN: &str = "ip.v3.Ip, consistent_hashing.v3.ConsistentHashing, runtime_fraction.v3.RuntimeFraction and \
    metadata.v3.Metadata of envoy.extensions.matching.input_matchers, xds.type.matcher.v3.CelMatcher";

/// What is asked of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// `value_match`
    Value(StringMatcher),
    /// `ip.v3.Ip`: it is an address of one of these networks.
    Ip {
        /// The networks.
        cidr_ranges: Vec<CidrRange>,
        /// Counts what is no address; the empty text is not counted.
        unparsed: Unparsed,
    },
    /// `consistent_hashing.v3.ConsistentHashing`: the hash is of the upper part.
    Hash {
        /// Where the part begins.
        threshold: u32,
        /// Where it ends; 1 or more.
        modulo: u32,
        /// What the hash begins with.
        seed: u64,
    },
    /// `runtime_fraction.v3.RuntimeFraction`: the hash is of the share.
    Share {
        /// The share.
        share: RuntimeFraction,
        /// What the hash begins with.
        seed: u64,
    },
    /// `xds.type.matcher.v3.CelMatcher`: it is true.
    Expression(Expression),
    /// `metadata.v3.Metadata`
    Metadata {
        /// What is asked of the metadata.
        value: ValueMatcher,
        /// Turns the answer round.
        invert: bool,
    },
}

impl Test {
    /// What it can be asked of.
    pub(super) fn kind(&self) -> Kind {
        if matches!(self, Test::Expression(_)) { Kind::Attributes } else { Kind::String }
    }

    /// Whether a value passes; what is not there does not.
    pub(super) fn passes(&self, value: Given<'_>, subject: &Subject<'_>) -> Result<bool, NotYet> {
        let text = match (value, self) {
            (Given::NotYet, _) => return Err(NotYet),
            (Given::Metadata(found), Test::Metadata { value, invert }) => {
                return Ok(value.matches(found) != *invert);
            }
            (Given::Attributes, Test::Expression(expression)) => {
                let Some(attributes) = subject.attributes else { return Ok(false) };
                return expression.holds(attributes).map_err(|_| NotYet);
            }
            (Given::Text(text), _) => text,
            (Given::Nothing | Given::Metadata(_) | Given::Attributes, _) => return Ok(false),
        };
        Ok(match self {
            Test::Value(matcher) => matcher.matches(&text),
            Test::Ip { cidr_ranges, unparsed } => match std::str::from_utf8(&text).map(str::parse) {
                Ok(Ok(address)) => cidr_ranges.iter().any(|range| range.contains(address)),
                Ok(Err(_)) if text.is_empty() => false,
                Ok(Err(_)) | Err(_) => {
                    if !subject.is_known {
                        unparsed.inc();
                    }
                    false
                }
            },
            Test::Hash { threshold, modulo, seed } => {
                hash_with_seed(&text, *seed) % u64::from((*modulo).max(1)) >= u64::from(*threshold)
            }
            Test::Share { share, seed } => share.value(subject.runtime).takes(hash_with_seed(&text, *seed)),
            Test::Metadata { .. } | Test::Expression(_) => false,
        })
    }

    /// Counts what it counts from now on.
    pub(super) fn count_with(&self, make: &dyn Fn(&str) -> Box<dyn Count>) {
        if let Test::Ip { unparsed, .. } = self {
            unparsed.count_with(make);
        }
    }

    /// `xds.type.matcher.v3.StringMatcher`, which is Envoy's own but for its package.
    pub(super) fn of_value(message: xds::StringMatcher, at: &mut Scope<'_>) -> Option<Self> {
        use xds::StringMatcher as Message;
        use xds::string_matcher::MatchPattern;
        open! { at, Message = message; implemented { ignore_case, match_pattern } }
        let pattern = match at.required("match_pattern", match_pattern)? {
            MatchPattern::Exact(text) => envoy::string_matcher::MatchPattern::Exact(text),
            MatchPattern::Prefix(text) => envoy::string_matcher::MatchPattern::Prefix(text),
            MatchPattern::Suffix(text) => envoy::string_matcher::MatchPattern::Suffix(text),
            MatchPattern::Contains(text) => envoy::string_matcher::MatchPattern::Contains(text),
            MatchPattern::SafeRegex(message) => {
                let mut at = at.field("safe_regex");
                envoy::string_matcher::MatchPattern::SafeRegex(regex(message, &mut at))
            }
            MatchPattern::Custom(_) => {
                at.reject("custom", "Envoy knows but one such extension, whose matchers are written in Lua");
                return None;
            }
        };
        let message = envoy::StringMatcher { match_pattern: Some(pattern), ignore_case };
        StringMatcher::from_proto(message, at).map(Test::Value)
    }

    pub(super) fn custom(message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
        let any = at.required("typed_config", typed_config)?;
        let type_name = extension::contained_type(&any);
        let at = &mut at.field("typed_config");
        if type_name == <CelMatcher as prost::Name>::full_name() {
            return expression(extension::read(any, at)?, at);
        }
        match type_name.strip_prefix("envoy.extensions.matching.input_matchers.").unwrap_or_default() {
            "ip.v3.Ip" => Some(ip(extension::read(any, at)?, at)),
            "consistent_hashing.v3.ConsistentHashing" => hash(extension::read(any, at)?, at),
            "runtime_fraction.v3.RuntimeFraction" => share(extension::read(any, at)?, at),
            "metadata.v3.Metadata" => metadata(extension::read(any, at)?, at),
            _ => {
                at.unsupported(format!(
                    "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'; known: {KNOWN}"
                ));
                None
            }
        }
    }
}

/// RE2 is the only engine there is.
fn regex(message: xds::RegexMatcher, at: &mut Scope<'_>) -> envoy::RegexMatcher {
    use xds::RegexMatcher as Message;
    open! { at, Message = message; implemented { regex, engine_type } }
    if let Some(xds::regex_matcher::EngineType::GoogleRe2(message)) = engine_type {
        use xds::regex_matcher::GoogleRe2;
        open! { at, GoogleRe2 = message; implemented {} }
    }
    envoy::RegexMatcher { regex, ..envoy::RegexMatcher::default() }
}

fn ip(message: Ip, at: &mut Scope<'_>) -> Test {
    open! { at, Ip = message; implemented { cidr_ranges, stat_prefix } }
    let stat_prefix = at.required_string("stat_prefix", stat_prefix);
    let cidr_ranges = at.list("cidr_ranges", cidr_ranges, CidrRange::from_proto);
    Test::Ip { cidr_ranges, unparsed: Unparsed::new(&stat_prefix) }
}

fn hash(message: ConsistentHashing, at: &mut Scope<'_>) -> Option<Test> {
    open! { at, ConsistentHashing = message; implemented { threshold, modulo, seed } }
    if modulo == 0 {
        at.field("modulo").violation("value must be greater than 0");
        return None;
    }
    if threshold > modulo {
        at.error(format!("threshold cannot be greater than modulo: {threshold} > {modulo}"));
    }
    Some(Test::Hash { threshold, modulo, seed })
}

fn share(message: Message, at: &mut Scope<'_>) -> Option<Test> {
    open! { at, Message = message; implemented { runtime_fraction, seed } }
    let share = at.required("runtime_fraction", runtime_fraction);
    let share = at.message("runtime_fraction", share, RuntimeFraction::from_proto)?;
    Some(Test::Share { share, seed })
}

fn expression(message: CelMatcher, at: &mut Scope<'_>) -> Option<Test> {
    open! { at, CelMatcher = message;
        implemented { expr_match }
        ignored { description: "it is for whoever reads the configuration" }
    }
    let expression = at.required("expr_match", expr_match);
    at.message("expr_match", expression, Expression::from_proto).map(Test::Expression)
}

fn metadata(message: Metadata, at: &mut Scope<'_>) -> Option<Test> {
    open! { at, Metadata = message; implemented { value, invert } }
    let value = at.required("value", value);
    let value = at.message("value", value, ValueMatcher::from_proto)?;
    Some(Test::Metadata { value, invert })
}
