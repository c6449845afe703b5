//! Statistics as one JSON object.

use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;

use super::PIECE;
use super::histogram::{buckets, quantiles};
use super::number::json;
use super::params::{Buckets, Params};
use super::text::Pass;
use crate::observability::stats::histogram::{Latch, QUANTILES, Totals};
use crate::observability::stats::{Cursor, Registry, Value};

/// The answer, piece by piece.
pub(super) struct Pieces {
    registry: Registry,
    params: Params,
    pass: Pass,
    cursor: Cursor,
    /// Whether something stands before, so that a comma is due.
    follows: bool,
    /// Whether the list of histograms is open.
    in_histograms: bool,
    started: bool,
}

impl Pieces {
    pub(super) fn new(registry: Registry, params: Params) -> Self {
        let cursor = registry.cursor();
        Pieces {
            registry,
            params,
            pass: Pass::Texts,
            cursor,
            follows: false,
            in_histograms: false,
            started: false,
        }
    }

    fn entry(&mut self, name: &str, value: &Value, out: &mut String) {
        if matches!(value, Value::Histogram(..)) && !self.in_histograms {
            out.push_str(if self.follows { ",{\"histograms\":" } else { "{\"histograms\":" });
            out.push_str(&opening(self.params.buckets));
            (self.in_histograms, self.follows) = (true, false);
        }
        if std::mem::replace(&mut self.follows, true) {
            out.push(',');
        }
        let name_json = Json::from(name);
        // Writing to a string does not fail.
        match value {
            Value::Counter(value) => write!(out, "{{\"name\":{name_json},\"value\":{value}}}"),
            Value::Gauge(value) => write!(out, "{{\"name\":{name_json},\"value\":{}}}", value.unwrap_or(0)),
            Value::Text(text) => {
                let text = Json::from(text.as_deref().unwrap_or_default());
                write!(out, "{{\"name\":{name_json},\"value\":{text}}}")
            }
            Value::Histogram(_, latch) => {
                let content = histogram(name, latch.as_deref(), self.params.buckets, &self.registry);
                write!(out, "{{\"name\":{name_json},{content}}}")
            }
        }
        .unwrap_or_default();
    }

    fn end(&self, out: &mut String) {
        if self.in_histograms {
            out.push_str(match self.params.buckets {
                Buckets::Unset | Buckets::Summary | Buckets::Detailed | Buckets::Native => "]}}",
                Buckets::Cumulative | Buckets::Disjoint => "]}",
            });
        }
        out.push_str("]}");
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.pass == Pass::Done {
            return None;
        }
        let mut out = String::new();
        if !std::mem::replace(&mut self.started, true) {
            out.push_str("{\"stats\":[");
        }
        while out.len() < PIECE && self.pass != Pass::Done {
            let mut found = None;
            let more = self.cursor.next(|stat| {
                if self.pass.shows(&stat.value) {
                    found = Some((stat.full_name(), stat.value, Arc::clone(stat.block)));
                }
            });
            if let Some((name, value, block)) = found
                && self.params.wants(&name, &value, &block, &self.registry)
            {
                self.entry(&name, &value, &mut out);
            }
            if !more {
                self.pass = self.pass.next();
                self.cursor = self.registry.cursor();
            }
        }
        if self.pass == Pass::Done {
            self.end(&mut out);
        }
        Some(out.into())
    }
}

/// What stands before the list of histograms.
fn opening(form: Buckets) -> String {
    let percentiles = QUANTILES.map(json).join(",");
    match form {
        Buckets::Unset | Buckets::Summary | Buckets::Native => {
            format!("{{\"supported_quantiles\":[{percentiles}],\"computed_quantiles\":[")
        }
        Buckets::Detailed => format!("{{\"supported_percentiles\":[{percentiles}],\"details\":["),
        Buckets::Cumulative | Buckets::Disjoint => "[".to_owned(),
    }
}

fn histogram(name: &str, latch: Option<&Latch>, form: Buckets, registry: &Registry) -> String {
    match form {
        Buckets::Unset | Buckets::Summary | Buckets::Native => format!("\"values\":[{}]", percentiles(latch)),
        Buckets::Cumulative | Buckets::Disjoint => {
            let buckets = buckets(registry, name, latch, form == Buckets::Disjoint);
            let shown = buckets.iter().map(|bucket| {
                format!(
                    "{{\"upper_bound\":{},\"interval\":{},\"cumulative\":{}}}",
                    json(bucket.bound),
                    bucket.interval,
                    bucket.cumulative
                )
            });
            format!("\"buckets\":[{}]", shown.collect::<Vec<_>>().join(","))
        }
        Buckets::Detailed => {
            let none = Totals::default();
            let (totals, intervals) =
                latch.map_or((&none, &none), |latch| (&latch.cumulative, &latch.interval));
            format!(
                "\"totals\":[{}],\"intervals\":[{}],\"percentiles\":[{}]",
                bins(totals),
                bins(intervals),
                percentiles(latch)
            )
        }
    }
}

fn percentiles(latch: Option<&Latch>) -> String {
    let shown = quantiles(latch).map(|quantile| {
        format!("{{\"cumulative\":{},\"interval\":{}}}", json(quantile.cumulative), json(quantile.interval))
    });
    shown.collect::<Vec<_>>().join(",")
}

fn bins(totals: &Totals) -> String {
    let shown = totals.bins().iter().map(|(bin, count)| {
        format!("{{\"lower_bound\":{},\"width\":{},\"count\":{count}}}", json(bin.lower()), json(bin.width()))
    });
    shown.collect::<Vec<_>>().join(",")
}
