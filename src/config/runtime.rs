//! The runtime's values, as the data path reads them: `envoy.config.bootstrap.v3.LayeredRuntime`, its layers merged.
//!
//! A part of the snapshot, so a change of the runtime is in force for the requests that begin after it. A key is
//! looked up only where the configuration names one.

use std::collections::HashMap;

use dragoman_proto::encode::{Options, Unknown, encode};
use dragoman_proto::tree;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::r#type::v3;
use prost::{Message as _, Name as _};
use serde_json::Value;

use super::extension::RegexLevels;
use super::field::{Scope, open};

/// What decides about shares and weights.
#[derive(Clone, Copy, Debug)]
pub struct Draw<'a> {
    /// A random number. Envoy draws one a request for the choice of its route and of a weighted cluster.
    pub random: u64,
    /// The runtime's values, which may change shares and weights.
    pub runtime: &'a Values,
}

/// A share of all requests: `envoy.type.v3.FractionalPercent`, the denominator as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fraction {
    /// How many of `denominator`.
    pub numerator: u32,
    /// 100, 10,000 or 1,000,000.
    pub denominator: u32,
}

impl Fraction {
    /// From its proto; `None` with a denominator that the API does not have.
    fn new(message: &v3::FractionalPercent) -> Option<Self> {
        use v3::fractional_percent::DenominatorType;
        let denominator = match DenominatorType::try_from(message.denominator).ok()? {
            DenominatorType::Hundred => 100,
            DenominatorType::TenThousand => 10_000,
            DenominatorType::Million => 1_000_000,
        };
        Some(Fraction { numerator: message.numerator, denominator })
    }

    /// From its proto.
    pub fn from_proto(message: v3::FractionalPercent, at: &mut Scope<'_>) -> Option<Self> {
        use v3::fractional_percent::DenominatorType;
        let fraction = Self::new(&message);
        open! { at, v3::FractionalPercent = message; implemented { numerator, denominator } }
        fraction.or_else(|| {
            at.enumeration::<DenominatorType>("denominator", denominator);
            Some(Fraction { numerator, denominator: 100 })
        })
    }

    /// So many of a hundred.
    pub fn percent(numerator: u32) -> Self {
        Fraction { numerator, denominator: 100 }
    }

    /// The share as a number; more than all is all.
    pub fn ratio(self) -> f64 {
        (f64::from(self.numerator) / f64::from(self.denominator.max(1))).min(1.0)
    }

    /// Whether the number is of the share.
    pub fn takes(self, random: u64) -> bool {
        random % u64::from(self.denominator.max(1)) < u64::from(self.numerator)
    }
}

/// A share that the runtime can change: `envoy.config.core.v3.RuntimeFractionalPercent`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuntimeFraction {
    /// Where the runtime says nothing.
    pub default_value: Fraction,
    /// The key in the runtime; empty for none.
    pub runtime_key: String,
}

impl RuntimeFraction {
    /// From its proto.
    pub fn from_proto(message: core::RuntimeFractionalPercent, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, core::RuntimeFractionalPercent = message; implemented { default_value, runtime_key } }
        let default_value = at.required("default_value", default_value);
        let default_value = at.message("default_value", default_value, Fraction::from_proto)?;
        Some(RuntimeFraction { default_value, runtime_key })
    }

    /// The share in force.
    pub fn value(&self, runtime: &Values) -> Fraction {
        runtime.fraction(&self.runtime_key, self.default_value)
    }
}

/// A number that the runtime can change: `envoy.config.core.v3.RuntimeUInt32`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuntimeUInt32 {
    /// Where the runtime says nothing.
    pub default_value: u32,
    /// The key in the runtime.
    pub runtime_key: String,
}

impl RuntimeUInt32 {
    /// From its proto.
    pub fn from_proto(message: core::RuntimeUInt32, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, core::RuntimeUInt32 = message; implemented { default_value, runtime_key } }
        Some(RuntimeUInt32 { default_value, runtime_key: at.required_string("runtime_key", runtime_key) })
    }

    /// The number in force.
    pub fn value(&self, runtime: &Values) -> u64 {
        runtime.integer(&self.runtime_key, self.default_value.into())
    }
}

