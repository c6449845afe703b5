//! The flags of Envoy 1.40's command line: how each is spelt, what it takes, whether it does anything here.

/// One flag.
pub(super) struct Flag {
    /// The letter behind a single dash, where there is one.
    pub(super) short: Option<char>,
    /// The name behind two dashes.
    pub(super) long: &'static str,
    pub(super) takes: Takes,
    pub(super) help: &'static str,
    pub(super) support: Support,
}

/// What follows a flag.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing: the flag is there or not.
    Nothing,
    /// A text.
    Text,
    /// A text, and the flag may be given several times.
    Texts,
    /// A number that fits 32 bits without sign.
    Number,
}

/// What giving the flag leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// What it leads to in Envoy.
    Implemented,
    /// One log line with this reason why it changes nothing.
    Noted(&'static str),
}

use Support::{Implemented, Noted};
use Takes::{Nothing, Number, Text, Texts};

const NO_HOT_RESTART: Support = Noted("there is no hot restart");

const fn flag(long: &'static str, takes: Takes, support: Support, help: &'static str) -> Flag {
    Flag { short: None, long, takes, help, support }
}

const fn lettered(flag: Flag, short: char) -> Flag {
    Flag { short: Some(short), ..flag }
}

/// All flags in the order of `--help`, which is Envoy's.
pub(super) const FLAGS: [Flag; 44] = [
    flag(
        "stats-tag",
        Texts,
        Implemented,
        "A tag that every statistic gets, as ``tag:value``. The tag's name is alphanumeric, its value \
         anything without '.' (dot). May be given several times with different tags.",
    ),
    flag(
        "enable-core-dump",
        Nothing,
        Noted("core dumps follow the limits of the system"),
        "Enable core dumps",
    ),
    flag("socket-mode", Text, NO_HOT_RESTART, "Permissions of the hot restart socket, octal"),
    flag("socket-path", Text, NO_HOT_RESTART, "Path of the hot restart socket"),
    flag(
        "disable-extensions",
        Text,
        Noted("extensions cannot be disabled one by one"),
        "Comma-separated list of extensions to disable",
    ),
    flag(
        "cpuset-threads",
        Nothing,
        Implemented,
        "Take the number of worker threads from the CPUs this process may use, which is the default anyway",
    ),
    flag("enable-mutex-tracing", Nothing, Noted("the data path takes no mutex"), "Trace mutex contention"),
    flag("disable-hot-restart", Nothing, Implemented, "Disable hot restart, which there is none of"),
    flag(
        "mode",
        Text,
        Implemented,
        "One of 'serve' (default; check the configuration, then serve traffic) or 'validate' (check the \
         configuration and exit).",
    ),
    flag("parent-shutdown-time-s", Number, NO_HOT_RESTART, "Hot restart parent shutdown time in seconds"),
    flag(
        "drain-strategy",
        Text,
        Implemented,
        "How connections drain, one of 'gradual' (default) or 'immediate'.",
    ),
    flag("drain-time-s", Number, Implemented, "How long listeners drain, in seconds. Default is 600"),
    flag(
        "file-flush-min-size-kb",
        Number,
        Implemented,
        "Buffered access log size that is flushed at once, in KB",
    ),
    flag("file-flush-interval-msec", Number, Implemented, "Interval for access log flushing in msec"),
    flag("service-zone", Text, Implemented, "Zone name"),
    flag("service-node", Text, Implemented, "Node name"),
    flag("service-cluster", Text, Implemented, "Cluster name"),
    flag("hot-restart-version", Nothing, Implemented, "Print the hot restart compatibility version and exit"),
    flag("restart-epoch", Number, NO_HOT_RESTART, "Hot restart epoch #"),
    flag("log-path", Text, Implemented, "Path to logfile"),
    flag(
        "enable-fine-grain-logging",
        Nothing,
        Noted("log levels are set by component, not by file"),
        "Set log levels by file instead of by component",
    ),
    flag("log-format-escaped", Nothing, Implemented, "Write the application log with C escape sequences"),
    flag(
        "log-format",
        Text,
        Implemented,
        "Log message format in spdlog syntax (see \
         https://github.com/gabime/spdlog/wiki/3.-Custom-formatting)\n\
         Default is \"[%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v\"",
    ),
    flag(
        "component-log-level",
        Text,
        Implemented,
        "Comma-separated list of component log levels. For example upstream:debug,config:trace",
    ),
    lettered(
        flag(
            "log-level",
            Text,
            Implemented,
            "Log levels: [trace][debug][info][warning|warn][error][critical][off]\nDefault is [info]",
        ),
        'l',
    ),
    flag(
        "local-address-ip-version",
        Text,
        Noted("nothing reports the address of the host"),
        "The local IP address version (v4 or v6).",
    ),
    flag("admin-address-path", Text, Implemented, "Path of the file to which the admin address is written"),
    flag(
        "log-stacktrace-single-entry",
        Nothing,
        Noted("a stack trace goes to standard error, not to the log"),
        "Log a stack trace as one entry instead of one for each frame",
    ),
    flag(
        "skip-deprecated-logs",
        Nothing,
        Implemented,
        "Log nothing about deprecated fields in the configuration",
    ),
    flag(
        "ignore-unknown-dynamic-fields",
        Nothing,
        Implemented,
        "Ignore unknown fields in dynamic configuration",
    ),
    flag(
        "reject-unknown-dynamic-fields",
        Nothing,
        Implemented,
        "Reject unknown fields in dynamic configuration",
    ),
    flag("allow-unknown-static-fields", Nothing, Implemented, "Allow unknown fields in static configuration"),
    flag(
        "allow-unknown-fields",
        Nothing,
        Implemented,
        "Allow unknown fields in static configuration (DEPRECATED)",
    ),
    flag("config-yaml", Text, Implemented, "YAML configuration, merged over the file of --config-path"),
    lettered(flag("config-path", Text, Implemented, "Path to configuration file"), 'c'),
    flag("concurrency", Number, Implemented, "# of worker threads to run"),
    flag("base-id-path", Text, Implemented, "Path of the file to which the base ID is written"),
    flag(
        "skip-hot-restart-parent-stats",
        Nothing,
        NO_HOT_RESTART,
        "Start from empty statistics instead of the parent's when hot restarting",
    ),
    flag(
        "skip-hot-restart-on-no-parent",
        Nothing,
        NO_HOT_RESTART,
        "Start in the ordinary way when the restart epoch is above 0 and there is no parent",
    ),
    flag(
        "use-dynamic-base-id",
        Nothing,
        Implemented,
        "Choose a base ID. Not together with a restart epoch above 0",
    ),
    flag(
        "base-id",
        Number,
        Implemented,
        "Base ID; nothing is shared between processes here, so any number of them run on one host",
    ),
    lettered(flag("ignore_rest", Nothing, Implemented, "Ignores everything that follows"), '-'),
    flag("version", Nothing, Implemented, "Displays version information and exits."),
    lettered(flag("help", Nothing, Implemented, "Displays usage information and exits."), 'h'),
];

