//! The life of a proxy: what is started in which order, and how it ends.

use std::cell::{Cell, RefCell};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};
use tracing::{error, info, warn};

use crate::admin::{Admin, Logs, Program, Traffic};
use crate::bootstrap::{self, Loaded, Source};
use crate::config::access_log::AccessLogSink;
use crate::config::bootstrap::{Bootstrap, NodeOverrides, StatsConfig, TagSpecifier, TagValue};
use crate::config::extension::{Extensions, RegexLevels};
use crate::control::{self, Control};
use crate::http;
use crate::http::drain::Pace;
use crate::listener;
use crate::network;
use crate::observability::access_log::{AccessLog, Settings, Sinks};
use crate::observability::stats::Registry;
use crate::observability::stats::server::{RuntimeStats, ServerStats};
use crate::snapshot::Published;
use crate::transport::tls::Secrets;
use crate::udp;

use super::affinity;
use super::live::{live, reopen};
use super::log::LogHandle;
use super::memory;
use super::options::{DrainStrategy, Mode, Options};
use super::priority;
use super::program::Running;
use super::runtime::Runtime;
use super::setup::{open_log, setup};
use super::statistics::{self, Statistics};
use super::unsupported;
use super::watchdog::Hearts;
use super::worker::Workers;

/// The extensions of this build.
pub const EXTENSIONS: Extensions = Extensions {
    listener_filters: listener::filters::EXTENSIONS,
    udp_listener_filters: udp::EXTENSIONS,
    udp_session_filters: udp::SESSION_EXTENSIONS,
    network_filters: network::EXTENSIONS,
    http_filters: http::filters::EXTENSIONS,
    upstream_http_filters: http::filters::UPSTREAM_EXTENSIONS,
    early_header_mutations: http::early::EXTENSIONS,
    tracers: http::tracing::EXTENSIONS,
    reject_unknown_fields: false,
    allow_disallowed_features: false,
    regex_levels: RegexLevels::DEFAULT,
    local_cluster: None,
    management_servers: None,
};

/// Why a proxy does not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    /// The system does not give what is needed.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// A listener of the bootstrap cannot be served.
    #[error(transparent)]
    Listener(#[from] control::SetupError),
}

/// Serves as the options say, until a signal or the admin interface ends it; or only looks at the configuration.
pub fn run(options: &Options) -> ExitCode {
    let log = match super::log::start(options) {
        Ok(log) => log,
        Err(error) => return refuse(&error.to_string()),
    };
    super::log::panics();
    let Some(loaded) = load(options) else {
        return ExitCode::FAILURE;
    };
    match (&loaded.bootstrap.log_format, &options.log_format) {
        (Some(_), Some(_)) => {
            return refuse(
                "Only one of ApplicationLogConfig.log_format or CLI option --log-format can be specified.",
            );
        }
        (Some(format), None) => log.form.set(format),
        (None, _) => {}
    }
    if options.mode == Mode::Validate {
        let path = options.config_path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        #[expect(clippy::print_stdout, reason = "scripts look for this line, as they do with Envoy")]
        {
            println!("configuration '{path}' OK");
        }
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error.to_string()),
    };
    match LocalSet::new().block_on(&runtime, serve(options, loaded, log)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error.to_string()),
    }
}

fn refuse(reason: &str) -> ExitCode {
    error!(target: "main", "{reason}");
    ExitCode::FAILURE
}

/// Reads the bootstrap, and tells everything that is wrong with it.
fn load(options: &Options) -> Option<Loaded> {
    let source = Source {
        path: options.config_path.as_deref(),
        yaml: options.config_yaml.as_deref(),
        allow_unknown_fields: options.allow_unknown_static_fields,
        node: NodeOverrides {
            id: options.service_node.clone(),
            cluster: options.service_cluster.clone(),
            zone: options.service_zone.clone(),
        },
    };
    match bootstrap::load(&source, &EXTENSIONS) {
        Ok(loaded) => {
            for note in &loaded.notes {
                warn!(target: "config", "{}: {}", note.path, note.message);
            }
            for warning in &loaded.warnings {
                if options.skip_deprecated_logs && warning.is_deprecation() {
                    continue;
                }
                warn!(target: "config", "{warning}");
            }
            Some(loaded)
        }
        Err(problems) => {
            for problem in problems {
                error!(target: "main", "{problem}");
            }
            None
        }
    }
}

