//! Statistics by metric: all series of one name together, as Prometheus wants them.
//!
//! Blocks of one kind whose prefixes differ only in tags share the list of their series, so that what a walk keeps
//! grows with the number of clusters and not with that of their statistics.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use crate::config::bootstrap::{StatsConfig, TagValue};

use super::block::Block;
use super::codes::NO_CODE;
use super::cursor::{Value, read};
use super::field::{Kind, Unit};
use super::tags::{self, Extracted};

/// A block and the tags of its prefix.
#[derive(Debug)]
pub struct Tagged {
    /// The block.
    pub block: Arc<Block>,
    /// Tags of all statistics in it.
    pub tags: Vec<(String, String)>,
}

/// A metric's kind, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A text, shown as a gauge with a label.
    Text,
    /// A distribution.
    Histogram,
}

/// Where a metric's values come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The blocks, sorted by prefix.
    pub series: Rc<[Tagged]>,
    index: usize,
    part: Part,
}

/// What of a field a metric shows.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// All of it.
    Whole,
    /// Responses by code.
    Code,
    /// Responses by class.
    Class,
    /// All responses.
    Completed,
}

/// A value of a metric.
#[derive(Debug)]
pub struct Point {
    /// What follows the block's prefix in the statistic's name.
    pub name: String,
    /// A tag besides those of the block.
    pub tag: Option<(&'static str, String)>,
    /// The value.
    pub value: Value,
}

/// All metrics, by kind and name (with dots).
pub type Metrics = BTreeMap<(MetricKind, String), Vec<Source>>;

/// Groups statistics by metric.
pub fn metrics(blocks: Vec<Arc<Block>>, config: &StatsConfig) -> Metrics {
    let by_field = config.tags.iter().any(|tag| matches!(tag.value, TagValue::Regex(_)));
    let mut metrics = Metrics::new();
    if by_field {
        // A configured expression may look at the whole name, so nothing can be shared.
        for block in blocks {
            for (index, field) in block.layout().fields.iter().enumerate() {
                let full = tags::extract(config, &format!("{}{}", block.prefix(), field.name));
                let series = Rc::new([Tagged { block: Arc::clone(&block), tags: full.tags }]);
                add(&mut metrics, full.name, field.kind, index, series);
            }
        }
        return metrics;
    }
    let mut groups: HashMap<(&str, String), Vec<Tagged>> = HashMap::new();
    for block in blocks {
        let Extracted { name, tags } = tags::extract(config, block.prefix());
        groups.entry((block.layout().name, name)).or_default().push(Tagged { block, tags });
    }
    for ((_, prefix), series) in groups {
        let layout = series[0].block.layout();
        let series: Rc<[Tagged]> = series.into();
        for (index, field) in layout.fields.iter().enumerate() {
            add(&mut metrics, format!("{prefix}{}", field.name), field.kind, index, Rc::clone(&series));
        }
    }
    metrics
}

fn add(metrics: &mut Metrics, name: String, kind: Kind, index: usize, series: Rc<[Tagged]>) {
    let mut push = |kind, name, part| {
        metrics.entry((kind, name)).or_default().push(Source { series: Rc::clone(&series), index, part });
    };
    match kind {
        Kind::Counter | Kind::LazyCounter => match class(&name) {
            // `downstream_rq_5xx` is one of five fields of the metric `downstream_rq_xx`.
            Some(at) => push(MetricKind::Counter, format!("{}xx", &name[..at]), Part::Whole),
            None => push(MetricKind::Counter, name, Part::Whole),
        },
        Kind::Gauge => push(MetricKind::Gauge, name, Part::Whole),
        Kind::Text => push(MetricKind::Text, name, Part::Whole),
        Kind::Histogram(_) | Kind::LazyHistogram(_) => push(MetricKind::Histogram, name, Part::Whole),
        Kind::Codes | Kind::LazyCodes => {
            push(MetricKind::Counter, format!("{name}_xx"), Part::Class);
            push(MetricKind::Counter, format!("{name}_completed"), Part::Completed);
            push(MetricKind::Counter, name, Part::Code);
        }
    }
}

/// Where the digit of a class stands in a name like `downstream_rq_5xx`.
fn class(name: &str) -> Option<usize> {
    let at = name.strip_suffix("xx")?.len().checked_sub(1)?;
    (name.as_bytes()[at].is_ascii_digit() && name[..at].ends_with("_rq_")).then_some(at)
}

impl Source {
    /// The values that a block has for this metric.
    pub fn points(&self, block: &Block) -> Vec<Point> {
        let field = block.layout().fields[self.index];
        let point = |name: String, tag, value| Point { name, tag, value };
        let slot = block.layout().slot(self.index);
        match self.part {
            Part::Whole => {
                let value = read(block, self.index);
                if matches!((field.kind, &value), (Kind::LazyHistogram(_), Value::Histogram(_, None)))
                    && block.recorded(slot).is_none()
                {
                    return Vec::new();
                }
                if let (Kind::LazyCounter, Value::Counter(0)) = (field.kind, &value) {
                    return Vec::new();
                }
                let tag = class(field.name)
                    .filter(|_| field.kind == Kind::Counter)
                    .map(|at| (tags::RESPONSE_CODE_CLASS, field.name[at..=at].to_owned()));
                vec![point(field.name.to_owned(), tag, value)]
            }
            Part::Code => {
                let codes = block.codes(slot).into_iter().filter(|(code, _)| *code != NO_CODE);
                codes
                    .map(|(code, count)| {
                        let tag = (tags::RESPONSE_CODE, code.to_string());
                        point(format!("{}_{code}", field.name), Some(tag), Value::Counter(count))
                    })
                    .collect()
            }
            Part::Class => {
                let mut classes = BTreeMap::new();
                for (code, count) in block.codes(slot) {
                    *classes.entry(code / 100).or_insert(0) += count;
                }
                let classes = classes.into_iter().filter(|(class, _)| (1..=5).contains(class));
                classes
                    .map(|(class, count)| {
                        let tag = (tags::RESPONSE_CODE_CLASS, class.to_string());
                        point(format!("{}_{class}xx", field.name), Some(tag), Value::Counter(count))
                    })
                    .collect()
            }
            Part::Completed => {
                let codes = block.codes(slot);
                let shown = field.kind == Kind::Codes || !codes.is_empty();
                let sum = Value::Counter(codes.values().sum());
                shown.then(|| point(format!("{}_completed", field.name), None, sum)).into_iter().collect()
            }
        }
    }

    /// The unit, if this is a histogram.
    pub fn unit(&self) -> Unit {
        match self.series.first().map(|first| first.block.layout().fields[self.index].kind) {
            Some(Kind::Histogram(unit) | Kind::LazyHistogram(unit)) => unit,
            _ => Unit::Unspecified,
        }
    }
}
