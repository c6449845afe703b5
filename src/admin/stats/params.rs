//! Which statistics are wanted, and in which form.

use regex::Regex;

use crate::admin::{Query, pattern};
use crate::observability::stats::{Block, Registry, Value};

/// The parameters of `/stats`.
#[derive(Debug)]
pub(super) struct Params {
    /// `format`
    pub(super) format: Format,
    /// `type`; all when `None`.
    pub(super) kind: Option<Wanted>,
    /// `histogram_buckets`
    pub(super) buckets: Buckets,
    /// `text_readouts`: texts as Prometheus gauges.
    pub(super) text_readouts: bool,
    /// `hidden=only`: none is hidden.
    only_hidden: bool,
    used_only: bool,
    filter: Option<Regex>,
    invert_filter: bool,
}

/// How they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A line for each.
    Text,
    /// The lines in a page for browsers.
    Html,
    /// One object.
    Json,
    /// Prometheus' text format.
    Prometheus,
}

/// Which kind is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Counters.
    Counters,
    /// Gauges.
    Gauges,
    /// Histograms.
    Histograms,
    /// Texts.
    TextReadouts,
}

/// How histograms are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Buckets {
    /// Nothing said: quantiles, or buckets for Prometheus.
    Unset,
    /// Quantiles.
    Summary,
    /// Values up to each bound.
    Cumulative,
    /// Values between the bounds.
    Disjoint,
    /// The bins themselves.
    Detailed,
    /// Prometheus' native histograms, which its text format does not have.
    Native,
}

impl Params {
    /// Reads the parameters; `format` is what the path says, if it says it.
    pub(super) fn parse(query: &Query, format: Option<Format>) -> Result<Self, String> {
        let filter = query.value("filter").map(pattern::compile).transpose();
        let params = Params {
            used_only: query.has("usedonly"),
            filter: filter.map_err(|error| format!("Invalid re2 regex: {error}"))?,
            invert_filter: query.has("invert_filter"),
            buckets: buckets(query)?,
            kind: kind(query)?,
            only_hidden: only_hidden(query)?,
            format: match format {
                Some(format) => format,
                None => self::format(query)?,
            },
            text_readouts: query.has("text_readouts"),
        };
        if params.buckets == Buckets::Native && params.format != Format::Prometheus {
            return Err("Invalid histogram_buckets type for non prometheus stats type".to_owned());
        }
        Ok(params)
    }

    /// Whether the statistic of this name and value is shown.
    pub(super) fn wants(&self, name: &str, value: &Value, block: &Block, registry: &Registry) -> bool {
        let kind = match value {
            Value::Counter(_) => Wanted::Counters,
            Value::Gauge(_) => Wanted::Gauges,
            Value::Histogram(..) => Wanted::Histograms,
            Value::Text(_) => Wanted::TextReadouts,
        };
        !self.only_hidden
            && self.kind.is_none_or(|wanted| wanted == kind)
            && (!self.used_only || is_used(value))
            && self.filter.as_ref().is_none_or(|filter| filter.is_match(name) != self.invert_filter)
            && registry.keeps(block, name)
    }
}

/// Whether it was written to. A counter that was reset counts as new.
fn is_used(value: &Value) -> bool {
    match value {
        Value::Counter(value) => *value > 0,
        Value::Gauge(value) => value.is_some(),
        Value::Histogram(_, latch) => latch.is_some(),
        Value::Text(text) => text.as_ref().is_some_and(|text| !text.is_empty()),
    }
}

fn buckets(query: &Query) -> Result<Buckets, String> {
    match query.value("histogram_buckets") {
        None => Ok(Buckets::Unset),
        Some("summary" | "none") => Ok(Buckets::Summary),
        Some("cumulative") => Ok(Buckets::Cumulative),
        Some("disjoint") => Ok(Buckets::Disjoint),
        Some("detailed") => Ok(Buckets::Detailed),
        Some("prometheusnative") => Ok(Buckets::Native),
        Some(_) => {
            Err("usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary|prometheusnative)\n"
                .to_owned())
        }
    }
}

fn only_hidden(query: &Query) -> Result<bool, String> {
    match query.value("hidden") {
        None | Some("include" | "exclude") => Ok(false),
        Some("only") => Ok(true),
        Some(_) => Err("usage: /stats?hidden=(include|only|exclude)\n\n".to_owned()),
    }
}

fn kind(query: &Query) -> Result<Option<Wanted>, String> {
    match query.value("type") {
        None | Some("All") => Ok(None),
        Some("Counters") => Ok(Some(Wanted::Counters)),
        Some("Gauges") => Ok(Some(Wanted::Gauges)),
        Some("Histograms") => Ok(Some(Wanted::Histograms)),
        Some("TextReadouts") => Ok(Some(Wanted::TextReadouts)),
        Some(_) => Err("invalid &type= param".to_owned()),
    }
}

fn format(query: &Query) -> Result<Format, String> {
    match query.value("format") {
        None | Some("text") => Ok(Format::Text),
        Some("json") => Ok(Format::Json),
        Some("prometheus") => Ok(Format::Prometheus),
        Some("html" | "active-html") => Ok(Format::Html),
        Some(_) => Err("usage: /stats?format=(html|active-html|json|prometheus|text)\n\n".to_owned()),
    }
}