async fn serve(options: &Options, loaded: Loaded, log: LogHandle) -> Result<(), StartError> {
    let Loaded { bootstrap, notes, unknown_fields, .. } = loaded;
    let started = std::time::Instant::now();
    let count = options.concurrency as usize;
    let registry = Registry::with_config(count, stats_config(options, &bootstrap));
    let fellows = bootstrap.local_cluster_name.as_deref().unwrap_or_default();
    let published = Arc::new(Published::of(&bootstrap.node.cluster).among(fellows));
    let runtime = Runtime::new(&bootstrap.runtime, RuntimeStats::new(&registry, "runtime."));
    published.publish_runtime(runtime.values());
    let hearts = Hearts::new(count);
    let cpus = if bootstrap.enable_worker_cpu_affinity { affinity::cpus(count) } else { Vec::new() };
    let workers = Workers::start(&published, hearts.workers(), &cpus)?;
    spawn_local(hearts.main().keep_beating());
    let _watching = hearts.watch(&registry)?;
    let sinks = Arc::new(Sinks::new(log_settings(options), &registry)?);
    let fixed = bootstrap.secrets.iter().map(|secret| Arc::clone(&secret.value)).collect();
    let secrets = Secrets::new(fixed, Arc::clone(&sinks));
    let server = listeners(options, &bootstrap, &registry, &sinks, &workers)
        .with_secrets(secrets.clone())
        .with_places(published.places().clone())
        .with_workers_at(cpus);
    let socket = match &bootstrap.admin {
        Some(admin) => super::admin::bind(admin, options.admin_address_path.as_deref()).await?,
        None => None,
    };
    let outlier_log = bootstrap.outlier_event_log.clone().map(|path| sinks.open(&AccessLogSink::File(path)));
    let outlier_log = outlier_log.transpose().map_err(std::io::Error::other)?;
    let setup = setup(options, &bootstrap, &registry, Arc::clone(&published), server, secrets.clone());
    let control = Control::new(control::Setup { outlier_log, open_log: open_log(&sinks), ..setup })?;
    let (quit, asked) = watch::channel(false);
    let running = Rc::new(Running {
        state: control.state(),
        phase: control.phase(),
        workers: workers.senders(),
        runtime: RefCell::new(runtime),
        published,
        started: SystemTime::now(),
        draining: Cell::new(false),
        quit,
        reopen: Box::new({
            let (sinks, log) = (Arc::clone(&sinks), log.clone());
            move || reopen(&sinks, &log)
        }),
        server_stats: ServerStats::new(&registry, "server."),
        drain_time: options.drain_time,
        pace: pace(options),
        bootstrap,
        secrets,
        notes,
    });
    running.server_stats.static_unknown_fields().add(unknown_fields);
    running.server_stats.ignored_fields().add(unsupported::count_ignored(&running.notes));
    let statistics = Statistics::new(&registry, options, started, &running);
    spawn_local(memory::give_back());
    spawn_local(priority::give_way(control.phase()));
    spawn_local(statistics::flush(registry.clone(), statistics, running.bootstrap.stats_flush_interval));
    spawn_local(control.run());
    if let Some(socket) = socket {
        info!(target: "admin", "admin address: {}", socket.address()?);
        spawn_local(socket.serve(Rc::new(admin(options, &running, registry, &sinks, &log)?)));
    }
    live(options, workers, &sinks, &log, &running, asked).await?;
    sinks.flush();
    Ok(())
}

/// How lines of access logs are written to files.
fn log_settings(options: &Options) -> Settings {
    Settings {
        workers: options.concurrency as usize,
        flush_interval: options.file_flush_interval,
        flush_size: usize::try_from(options.file_flush_min_size_bytes).unwrap_or(usize::MAX),
    }
}

/// What makes and serves listeners.
fn listeners(
    options: &Options,
    bootstrap: &Bootstrap,
    registry: &Registry,
    sinks: &Arc<Sinks>,
    workers: &Workers,
) -> listener::Manager {
    let (senders, sinks) = (workers.senders(), Arc::clone(sinks));
    listener::Manager::new(senders, registry.clone(), sinks, options.drain_time, pace(options))
        .with_node(bootstrap.node.clone())
        .with_default_tracer(bootstrap.tracing.clone())
        .with_connection_limit(bootstrap.max_downstream_connections)
        .with_internal_listeners(bootstrap.internal_buffer_bytes)
}

/// How fast connections end when their listener drains.
fn pace(options: &Options) -> Pace {
    match options.drain_strategy {
        DrainStrategy::Gradual => Pace::Gradual(options.drain_time),
        DrainStrategy::Immediate => Pace::Immediate,
    }
}

/// How statistics are kept and named: as the bootstrap says, with the tags of the command line before its own.
fn stats_config(options: &Options, bootstrap: &Bootstrap) -> StatsConfig {
    let mut config = bootstrap.stats.clone();
    let given = options.stats_tags.iter();
    let given =
        given.map(|tag| TagSpecifier { name: tag.name.clone(), value: TagValue::Fixed(tag.value.clone()) });
    config.tags.splice(0..0, given);
    config
}

fn admin(
    options: &Options,
    running: &Rc<Running>,
    registry: Registry,
    sinks: &Sinks,
    log: &LogHandle,
) -> std::io::Result<Admin> {
    let configured = running.bootstrap.admin.as_ref();
    let logs = AccessLog::build(configured.map_or(&[][..], |admin| &admin.access_log), sinks);
    let logs = logs.map_err(std::io::Error::other)?;
    let node = dragoman_proto::print(
        &running.bootstrap.node.bytes,
        "envoy.config.core.v3.Node",
        &dragoman_proto::PrintOptions::default(),
    );
    Ok(Admin {
        traffic: Traffic::new(&registry),
        logs: Logs::new(logs, Arc::clone(&running.published)),
        program: Rc::clone(running) as Rc<dyn Program>,
        registry,
        levels: log.levels.clone(),
        command_line_options: options.to_json(),
        node: node.unwrap_or_default(),
        allow_paths: configured.map(|admin| admin.allow_paths.clone()).unwrap_or_default(),
        merges_histograms: running.bootstrap.stats_flush_interval.is_none(),
        started: std::time::Instant::now(),
    })
}
