//! The command line: Envoy 1.40's flags, spelt, defaulted and refused as Envoy does, and two subcommands.
//!
//! `flags` is the table of flags, `parse` the rules of the words, `usage` the texts for people. Where we
//! differ: a negative number is refused (Envoy wraps it around), the message for an unknown
//! `--drain-strategy` names the strategy (Envoy names the mode), the base id is written although there is no
//! hot restart, and `--mode init_only`, which Envoy accepts
//! without documenting it, is refused.

mod cpus;
mod flags;
mod json;
mod parse;
#[cfg(test)]
mod tests;
mod usage;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use crate::check;
use crate::observability::logging::Level;
use flags::Support;
use parse::{Outcome, Parsed};

pub use values::{DrainStrategy, IpVersion, Mode, StatsTag};

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Serve traffic, or validate the configuration, see [`Options::mode`].
    Proxy(Box<Options>),
    /// `dragoman demo`: serve with a control plane and upstreams of our own.
    Demo(Box<Options>),
    /// `dragoman ready`: ask the admin interface at this address for `/ready`.
    Ready(String),
    /// `dragoman check`: say what would become of configurations.
    Check(Box<check::Options>),
    /// Print this to standard output and exit with 0.
    Print(String),
    /// Print this to standard error and exit with 0.
    PrintError(String),
}

/// A command line that cannot be obeyed: the text for standard error; the exit code is 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CommandLineError(String);

/// The flags of a process, checked, with their defaults filled in. Immutable from start to end.
///
/// Each field has the name of its flag, and of its field in `envoy.admin.v3.CommandLineOptions` unless it
/// says otherwise. An absent path or text is empty there and `None` or empty here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The configuration file; its extension tells its form. `-c`.
    pub config_path: Option<PathBuf>,
    /// YAML that is merged over the configuration file.
    pub config_yaml: Option<String>,
    /// Whether to serve after the configuration was found good.
    pub mode: Mode,
    /// Number of workers, at least 1; by default as many as there are CPUs to use.
    pub concurrency: u32,
    /// Accept unknown fields in the bootstrap. Also `--allow-unknown-fields`.
    pub allow_unknown_static_fields: bool,
    /// Refuse unknown fields in what xDS delivers.
    pub reject_unknown_dynamic_fields: bool,
    /// Neither count nor log unknown fields in what xDS delivers.
    pub ignore_unknown_dynamic_fields: bool,
    /// Do not log deprecated fields.
    pub skip_deprecated_logs: bool,
    /// Node id; overrides the bootstrap's.
    pub service_node: String,
    /// Cluster of the node; overrides the bootstrap's.
    pub service_cluster: String,
    /// Zone of the node's locality; overrides the bootstrap's.
    pub service_zone: String,
    /// Where to write the address of the admin interface once it is bound.
    pub admin_address_path: Option<PathBuf>,
    /// Which address of this host stands for it.
    pub local_address_ip_version: IpVersion,
    /// Threshold of all components of the application log; info. `-l`.
    pub log_level: Level,
    /// Thresholds of single components, in the order given; a later one wins.
    pub component_log_levels: Vec<(&'static str, Level)>,
    /// Form of the application log's lines, a pattern of spdlog's; Envoy's default, or the bootstrap's, when absent.
    pub log_format: Option<String>,
    /// Write the application log with C escape sequences.
    pub log_format_escaped: bool,
    /// Where the application log goes; to standard error when absent.
    pub log_path: Option<PathBuf>,
    /// How long listeners and their connections take to drain; 600 s. `--drain-time-s`.
    pub drain_time: Duration,
    /// Whether draining connections end one after the other over that time, or all at once.
    pub drain_strategy: DrainStrategy,
    /// How long access logs may hold lines back; 10 s. `--file-flush-interval-msec`.
    pub file_flush_interval: Duration,
    /// How many bytes access logs may hold back; 64 KiB. `--file-flush-min-size-kb`.
    pub file_flush_min_size_bytes: u64,
    /// Tags of every statistic, in the order given.
    pub stats_tags: Vec<StatsTag>,
    /// Reported and written to [`base_id_path`](Self::base_id_path); nothing depends on it.
    pub base_id: u32,
    /// Where to write the base id at start.
    pub base_id_path: Option<PathBuf>,
    /// What was given without leading to anything, for `/server_info`.
    pub noted: Noted,
    /// One line for each flag that was given and changes nothing, to be logged at start.
    pub notes: Vec<String>,
}

