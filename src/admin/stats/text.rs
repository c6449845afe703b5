//! Statistics as lines `name: value`.

use std::fmt::Write;

use bytes::Bytes;

use super::PIECE;
use super::histogram::{buckets, quantiles};
use super::number::{general, shortest};
use super::params::{Buckets, Params};
use crate::observability::stats::histogram::{Latch, Totals};
use crate::observability::stats::{Cursor, Registry, Value};

/// The answer, piece by piece: texts, then counters and gauges, then histograms, each sorted by name.
pub(super) struct Pieces {
    registry: Registry,
    params: Params,
    pass: Pass,
    cursor: Cursor,
}

/// What a walk through all statistics shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Texts.
    Texts,
    /// Counters and gauges.
    Numbers,
    /// Histograms.
    Histograms,
    /// Nothing: all is shown.
    Done,
}

impl Pass {
    pub(super) fn shows(self, value: &Value) -> bool {
        match value {
            Value::Text(_) => self == Pass::Texts,
            Value::Counter(_) | Value::Gauge(_) => self == Pass::Numbers,
            Value::Histogram(..) => self == Pass::Histograms,
        }
    }

    pub(super) fn next(self) -> Self {
        match self {
            Pass::Texts => Pass::Numbers,
            Pass::Numbers => Pass::Histograms,
            Pass::Histograms | Pass::Done => Pass::Done,
        }
    }
}

impl Pieces {
    pub(super) fn new(registry: Registry, params: Params) -> Self {
        let cursor = registry.cursor();
        Pieces { registry, params, pass: Pass::Texts, cursor }
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut out = String::new();
        while out.len() < PIECE && self.pass != Pass::Done {
            let Pieces { registry, params, pass, cursor } = self;
            let more = cursor.next(|stat| {
                if !pass.shows(&stat.value) {
                    return;
                }
                let name = stat.full_name();
                if params.wants(&name, &stat.value, stat.block, registry) {
                    line(&name, &stat.value, params.buckets, registry, &mut out);
                }
            });
            if !more {
                self.pass = self.pass.next();
                self.cursor = self.registry.cursor();
            }
        }
        (!out.is_empty()).then(|| out.into())
    }
}

fn line(name: &str, value: &Value, form: Buckets, registry: &Registry, out: &mut String) {
    // Writing to a string does not fail.
    match value {
        Value::Counter(value) => writeln!(out, "{name}: {value}"),
        Value::Gauge(value) => writeln!(out, "{name}: {}", value.unwrap_or(0)),
        Value::Text(text) => writeln!(out, "{name}: \"{}\"", text.as_deref().unwrap_or_default()),
        Value::Histogram(_, latch) => {
            let shown = histogram(name, latch.as_deref(), form, registry);
            writeln!(out, "{name}:{shown}")
        }
    }
    .unwrap_or_default();
}

fn histogram(name: &str, latch: Option<&Latch>, form: Buckets, registry: &Registry) -> String {
    match (form, latch) {
        (Buckets::Unset | Buckets::Summary | Buckets::Native, None) => " No recorded values".to_owned(),
        (Buckets::Unset | Buckets::Summary | Buckets::Native, latch) => summary(latch),
        (Buckets::Cumulative | Buckets::Disjoint, latch) => {
            let buckets = buckets(registry, name, latch, form == Buckets::Disjoint);
            let shown = buckets.iter().map(|bucket| {
                format!(" B{}({},{})", general(bucket.bound, 6), bucket.interval, bucket.cumulative)
            });
            shown.collect()
        }
        (Buckets::Detailed, None) => " No recorded values".to_owned(),
        (Buckets::Detailed, Some(latch)) => format!(
            "\n  totals={}\n  intervals={}\n  summary={}",
            bins(&latch.cumulative),
            bins(&latch.interval),
            summary(Some(latch)).trim_start(),
        ),
    }
}

/// ` P0(interval,cumulative) P25(…`
fn summary(latch: Option<&Latch>) -> String {
    let shown = quantiles(latch).map(|quantile| {
        format!(" P{}({},{})", quantile.at, shortest(quantile.interval), shortest(quantile.cumulative))
    });
    shown.collect()
}

/// `lower,width:count, …`
fn bins(totals: &Totals) -> String {
    let shown = totals
        .bins()
        .iter()
        .map(|(bin, count)| format!("{},{}:{count}", general(bin.lower(), 6), general(bin.width(), 6)));
    shown.collect::<Vec<_>>().join(", ")
}