/// A number that the runtime can change: `envoy.config.core.v3.RuntimeDouble`.
#[derive(Clone, Debug, PartialEq)]
pub struct RuntimeDouble {
    /// Where the runtime says nothing.
    pub default_value: f64,
    /// The key in the runtime; empty for none.
    pub runtime_key: String,
}

impl RuntimeDouble {
    /// From its proto.
    pub fn from_proto(message: core::RuntimeDouble, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, core::RuntimeDouble = message; implemented { default_value, runtime_key } }
        Some(RuntimeDouble { default_value, runtime_key })
    }

    /// The number in force.
    pub fn value(&self, runtime: &Values) -> f64 {
        runtime.double(&self.runtime_key, self.default_value)
    }
}

/// A switch that the runtime can change: `envoy.config.core.v3.RuntimeFeatureFlag`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuntimeFlag {
    /// Where the runtime says nothing.
    pub default_value: bool,
    /// The key in the runtime.
    pub runtime_key: String,
}

impl RuntimeFlag {
    /// From its proto.
    pub fn from_proto(message: core::RuntimeFeatureFlag, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, core::RuntimeFeatureFlag = message; implemented { default_value, runtime_key } }
        let default_value = at.required("default_value", default_value)?.value;
        Some(RuntimeFlag { default_value, runtime_key: at.required_string("runtime_key", runtime_key) })
    }

    /// What it is now.
    pub fn value(&self, runtime: &Values) -> bool {
        runtime.boolean(&self.runtime_key, self.default_value)
    }
}

/// One value in the forms that it can be read in; a text is read as what it looks like, as in Envoy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Entry {
    boolean: Option<bool>,
    number: Option<f64>,
    fraction: Option<Fraction>,
}

/// The values of all layers, the last layer's where several have the key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    by_key: HashMap<Box<str>, Entry>,
    steers_clusters: bool,
}

/// From which size on programs of regular expressions are refused.
pub const ERROR_LEVEL: &str = "re2.max_program_size.error_level";

/// From which size on they are logged.
pub const WARN_LEVEL: &str = "re2.max_program_size.warn_level";

/// What keys begin with that are about clusters.
const OF_CLUSTERS: [&str; 2] = ["circuit_breakers.", "upstream."];

impl<'a> FromIterator<(&'a str, &'a Value)> for Values {
    /// Of a key that comes twice the later value counts.
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a Value)>>(values: I) -> Self {
        let by_key = values.into_iter().map(|(key, value)| (Box::from(key), Entry::new(value)));
        let by_key: HashMap<Box<str>, Entry> = by_key.collect();
        let is_of_clusters = |key: &str| OF_CLUSTERS.iter().any(|prefix| key.starts_with(prefix));
        let steers_clusters = by_key.keys().any(|key| is_of_clusters(key));
        Values { by_key, steers_clusters }
    }
}

impl Values {
    /// Whether any value may be about clusters, which follow the runtime only where that is so.
    pub fn steers_clusters(&self) -> bool {
        self.steers_clusters
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Whether there is a value, whatever it is.
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// A boolean; `default` where there is none.
    pub fn boolean(&self, key: &str, default: bool) -> bool {
        self.entry(key).and_then(|entry| entry.boolean).unwrap_or(default)
    }

    /// A whole number from zero; `default` where there is none.
    pub fn integer(&self, key: &str, default: u64) -> u64 {
        self.entry(key).and_then(Entry::integer).unwrap_or(default)
    }

    /// How large programs of regular expressions may be.
    pub fn regex_levels(&self) -> RegexLevels {
        let level = |key| self.entry(key).and_then(Entry::integer);
        RegexLevels { error: level(ERROR_LEVEL), warn: level(WARN_LEVEL) }
    }

    /// A number; `default` where there is none.
    pub fn double(&self, key: &str, default: f64) -> f64 {
        self.entry(key).and_then(|entry| entry.number).unwrap_or(default)
    }

    /// A share; `default` where there is none. A whole number is a percentage.
    pub fn fraction(&self, key: &str, default: Fraction) -> Fraction {
        let entry = self.entry(key);
        let percent = || {
            let percent = entry?.integer()?;
            let numerator = u32::try_from(percent).unwrap_or(u32::MAX);
            Some(Fraction { numerator, denominator: 100 })
        };
        entry.and_then(|entry| entry.fraction).or_else(percent).unwrap_or(default)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        if key.is_empty() { None } else { self.by_key.get(key) }
    }
}

impl Entry {
    fn new(value: &Value) -> Self {
        match value {
            Value::Bool(boolean) => Entry { boolean: Some(*boolean), ..Entry::default() },
            Value::Number(number) => Entry { number: number.as_f64(), ..Entry::default() },
            Value::String(text) => Entry::of_text(text),
            Value::Object(_) => Entry { fraction: fraction(&value.to_string()), ..Entry::default() },
            Value::Null | Value::Array(_) => Entry::default(),
        }
    }

