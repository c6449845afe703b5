//! A report: `xds.data.orca.v3.OrcaLoadReport`, and the headers that carry it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::Message as _;
use serde_json::{Map, Value};

use super::text;
use crate::base::headers::Headers;

/// The header that says by its first word in which form it is.
const HEADER: &[u8] = b"endpoint-load-metrics";

/// The header of gRPC: protobuf in base64.
const BINARY_HEADER: &[u8] = b"endpoint-load-metrics-bin";

/// Base64 with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `xds.data.orca.v3.OrcaLoadReport`. What is not said is 0.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Report {
    /// Of the processor; above 1 where it is overcommitted.
    #[prost(double, tag = "1")]
    pub cpu_utilization: f64,
    /// Of the memory.
    #[prost(double, tag = "2")]
    pub mem_utilization: f64,
    /// Requests a second; of no use any more.
    #[prost(uint64, tag = "3")]
    pub rps: u64,
    /// What this request cost.
    #[prost(btree_map = "string, double", tag = "4")]
    pub request_cost: BTreeMap<String, f64>,
    /// Of other resources.
    #[prost(btree_map = "string, double", tag = "5")]
    pub utilization: BTreeMap<String, f64>,
    /// Requests a second.
    #[prost(double, tag = "6")]
    pub rps_fractional: f64,
    /// Errors a second.
    #[prost(double, tag = "7")]
    pub eps: f64,
    /// What the application counts.
    #[prost(btree_map = "string, double", tag = "8")]
    pub named_metrics: BTreeMap<String, f64>,
    /// Of what the application knows to be short.
    #[prost(double, tag = "9")]
    pub application_utilization: f64,
}

impl Report {
    /// The report that headers or trailers carry; `None` where they carry none that can be read.
    pub fn of(headers: &Headers) -> Option<Self> {
        if let Some(binary) = headers.get_by_name(BINARY_HEADER) {
            return Self::from_base64(binary);
        }
        let value = headers.get_by_name(HEADER)?;
        let form = |prefix: &[u8]| value.strip_prefix(prefix);
        if let Some(binary) = form(b"BIN ") {
            return Self::from_base64(binary);
        }
        if let Some(json) = form(b"JSON ") {
            return Self::from_json(json);
        }
        text::read(std::str::from_utf8(form(b"TEXT ")?).ok()?)
    }

    fn from_base64(value: &[u8]) -> Option<Self> {
        let bytes = BASE64.decode(value).ok().filter(|bytes| !bytes.is_empty())?;
        Report::decode(bytes.as_slice()).ok()
    }

    /// By the rules that protobuf has for JSON, as far as this message needs them.
    fn from_json(json: &[u8]) -> Option<Self> {
        let mut report = Report::default();
        for (name, value) in serde_json::from_slice::<Map<String, Value>>(json).ok()? {
            let map = match name.as_str() {
                "request_cost" | "requestCost" => &mut report.request_cost,
                "utilization" => &mut report.utilization,
                "named_metrics" | "namedMetrics" => &mut report.named_metrics,
                "rps" => {
                    report.rps = whole(&value)?;
                    continue;
                }
                name => {
                    *report.number(name)? = number(&value)?;
                    continue;
                }
            };
            *map = numbers(value)?;
        }
        Some(report)
    }

    fn number(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "cpu_utilization" | "cpuUtilization" => &mut self.cpu_utilization,
            "mem_utilization" | "memUtilization" => &mut self.mem_utilization,
            "rps_fractional" | "rpsFractional" => &mut self.rps_fractional,
            "eps" => &mut self.eps,
            "application_utilization" | "applicationUtilization" => &mut self.application_utilization,
            _ => return None,
        })
    }

    /// Tells of each of the named metrics that the report has: `cpu_utilization`, `named_metrics.foo`, and all of a map
    /// where the name is `named_metrics.*`.
    pub fn each(&self, names: &[String], mut tell: impl FnMut(&str, f64)) {
        for name in names {
            match name.as_str() {
                "cpu_utilization" => tell(name, self.cpu_utilization),
                "mem_utilization" => tell(name, self.mem_utilization),
                "application_utilization" => tell(name, self.application_utilization),
                "eps" => tell(name, self.eps),
                "rps_fractional" => tell(name, self.rps_fractional),
                _ => self.each_of_map(name, &mut tell),
            }
        }
    }

    fn each_of_map(&self, name: &str, tell: &mut impl FnMut(&str, f64)) {
        let Some((prefix, key)) = name.split_once('.') else { return };
        let map = match prefix {
            "named_metrics" => &self.named_metrics,
            "utilization" => &self.utilization,
            "request_cost" => &self.request_cost,
            _ => return,
        };
        if key == "*" {
            map.iter().for_each(|(key, value)| tell(&format!("{prefix}.{key}"), *value));
        } else if let Some(value) = map.get(key) {
            tell(name, *value);
        }
    }
}

/// A number, or a text that is one.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Null => Some(0.0),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Null => Some(0),
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn numbers(value: Value) -> Option<BTreeMap<String, f64>> {
    match value {
        Value::Null => Some(BTreeMap::new()),
        Value::Object(map) => map.into_iter().map(|(key, value)| Some((key, number(&value)?))).collect(),
        _ => None,
    }
}
