//! One rule: where a value is taken from, and what becomes of it.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use envoy_types::pb::envoy::extensions::filters::http::header_to_metadata::v3::config as v3;
use envoy_types::pb::google::protobuf as pb;
use prost::Message as _;
use serde_json::{Map, Value};

use crate::base::headers::{Headers, Name, cookie};
use crate::config::field::{Scope, open};
use crate::config::matcher::Substitution;
use crate::config::metadata;
use crate::observability::stats::http::HeaderToMetadataStats;
use crate::observability::stream_info::StreamInfo;

/// The name of metadata that is configured without one.
const NAMESPACE: &str = "envoy.filters.http.header_to_metadata";

/// Values of this length and longer ones are not taken.
const TOO_LONG: usize = 8 * 1024;

/// As Envoy decodes: with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `Config.Rule`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    source: Source,
    on_present: Option<Target>,
    on_missing: Option<Target>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    /// A header, in lower case; taken off afterwards if `remove`.
    Header { name: String, remove: bool },
    /// A cookie.
    Cookie(String),
}

/// `Config.KeyValuePair`: what becomes of a value.
#[derive(Clone, Debug, PartialEq)]
struct Target {
    namespace: String,
    key: String,
    /// In the place of the value; the value itself where empty.
    value: String,
    rewrite: Option<Substitution>,
    kind: v3::ValueType,
    base64: bool,
}

/// What a message's rules came to, for the statistics.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) rules_processed: u64,
    pub(super) metadata_added: u64,
    pub(super) header_not_found: u64,
    base64_decode_failed: u64,
    header_value_too_long: u64,
    regex_substitution_failed: u64,
}

impl Counts {
    /// Counts what both directions count together.
    pub(super) fn tell_faults(&self, stats: &HeaderToMetadataStats) {
        stats.base64_decode_failed().add(self.base64_decode_failed);
        stats.header_value_too_long().add(self.header_value_too_long);
        stats.regex_substitution_failed().add(self.regex_substitution_failed);
    }
}

impl Rule {
    pub(super) fn from_proto(message: v3::Rule, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Rule = message; implemented { header, cookie, on_header_present, on_header_missing, remove } }
        let source = match (header.is_empty(), cookie.is_empty()) {
            (false, false) => Err("Cannot specify both header and cookie"),
            (true, true) => Err("One of Cookie or Header option needs to be specified"),
            (true, false) if remove => Err("Cannot specify remove for cookie"),
            (true, false) => Ok(Source::Cookie(cookie)),
            (false, true) => Ok(Source::Header { name: header.to_ascii_lowercase(), remove }),
        };
        let source = source.map_err(|problem| at.error(problem)).ok()?;
        if on_header_present.is_none() && on_header_missing.is_none() {
            at.error(
                "header to metadata filter: rule has neither `on_header_present` nor `on_header_missing` set",
            );
        }
        let on_present = at.message("on_header_present", on_header_present, Target::from_proto);
        let on_missing = at.message("on_header_missing", on_header_missing, Target::from_proto);
        if on_missing.as_ref().is_some_and(|target| target.value.is_empty()) {
            at.error("Cannot specify on_header_missing rule with an empty value");
        }
        Some(Rule { source, on_present, on_missing })
    }

    /// Takes the value out of these headers and notes what the rule makes of it.
    pub(super) fn apply(&self, headers: &mut Headers, info: &mut StreamInfo, counts: &mut Counts) {
        counts.rules_processed += 1;
        let value = self.source.take(headers);
        let (target, value) = match (value, &self.on_present, &self.on_missing) {
            (Some(value), Some(target), _) => (target, value),
            (None, _, Some(target)) => {
                counts.header_not_found += 1;
                (target, Vec::new())
            }
            _ => return,
        };
        if let Some(value) = target.value(value, counts) {
            let fields = Map::from_iter([(target.key.clone(), value)]);
            info.notes_mut().set_metadata(&target.namespace, fields);
            counts.metadata_added += 1;
        }
    }
}

