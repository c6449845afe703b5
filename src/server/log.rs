//! The application log as the command line asks for it.

use tracing::warn;
use tracing_subscriber::layer::SubscriberExt;

use super::options::Options;
use crate::observability::logging::{DEFAULT_FORMAT, Form, Levels, Log, OpenError, Sink};

/// What can be changed of the log while the process runs.
#[derive(Clone)]
pub struct LogHandle {
    /// The thresholds, for `/logging`.
    pub levels: Levels,
    /// Where the lines go, to be opened anew on SIGUSR1.
    pub sink: Sink,
    /// The form of the lines, which the bootstrap may change.
    pub form: Form,
}

/// Puts a line into the log for every panic, with its place: what it ends is told by who counts it.
pub fn panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        tracing::error!(target: "main", "thread {name} panicked at {place}: {}", message(panic));
    }));
}

fn message<'a>(panic: &'a std::panic::PanicHookInfo<'_>) -> &'a str {
    panic.payload_as_str().unwrap_or("no message")
}

/// Makes the log that `options` describe the process's, and writes the lines that are due at start.
///
/// A program that embeds the proxy and has set up a log of its own keeps that.
///
/// # Errors
///
/// When the file of `--log-path` cannot be opened.
pub fn start(options: &Options) -> Result<LogHandle, OpenError> {
    let levels = Levels::new(options.log_level);
    for (component, level) in &options.component_log_levels {
        // The names have been checked when the command line was read.
        levels.set(component, *level).unwrap_or_default();
    }
    let sink = match &options.log_path {
        Some(path) => Sink::file(path)?,
        None => Sink::stderr(),
    };
    let form = Form::new(options.log_format.as_deref().unwrap_or(DEFAULT_FORMAT));
    let log = Log::new(levels.clone(), sink.clone(), form.clone(), options.log_format_escaped);
    // Fails when there is a log already, which then stays.
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log)).unwrap_or_default();
    for note in &options.notes {
        warn!(target: "main", "{note}");
    }
    Ok(LogHandle { levels, sink, form })
}