    /// What was set at the admin interface, or stands in quotes.
    fn of_text(text: &str) -> Self {
        let trimmed = text.trim();
        if trimmed.eq_ignore_ascii_case("true") || trimmed.eq_ignore_ascii_case("false") {
            return Entry { boolean: Some(trimmed.eq_ignore_ascii_case("true")), ..Entry::default() };
        }
        if let Ok(number) = trimmed.parse::<f64>() {
            return Entry { number: Some(number), ..Entry::default() };
        }
        Entry { fraction: fraction(text), ..Entry::default() }
    }

    fn integer(&self) -> Option<u64> {
        let number = self.number?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a conversion that is checked"
        )]
        let whole = number as u64;
        #[expect(
            clippy::cast_precision_loss,
            reason = "an exact comparison: what was cut off does not compare equal"
        )]
        let same = whole as f64 == number;
        same.then_some(whole)
    }
}

/// A `FractionalPercent` in JSON or YAML.
fn fraction(text: &str) -> Option<Fraction> {
    let document = tree::parse_yaml(text).ok()?;
    let name = v3::FractionalPercent::full_name();
    let encoded = encode(&document.root, &name, &Options { unknown: Unknown::Reject }).ok()?;
    Fraction::new(&v3::FractionalPercent::decode(encoded.bytes.as_slice()).ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HALF: Fraction = Fraction { numerator: 50, denominator: 100 };

    fn values(value: Value) -> Values {
        [("k", &value)].into_iter().collect()
    }

    #[test]
    fn a_share_is_a_fraction_or_a_percentage() {
        for (value, numerator, denominator) in [
            (json!(0), 0, 100),
            (json!(100), 100, 100),
            (json!("7"), 7, 100),
            (json!({ "numerator": 5 }), 5, 100),
            (json!({ "numerator": 5, "denominator": "TEN_THOUSAND" }), 5, 10_000),
            (json!({ "denominator": "MILLION" }), 0, 1_000_000),
            (json!("{numerator: 3, denominator: MILLION}"), 3, 1_000_000),
            (json!("numerator: 3"), 3, 100),
            // What is no share leaves the default.
            (json!(-1), 50, 100),
            (json!(1.5), 50, 100),
            (json!(true), 50, 100),
            (json!("nonsense"), 50, 100),
            (json!({ "numerator": 1, "denominator": "DOZEN" }), 50, 100),
        ] {
            let found = values(value.clone()).fraction("k", HALF);
            assert_eq!(found, Fraction { numerator, denominator }, "{value}");
        }
        assert_eq!(Values::default().fraction("k", HALF), HALF);
        assert_eq!(values(json!(1)).fraction("", HALF), HALF);
    }

    #[test]
    fn numbers_and_booleans_may_be_texts() {
        assert_eq!(values(json!(" 12 ")).integer("k", 1), 12);
        assert_eq!(values(json!("1.5")).integer("k", 1), 1);
        assert!(values(json!("TRUE")).boolean("k", false));
        assert!(!values(json!(false)).boolean("k", true));
        assert!(values(json!(1)).boolean("k", true), "a number is no boolean");
    }

    #[test]
    fn a_share_takes_so_many_of_the_numbers() {
        let fraction = Fraction { numerator: 30, denominator: 100 };
        assert_eq!((0..1000).filter(|random| fraction.takes(*random)).count(), 300);
        assert!(Fraction { numerator: 1000, denominator: 100 }.takes(99));
    }
}