impl Source {
    fn take(&self, headers: &mut Headers) -> Option<Vec<u8>> {
        match self {
            Source::Header { name, remove } => {
                let name = Name::new(name.as_bytes());
                let mut values = headers.get_all(name);
                let mut all = values.next()?.to_vec();
                for value in values {
                    all.push(b',');
                    all.extend_from_slice(value);
                }
                if *remove {
                    headers.remove(name);
                }
                Some(all)
            }
            Source::Cookie(name) => {
                cookie(headers, name.as_bytes()).filter(|value| !value.is_empty()).map(<[u8]>::to_vec)
            }
        }
    }
}

impl Target {
    fn from_proto(message: v3::KeyValuePair, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::KeyValuePair = message;
            implemented { metadata_namespace, key, value, regex_value_rewrite, r#type, encode }
        }
        if !value.is_empty() && regex_value_rewrite.is_some() {
            at.error("Cannot specify both value and regex_value_rewrite");
        }
        let rewrite = at.message("regex_value_rewrite", regex_value_rewrite, Substitution::from_proto);
        let (Ok(kind), Ok(encode)) = (v3::ValueType::try_from(r#type), v3::ValueEncode::try_from(encode)) else {
            at.violation("value must be one of the defined enum values");
            return None;
        };
        let namespace = if metadata_namespace.is_empty() { NAMESPACE.to_owned() } else { metadata_namespace };
        Some(Target {
            namespace,
            key: at.required_string("key", key),
            value,
            rewrite,
            kind,
            base64: encode == v3::ValueEncode::Base64,
        })
    }

    /// What is noted for a value; `None` where nothing can be made of it.
    fn value(&self, found: Vec<u8>, counts: &mut Counts) -> Option<Value> {
        let mut value = match (&self.rewrite, self.value.is_empty()) {
            (_, false) => self.value.clone().into_bytes(),
            (None, true) => found,
            (Some(rewrite), true) => {
                let rewritten = rewrite.apply(&found);
                counts.regex_substitution_failed += u64::from(rewritten.is_empty() && !found.is_empty());
                rewritten
            }
        };
        if value.is_empty() {
            return None;
        }
        if value.len() >= TOO_LONG {
            counts.header_value_too_long += 1;
            return None;
        }
        if self.base64 {
            value = BASE64.decode(&value).unwrap_or_default();
            if value.is_empty() {
                counts.base64_decode_failed += 1;
                return None;
            }
        }
        match self.kind {
            v3::ValueType::String => Some(Value::String(String::from_utf8_lossy(&value).into_owned())),
            v3::ValueType::Number => {
                std::str::from_utf8(&value).ok()?.trim().parse().ok().map(metadata::number)
            }
            v3::ValueType::ProtobufValue => pb::Value::decode(value.as_slice()).ok().map(metadata::to_value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(kind: v3::ValueType, base64: bool) -> Target {
        let (namespace, key, value) = ("ns".to_owned(), "k".to_owned(), String::new());
        Target { namespace, key, value, rewrite: None, kind, base64 }
    }

    fn check(target: &Target, value: &str, expected: Option<Value>) {
        assert_eq!(target.value(value.into(), &mut Counts::default()), expected, "{value}");
    }

    #[test]
    fn a_value_becomes_what_its_type_says() {
        let number = target(v3::ValueType::Number, false);
        check(&number, " 3.50 ", Some(3.5.into()));
        check(&number, "1e3", Some(1000.into()));
        check(&number, "1x", None);
        let coded = target(v3::ValueType::String, true);
        check(&coded, "aGVsbG8=", Some("hello".into()));
        check(&coded, "aGVsbG8", Some("hello".into()));
        check(&coded, "???", None);
        check(&target(v3::ValueType::ProtobufValue, true), "GgFh", Some("a".into()));
        check(&target(v3::ValueType::ProtobufValue, true), "Gg==", None);
    }

    #[test]
    fn what_is_too_long_or_empty_is_nothing() {
        let mut counts = Counts::default();
        let text = target(v3::ValueType::String, false);
        assert!(text.value(vec![b'x'; TOO_LONG - 1], &mut counts).is_some());
        assert_eq!(text.value(vec![b'x'; TOO_LONG], &mut counts), None);
        assert_eq!(text.value(Vec::new(), &mut counts), None);
        assert_eq!(counts.header_value_too_long, 1);
    }
}