/// Values of flags that are accepted and reported, and have no effect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Noted {
    /// The base id need not be chosen: nothing is shared.
    pub use_dynamic_base_id: bool,
    /// Hot restart is always disabled.
    pub disable_hot_restart: bool,
    /// Hot restart.
    pub restart_epoch: u32,
    /// Hot restart; 900 s in Envoy.
    pub parent_shutdown_time: Duration,
    /// Hot restart.
    pub skip_hot_restart_on_no_parent: bool,
    /// Hot restart.
    pub skip_hot_restart_parent_stats: bool,
    /// Hot restart.
    pub socket_path: String,
    /// Hot restart; permission bits, 0 for an abstract socket.
    pub socket_mode: u32,
    /// The default anyway.
    pub cpuset_threads: bool,
    /// No mutexes to trace.
    pub enable_mutex_tracing: bool,
    /// No core dumps.
    pub enable_core_dump: bool,
    /// Levels are set by component only.
    pub enable_fine_grain_logging: bool,
    /// Stack traces do not go to the log.
    pub log_stacktrace_single_entry: bool,
    /// Extensions cannot be disabled.
    pub disabled_extensions: Vec<String>,
}

const DEFAULT_READY_ADDRESS: &str = "127.0.0.1:9901";
const DEFAULT_SOCKET_PATH: &str = "@envoy_domain_socket";
const DEFAULT_DRAIN_TIME_S: u32 = 600;
const DEFAULT_PARENT_SHUTDOWN_TIME_S: u32 = 900;
const DEFAULT_FLUSH_INTERVAL_MS: u32 = 10_000;
const DEFAULT_FLUSH_MIN_SIZE_KB: u32 = 64;

/// Reads a command line, the program's name first.
///
/// # Errors
///
/// When a word is not understood or a value is not allowed.
pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Command, CommandLineError> {
    let mut words = words.into_iter();
    let program = words.next().unwrap_or_else(|| "dragoman".to_owned());
    let mut words: Vec<String> = words.collect();
    match words.first().map(String::as_str) {
        Some("ready") => ready(&words[1..]),
        Some("check") => check(&words[1..]),
        Some("demo") => {
            words.remove(0);
            flags(&program, &words)?.into_command(Command::Demo)
        }
        _ => flags(&program, &words)?.into_command(Command::Proxy),
    }
}

/// Flags understood word by word, or a text to print instead of running.
enum Words {
    Flags(Parsed),
    Print(String),
}

fn flags(program: &str, words: &[String]) -> Result<Words, CommandLineError> {
    match parse::parse(words) {
        Ok(Outcome::Flags(parsed)) => Ok(Words::Flags(parsed)),
        Ok(Outcome::Help) => Ok(Words::Print(usage::help(program))),
        Ok(Outcome::Version) => Ok(Words::Print(usage::version(program))),
        Err(wrong) => Err(CommandLineError(usage::failure(program, &wrong.argument, &wrong.error))),
    }
}

impl Words {
    fn into_command(self, run: fn(Box<Options>) -> Command) -> Result<Command, CommandLineError> {
        let parsed = match self {
            Self::Print(text) => return Ok(Command::Print(text)),
            Self::Flags(parsed) => parsed,
        };
        let options = Options::from_flags(&parsed)?;
        if parsed.has("hot-restart-version") {
            return Ok(Command::PrintError("disabled".to_owned()));
        }
        Ok(run(Box::new(options)))
    }
}

fn check(words: &[String]) -> Result<Command, CommandLineError> {
    match check::Options::parse_words(words) {
        Ok(options) => Ok(Command::Check(Box::new(options))),
        Err(help) if help.wanted => Ok(Command::Print(help.to_string())),
        Err(error) => Err(CommandLineError(error.to_string())),
    }
}

fn ready(words: &[String]) -> Result<Command, CommandLineError> {
    match words {
        [] => Ok(Command::Ready(DEFAULT_READY_ADDRESS.to_owned())),
        [address] if !address.starts_with('-') => Ok(Command::Ready(address.clone())),
        _ => Err(CommandLineError("error: usage: dragoman ready [HOST:PORT]\n".to_owned())),
    }
}

