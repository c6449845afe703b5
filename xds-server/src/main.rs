//! The `dragoman-xds` command: serves a directory of resources to xDS clients.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use dragoman_xds::{Address, Handle, LoadReports, Server, load_directory};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Serves a directory of YAML and JSON resources over xDS, to any number of proxies
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The directory; changes in it are served within 200 ms
    directory: PathBuf,

    /// Where to serve xDS: IP:PORT (port 0: any free one) or unix:PATH; may be given several times
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:18000")]
    listen: Vec<Address>,

    /// Where to serve the status over HTTP
    #[arg(long, value_name = "ADDRESS")]
    status: Option<Address>,

    /// A cluster of the clients' bootstrap, so that routes may lead to it; may be given several times
    #[arg(long, value_name = "NAME")]
    static_cluster: Vec<String>,

    /// Ask clients to report their load (LRS) so often, in milliseconds; the status tells it
    #[arg(long, value_name = "MILLISECONDS")]
    load_report_interval: Option<u64>,

    /// Only say whether the directory can be served, and if not, all that is wrong
    #[arg(long)]
    check: bool,

    /// What to log: error, warn, info, debug, trace, or a filter such as "info,h2=off"
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log_level: EnvFilter,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&*error);
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let filter = std::mem::take(&mut arguments.log_level);
    let ansi = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(io::stderr).init();
    if arguments.check {
        let static_clusters: BTreeSet<String> = arguments.static_cluster.into_iter().collect();
        let catalog = load_directory(&arguments.directory, &static_clusters)?;
        say(&format!("{} resources can be served", catalog.len()))?;
        return Ok(());
    }
    // One thread is plenty for what is sent once and then waits for changes.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    // Before the sockets, so that a signal right after the start ends it in order, too.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let handle = start(arguments).await?;
    for address in handle.addresses() {
        say(&format!("xds {address}"))?;
    }
    if let Some(address) = handle.status_address() {
        say(&format!("status {address}"))?;
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("shutting down");
    handle.shutdown().await;
    Ok(())
}

async fn start(arguments: Arguments) -> Result<Handle, Box<dyn Error>> {
    let mut builder = Server::builder().directory(arguments.directory);
    for name in arguments.static_cluster {
        builder = builder.static_cluster(name);
    }
    for address in arguments.listen {
        builder = builder.listen(address);
    }
    if let Some(address) = arguments.status {
        builder = builder.status(address);
    }
    if let Some(interval) = arguments.load_report_interval {
        let interval = Duration::from_millis(interval);
        builder = builder.load_reports(LoadReports { interval, by_endpoint: true });
    }
    Ok(builder.start().await?)
}

/// Prints a line that programs may wait for.
fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Prints an error and what caused it.
#[expect(clippy::print_stderr, reason = "the last words of a program that did not start")]
fn report(error: &dyn Error) {
    eprint!("dragoman-xds: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
}