impl Flag {
    /// Whether `word` is this flag as it stands on a command line.
    pub(super) fn is(&self, word: &str) -> bool {
        let short =
            || word.strip_prefix('-').zip(self.short).is_some_and(|(rest, short)| rest.chars().eq([short]));
        word.strip_prefix("--") == Some(self.long) || short()
    }

    /// `-c (--config-path)`: the flag's name in error messages.
    pub(super) fn name_in_errors(&self) -> String {
        match self.short {
            Some(short) => format!("-{short} (--{})", self.long),
            None => format!("(--{})", self.long),
        }
    }

    /// `-c <string>`: the flag in the usage line.
    pub(super) fn in_usage(&self) -> String {
        let name = self.short.map_or_else(|| format!("--{}", self.long), |short| format!("-{short}"));
        match self.takes {
            Nothing => format!("[{name}]"),
            Text => format!("[{name} <string>]"),
            Texts => format!("[{name} <string>] ..."),
            Number => format!("[{name} <uint32_t>]"),
        }
    }

    /// `-c <string>,  --config-path <string>`: the flag above its description.
    pub(super) fn heading(&self) -> String {
        let (value, suffix) = match self.takes {
            Nothing => ("", ""),
            Text => (" <string>", ""),
            Texts => (" <string>", "  (accepted multiple times)"),
            Number => (" <uint32_t>", ""),
        };
        match self.short {
            Some(short) => format!("-{short}{value},  --{}{value}{suffix}", self.long),
            None => format!("--{}{value}{suffix}", self.long),
        }
    }
}
