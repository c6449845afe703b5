//! Statistics in Prometheus' text format.

use std::collections::btree_map::IntoIter;
use std::fmt::Write;

use bytes::Bytes;

use super::PIECE;
use super::histogram::buckets;
use super::number::general;
use super::params::{Buckets, Params};
use crate::observability::stats::histogram::{Latch, QUANTILES, Totals};
use crate::observability::stats::series::{MetricKind, Point, Source, Tagged, metrics};
use crate::observability::stats::{Registry, Value};

/// The answer, piece by piece: counters, gauges, texts if asked for, histograms, each sorted by name.
pub(super) struct Pieces {
    registry: Registry,
    params: Params,
    metrics: IntoIter<(MetricKind, String), Vec<Source>>,
    current: Option<Current>,
}

/// The metric that is being written.
struct Current {
    kind: MetricKind,
    name: String,
    sources: std::vec::IntoIter<Source>,
    /// The source that is being written, and the next series of it.
    at: Option<(Source, usize)>,
    /// Whether its `# TYPE` line is written.
    announced: bool,
}

impl Pieces {
    pub(super) fn new(registry: &Registry, params: Params) -> Self {
        let metrics = metrics(registry.sorted_blocks(), registry.config()).into_iter();
        Pieces { registry: registry.clone(), params, metrics, current: None }
    }

    /// Writes the next series; `false` at the end.
    fn step(&mut self, out: &mut String) -> bool {
        let current = match &mut self.current {
            Some(current) => current,
            None => {
                let Some(((kind, name), sources)) = self.metrics.next() else { return false };
                if kind == MetricKind::Text && !self.params.text_readouts {
                    return true;
                }
                let sources = sources.into_iter();
                let name = format!("envoy_{}", sanitized(&name));
                self.current.insert(Current { kind, name, sources, at: None, announced: false })
            }
        };
        match &mut current.at {
            Some((source, next)) if *next < source.series.len() => {
                let (source, at) = (source.clone(), *next);
                *next += 1;
                let tagged = &source.series[at];
                for point in source.points(&tagged.block) {
                    self.point(tagged, &point, out);
                }
            }
            at => match current.sources.next() {
                Some(source) => *at = Some((source, 0)),
                None => self.current = None,
            },
        }
        true
    }

    fn point(&mut self, tagged: &Tagged, point: &Point, out: &mut String) {
        let full = format!("{}{}", tagged.block.prefix(), point.name);
        if !self.params.wants(&full, &point.value, &tagged.block, &self.registry) {
            return;
        }
        let Some(current) = &mut self.current else { return };
        let summary = self.params.buckets == Buckets::Summary;
        if !std::mem::replace(&mut current.announced, true) {
            let kind = match current.kind {
                MetricKind::Counter => "counter",
                MetricKind::Gauge | MetricKind::Text => "gauge",
                MetricKind::Histogram if summary => "summary",
                MetricKind::Histogram => "histogram",
            };
            // Writing to a string does not fail.
            writeln!(out, "# TYPE {} {kind}", current.name).unwrap_or_default();
        }
        let name = &current.name;
        let labels = labels(tagged, point);
        match &point.value {
            Value::Counter(value) => writeln!(out, "{name}{{{labels}}} {value}"),
            Value::Gauge(value) => writeln!(out, "{name}{{{labels}}} {}", value.unwrap_or(0)),
            Value::Text(text) => {
                let text = escaped(text.as_deref().unwrap_or_default());
                writeln!(out, "{name}{{{labels}{}text_value=\"{text}\"}} 0", comma(&labels))
            }
            Value::Histogram(_, latch) => {
                let latch = latch.as_deref();
                let lines = if summary {
                    quantile_lines(name, &labels, latch)
                } else {
                    bucket_lines(name, &labels, &full, latch, &self.registry)
                };
                write!(out, "{lines}")
            }
        }
        .unwrap_or_default();
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut out = String::new();
        while out.len() < PIECE && self.step(&mut out) {}
        (!out.is_empty()).then(|| out.into())
    }
}

/// What is no letter, digit or underscore becomes an underscore.
fn sanitized(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    name.chars().map(allowed).collect()
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

/// `name="value",…`; the tag of the point before those of its block, as in Envoy.
fn labels(tagged: &Tagged, point: &Point) -> String {
    let own = point.tag.iter().map(|(name, value)| (*name, value.as_str()));
    let shared = tagged.tags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let labels = own.chain(shared).map(|(name, value)| format!("{}=\"{}\"", sanitized(name), escaped(value)));
    labels.collect::<Vec<_>>().join(",")
}

fn comma(labels: &str) -> &'static str {
    if labels.is_empty() { "" } else { "," }
}

fn bucket_lines(name: &str, labels: &str, full: &str, latch: Option<&Latch>, registry: &Registry) -> String {
    let mut lines = String::new();
    let comma = comma(labels);
    let count = latch.map_or(0, |latch| latch.cumulative.count());
    for bucket in buckets(registry, full, latch, false) {
        let bound = general(bucket.bound, 32);
        // Writing to a string does not fail.
        writeln!(lines, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {}", bucket.cumulative)
            .unwrap_or_default();
    }
    writeln!(lines, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}").unwrap_or_default();
    lines + &sum_lines(name, labels, latch.map(|latch| &latch.cumulative))
}

/// A summary shows the last interval.
fn quantile_lines(name: &str, labels: &str, latch: Option<&Latch>) -> String {
    let mut lines = String::new();
    let comma = comma(labels);
    for at in QUANTILES {
        let value = latch.map_or(f64::NAN, |latch| latch.interval.quantile(at));
        let quantile = general(at / 100.0, 6);
        // Writing to a string does not fail.
        writeln!(lines, "{name}{{{labels}{comma}quantile=\"{quantile}\"}} {}", general(value, 32))
            .unwrap_or_default();
    }
    lines + &sum_lines(name, labels, latch.map(|latch| &latch.interval))
}

fn sum_lines(name: &str, labels: &str, totals: Option<&Totals>) -> String {
    let (sum, count) = totals.map_or((0.0, 0), |totals| (totals.sum(), totals.count()));
    format!("{name}_sum{{{labels}}} {}\n{name}_count{{{labels}}} {count}\n", general(sum, 32))
}
