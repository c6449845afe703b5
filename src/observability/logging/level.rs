//! Severities of the application log, in Envoy's words.

use std::fmt;
use std::str::FromStr;

/// How severe a log line is, or from which severity on a component logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Every step of every request.
    Trace,
    /// What a developer of a configuration wants to see.
    Debug,
    /// Events of the process's life. The default threshold.
    Info,
    /// Something is off, and the process copes.
    Warning,
    /// Something asked for could not be done.
    Error,
    /// The process cannot go on.
    Critical,
    /// Only as a threshold: nothing is logged.
    Off,
}

impl Level {
    /// All levels, the most talkative first; the order in which Envoy lists them.
    pub const ALL: [Self; 7] =
        [Self::Trace, Self::Debug, Self::Info, Self::Warning, Self::Error, Self::Critical, Self::Off];

    /// Envoy's name of the level.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Off => "off",
        }
    }

    /// The one-letter form of the format flag `%L`.
    pub const fn letter(self) -> char {
        match self {
            Self::Trace => 'T',
            Self::Debug => 'D',
            Self::Info => 'I',
            Self::Warning => 'W',
            Self::Error => 'E',
            Self::Critical => 'C',
            Self::Off => 'O',
        }
    }

    /// The level stored as `value`; anything unknown is [`Level::Off`].
    pub(super) const fn from_u8(value: u8) -> Self {
        match value {
            0 => Self::Trace,
            1 => Self::Debug,
            2 => Self::Info,
            3 => Self::Warning,
            4 => Self::Error,
            5 => Self::Critical,
            _ => Self::Off,
        }
    }

    /// The threshold for the `tracing` macros that lets lines of this level through.
    ///
    /// `tracing` has no level above error, so critical lines are errors there.
    pub(super) const fn filter(self) -> tracing::level_filters::LevelFilter {
        use tracing::level_filters::LevelFilter;
        match self {
            Self::Trace => LevelFilter::TRACE,
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warning => LevelFilter::WARN,
            Self::Error | Self::Critical => LevelFilter::ERROR,
            Self::Off => LevelFilter::OFF,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<tracing::Level> for Level {
    fn from(level: tracing::Level) -> Self {
        match level {
            tracing::Level::TRACE => Self::Trace,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::INFO => Self::Info,
            tracing::Level::WARN => Self::Warning,
            tracing::Level::ERROR => Self::Error,
        }
    }
}

/// A word that names no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid log level specified '{0}'")]
pub struct UnknownLevel(pub String);

impl FromStr for Level {
    type Err = UnknownLevel;

    /// Envoy's names, case counting, and `warn` for `warning`.
    fn from_str(word: &str) -> Result<Self, UnknownLevel> {
        if word == "warn" {
            return Ok(Self::Warning);
        }
        Self::ALL.into_iter().find(|level| level.name() == word).ok_or_else(|| UnknownLevel(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_envoys_and_case_counts() {
        for level in Level::ALL {
            assert_eq!(level.name().parse(), Ok(level));
            assert_eq!(Level::from_u8(level as u8), level);
        }
        assert_eq!("warn".parse(), Ok(Level::Warning));
        for word in ["", "INFO", "verbose", "-1"] {
            assert_eq!(word.parse::<Level>(), Err(UnknownLevel(word.to_owned())));
        }
    }
}
