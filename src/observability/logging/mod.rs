//! The application log, in Envoy's form: what `-l`, `--component-log-level`, `--log-format`,
//! `--log-format-escaped`, `--log-path` and the admin endpoint `/logging` speak about.
//!
//! Code logs with the macros of `tracing`. The logger is the event's target where that is one of Envoy's
//! names (`info!(target: "upstream", …)`), or else follows from the module. Fields of an event come out
//! as Envoy's tags, `[Tags: "cluster":"app"] message`. An error with the field `critical` is critical.
//! Spans are not recorded: what a line needs stands in the line.
//!
//! A line costs one `write` by the thread that logs. Lines below the threshold cost one load.

mod component;
mod escape;
mod level;
mod levels;
mod pattern;
mod record;
mod sink;
#[cfg(test)]
mod tests;
mod time;

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Zoned;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

pub use component::{COMPONENTS, by_name};
pub use level::{Level, UnknownLevel};
pub use levels::{Levels, UnknownComponent};
pub use pattern::DEFAULT_FORMAT;
pub use sink::{OpenError, Sink};

use pattern::Pattern;
use record::Record;

/// The layer that writes events in Envoy's form.
pub struct Log {
    levels: Levels,
    sink: Sink,
    form: Form,
    escaped: bool,
}

/// The form of lines, which may be changed while the log is in use. A clone is another handle to the same.
#[derive(Clone)]
pub struct Form(Arc<ArcSwap<Pattern>>);

impl Form {
    /// The form that this pattern of spdlog's describes.
    pub fn new(format: &str) -> Self {
        Form(Arc::new(ArcSwap::from_pointee(Pattern::new(format))))
    }

    /// Takes another pattern from the next line on.
    pub fn set(&self, format: &str) {
        self.0.store(Arc::new(Pattern::new(format)));
    }
}

impl Log {
    /// A log with the thresholds `levels`, written to `sink` in this form; `escaped` writes everything unprintable as C escape sequences.
    pub fn new(levels: Levels, sink: Sink, form: Form, escaped: bool) -> Self {
        Self { levels, sink, form, escaped }
    }

    fn line(&self, event: &Event<'_>) -> String {
        let mut line = String::with_capacity(160);
        self.form.0.load().format(&Record::new(event, Zoned::now()), &mut line);
        if self.escaped { escape::c_style(&line) } else { line }
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_event() && self.levels.enabled(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_event() && self.levels.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(self.levels.max_level_hint())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.sink.write(&self.line(event));
    }
}
