//! Values of single flags: what is allowed, and Envoy's words for what is not.

use super::parse::Parsed;
use super::{CommandLineError, refused};
use crate::observability::logging::{COMPONENTS, Level, UnknownComponent, by_name};

/// `--mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Check the configuration, then serve traffic.
    #[default]
    Serve,
    /// Check the configuration and exit.
    Validate,
}

/// `--drain-strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DrainStrategy {
    /// Connections are told to end one after the other, spread over the drain time.
    #[default]
    Gradual,
    /// All connections are told to end at once.
    Immediate,
}

/// `--local-address-ip-version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpVersion {
    /// Version 4.
    #[default]
    V4,
    /// Version 6.
    V6,
}

/// `--stats-tag`: a tag that every statistic gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsTag {
    /// ASCII letters and digits, at least one.
    pub name: String,
    /// Anything without a dot.
    pub value: String,
}

pub(super) fn mode(parsed: &Parsed) -> Result<Mode, CommandLineError> {
    match parsed.text("mode") {
        "serve" => Ok(Mode::Serve),
        "validate" => Ok(Mode::Validate),
        "" if !parsed.has("mode") => Ok(Mode::default()),
        other => Err(refused(&format!("unknown mode '{other}'"))),
    }
}

pub(super) fn drain_strategy(parsed: &Parsed) -> Result<DrainStrategy, CommandLineError> {
    match parsed.text("drain-strategy") {
        "gradual" => Ok(DrainStrategy::Gradual),
        "immediate" => Ok(DrainStrategy::Immediate),
        "" if !parsed.has("drain-strategy") => Ok(DrainStrategy::default()),
        other => Err(refused(&format!("unknown drain-strategy '{other}'"))),
    }
}

pub(super) fn ip_version(parsed: &Parsed) -> Result<IpVersion, CommandLineError> {
    match parsed.text("local-address-ip-version") {
        "v4" => Ok(IpVersion::V4),
        "v6" => Ok(IpVersion::V6),
        "" if !parsed.has("local-address-ip-version") => Ok(IpVersion::default()),
        other => Err(refused(&format!("unknown IP address version '{other}'"))),
    }
}

pub(super) fn log_level(parsed: &Parsed) -> Result<Level, CommandLineError> {
    if parsed.has("log-level") { level(parsed.text("log-level")) } else { Ok(Level::Info) }
}

pub(super) fn log_format(parsed: &Parsed) -> Option<String> {
    parsed.has("log-format").then(|| parsed.text("log-format").to_owned())
}

/// `--component-log-level upstream:debug,config:trace`.
pub(super) fn component_log_levels(parsed: &Parsed) -> Result<Vec<(&'static str, Level)>, CommandLineError> {
    let text = parsed.text("component-log-level");
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(component_log_level).collect()
}

fn component_log_level(pair: &str) -> Result<(&'static str, Level), CommandLineError> {
    let (name, word) = pair
        .split_once(':')
        .filter(|(_, word)| !word.contains(':'))
        .ok_or_else(|| refused(&format!("component log level not correctly specified '{pair}'")))?;
    let level = level(word)?;
    let index = by_name(name).ok_or_else(|| refused(&UnknownComponent(name.to_owned()).to_string()))?;
    Ok((COMPONENTS[index], level))
}

fn level(word: &str) -> Result<Level, CommandLineError> {
    word.parse().map_err(|unknown: crate::observability::logging::UnknownLevel| refused(&unknown.to_string()))
}

pub(super) fn stats_tags(parsed: &Parsed) -> Result<Vec<StatsTag>, CommandLineError> {
    parsed.texts("stats-tag").iter().map(|text| stats_tag(text)).collect()
}

fn stats_tag(text: &str) -> Result<StatsTag, CommandLineError> {
    let misformatted = |detail: &str| refused(&format!("misformatted stats-tag '{text}'{detail}"));
    let (name, value) = text.split_once(':').ok_or_else(|| misformatted(""))?;
    let invalid = |part: &str| misformatted(&format!(" contains invalid char in '{part}'"));
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(invalid(name));
    }
    if value.contains('.') {
        return Err(invalid(value));
    }
    Ok(StatsTag { name: name.to_owned(), value: value.to_owned() })
}

/// The permissions of the hot restart socket, which an abstract one (`@name`) has not.
pub(super) fn socket_mode(parsed: &Parsed, socket_path: &str) -> Result<u32, CommandLineError> {
    const DEFAULT: &str = "600";
    if socket_path.starts_with('@') {
        return Ok(0);
    }
    let text = if parsed.has("socket-mode") { parsed.text("socket-mode") } else { DEFAULT };
    u32::from_str_radix(text, 8).map_err(|_| refused(&format!("invalid socket-mode '{text}'")))
}
