//! One log line before it is formatted.

use std::fmt::{self, Write};

use jiff::Zoned;
use tracing::Event;
use tracing::field::{Field, Visit};

use super::component::{COMPONENTS, by_target};
use super::escape;
use super::level::Level;
use super::levels::{CRITICAL, severity};

/// What happened, where and when.
pub(super) struct Record<'a> {
    /// Local time, as Envoy's log uses it.
    pub(super) time: Zoned,
    pub(super) level: Level,
    pub(super) component: &'static str,
    /// Path of the source file, empty when unknown.
    pub(super) file: &'a str,
    pub(super) line: u32,
    /// The module; Envoy has the function here.
    pub(super) module: &'a str,
    pub(super) message: String,
    /// The fields of the event as `"name":"value"`, separated by commas: what Envoy calls tags.
    pub(super) tags: String,
}

impl<'a> Record<'a> {
    /// Takes the fields out of `event`.
    pub(super) fn new(event: &Event<'a>, time: Zoned) -> Self {
        let metadata = event.metadata();
        let mut record = Self {
            time,
            level: severity(metadata),
            component: COMPONENTS[by_target(metadata.target())],
            file: metadata.file().unwrap_or_default(),
            line: metadata.line().unwrap_or_default(),
            module: metadata.module_path().unwrap_or_default(),
            message: String::new(),
            tags: String::new(),
        };
        event.record(&mut record);
        record
    }

    /// Appends `[Tags: …] message`, the payload as Envoy's `%v` has it.
    pub(super) fn write_payload(&self, out: &mut String) {
        if !self.tags.is_empty() {
            out.push_str("[Tags: ");
            out.push_str(&self.tags);
            out.push_str("] ");
        }
        out.push_str(&self.message);
    }

    fn tag(&mut self, field: &Field, value: &str) {
        if field.name() == CRITICAL {
            return;
        }
        if !self.tags.is_empty() {
            self.tags.push(',');
        }
        self.tags.push('"');
        self.tags.push_str(field.name());
        self.tags.push_str("\":\"");
        escape::json(value, &mut self.tags);
        self.tags.push('"');
    }
}

impl Visit for Record<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            write!(self.message, "{value:?}").unwrap_or_default();
        } else {
            self.tag(field, &format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            self.tag(field, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.tag(field, &value.to_string());
    }
}