impl Options {
    fn from_flags(parsed: &Parsed) -> Result<Self, CommandLineError> {
        if parsed.has("enable-fine-grain-logging") && parsed.has("component-log-level") {
            return Err(refused("--component-log-level will not work with --enable-fine-grain-logging"));
        }
        let seconds = |flag, default: u32| Duration::from_secs(parsed.number(flag).unwrap_or(default).into());
        let flush_interval_ms =
            parsed.number("file-flush-interval-msec").unwrap_or(DEFAULT_FLUSH_INTERVAL_MS);
        let flush_min_size_kb = parsed.number("file-flush-min-size-kb").unwrap_or(DEFAULT_FLUSH_MIN_SIZE_KB);
        Ok(Self {
            config_path: path(parsed, "config-path"),
            config_yaml: Some(parsed.text("config-yaml").to_owned()).filter(|yaml| !yaml.is_empty()),
            log_level: values::log_level(parsed)?,
            component_log_levels: values::component_log_levels(parsed)?,
            mode: values::mode(parsed)?,
            concurrency: concurrency(parsed),
            allow_unknown_static_fields: parsed.has("allow-unknown-static-fields")
                || parsed.has("allow-unknown-fields"),
            reject_unknown_dynamic_fields: parsed.has("reject-unknown-dynamic-fields"),
            ignore_unknown_dynamic_fields: parsed.has("ignore-unknown-dynamic-fields"),
            skip_deprecated_logs: parsed.has("skip-deprecated-logs"),
            service_node: parsed.text("service-node").to_owned(),
            service_cluster: parsed.text("service-cluster").to_owned(),
            service_zone: parsed.text("service-zone").to_owned(),
            admin_address_path: path(parsed, "admin-address-path"),
            local_address_ip_version: values::ip_version(parsed)?,
            log_format: values::log_format(parsed),
            log_format_escaped: parsed.has("log-format-escaped"),
            log_path: path(parsed, "log-path"),
            drain_time: seconds("drain-time-s", DEFAULT_DRAIN_TIME_S),
            drain_strategy: values::drain_strategy(parsed)?,
            file_flush_interval: Duration::from_millis(flush_interval_ms.into()),
            file_flush_min_size_bytes: u64::from(flush_min_size_kb) * 1024,
            base_id: parsed.number("base-id").unwrap_or_default(),
            base_id_path: path(parsed, "base-id-path"),
            stats_tags: values::stats_tags(parsed)?,
            noted: Noted::from_flags(
                parsed,
                seconds("parent-shutdown-time-s", DEFAULT_PARENT_SHUTDOWN_TIME_S),
            )?,
            notes: notes(parsed),
        })
    }
}

impl Noted {
    fn from_flags(parsed: &Parsed, parent_shutdown_time: Duration) -> Result<Self, CommandLineError> {
        let restart_epoch = parsed.number("restart-epoch").unwrap_or_default();
        if parsed.has("use-dynamic-base-id") && restart_epoch > 0 {
            let error = format!("cannot use --restart-epoch={restart_epoch} with --use-dynamic-base-id");
            return Err(refused(&error));
        }
        let socket_path = Some(parsed.text("socket-path")).filter(|path| !path.is_empty());
        let socket_path = socket_path.unwrap_or(DEFAULT_SOCKET_PATH).to_owned();
        let disabled = parsed.text("disable-extensions");
        Ok(Self {
            use_dynamic_base_id: parsed.has("use-dynamic-base-id"),
            disable_hot_restart: parsed.has("disable-hot-restart"),
            restart_epoch,
            parent_shutdown_time,
            skip_hot_restart_on_no_parent: parsed.has("skip-hot-restart-on-no-parent"),
            skip_hot_restart_parent_stats: parsed.has("skip-hot-restart-parent-stats"),
            socket_mode: values::socket_mode(parsed, &socket_path)?,
            socket_path,
            cpuset_threads: parsed.has("cpuset-threads"),
            enable_mutex_tracing: parsed.has("enable-mutex-tracing"),
            enable_core_dump: parsed.has("enable-core-dump"),
            enable_fine_grain_logging: parsed.has("enable-fine-grain-logging"),
            log_stacktrace_single_entry: parsed.has("log-stacktrace-single-entry"),
            disabled_extensions: disabled
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }
}

/// `--concurrency`, where 0 means 1 as in Envoy.
fn concurrency(parsed: &Parsed) -> u32 {
    parsed.number("concurrency").unwrap_or_else(cpus::usable).max(1)
}

fn path(parsed: &Parsed, flag: &str) -> Option<PathBuf> {
    Some(parsed.text(flag)).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn notes(parsed: &Parsed) -> Vec<String> {
    let mut notes: Vec<String> = parsed.given().filter_map(note).collect();
    if parsed.has("concurrency") && parsed.has("cpuset-threads") {
        notes.push(
            "both --concurrency and --cpuset-threads are set; --cpuset-threads is not applied".to_owned(),
        );
    }
    notes
}

fn note(flag: &flags::Flag) -> Option<String> {
    match flag.support {
        Support::Implemented => None,
        Support::Noted(reason) => Some(format!("--{} has no effect: {reason}", flag.long)),
    }
}

/// An error in Envoy's form for a value that is not allowed.
fn refused(error: &str) -> CommandLineError {
    CommandLineError(format!("error: {error}\n"))
}
