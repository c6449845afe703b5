//! The life of a proxy: what is started in which order, and how it ends.

use std::cell::{Cell, RefCell};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use envoy_types::pb::envoy::config::core::v3::Node;
use prost::Message;
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_blocking, spawn_local};
use tracing::{error, info, warn};

use crate::admin::{Admin, Logs, Program, Traffic};
use crate::base::random::Rng;
use crate::base::uuid;
use crate::bootstrap::{self, Loaded, Source};
use crate::config::access_log::AccessLogSink;
use crate::config::bootstrap::{
    ALL_DEPRECATED_FEATURES, Bootstrap, NodeOverrides, StatsConfig, TagSpecifier, TagValue,
};
use crate::config::extension::{Extensions, RegexLevels};
use crate::control::{self, Control};
use crate::http;
use crate::http::drain::Pace;
use crate::listener;
use crate::listener::manager::Command;
use crate::network;
use crate::observability::access_log::{AccessLog, Settings, Sinks};
use crate::observability::stats::Registry;
use crate::observability::stats::server::{RuntimeStats, ServerStats};
use crate::snapshot::Published;
use crate::transport::tls::Secrets;
use crate::udp;
use crate::upstream::LocalCluster;
use crate::upstream::discovery::resolver::SystemResolver;
use crate::xds;

use super::affinity;
use super::log::LogHandle;
use super::memory;
use super::options::{DrainStrategy, Mode, Options};
use super::priority;
use super::program::Running;
use super::runtime::Runtime;
use super::signal::{Event, Signals};
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

/// What becomes of unknown fields in files of resources.
fn unknown_fields(options: &Options) -> xds::UnknownFields {
    match (options.reject_unknown_dynamic_fields, options.ignore_unknown_dynamic_fields) {
        (true, _) => xds::UnknownFields::Reject,
        (false, true) => xds::UnknownFields::Ignore,
        (false, false) => xds::UnknownFields::Tell,
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
    let sinks = Arc::new(Sinks::new(
        Settings {
            workers: count,
            flush_interval: options.file_flush_interval,
            flush_size: usize::try_from(options.file_flush_min_size_bytes).unwrap_or(usize::MAX),
        },
        &registry,
    )?);
    let fixed = bootstrap.secrets.iter().map(|secret| Arc::clone(&secret.value)).collect();
    let secrets = Secrets::new(fixed, Arc::clone(&sinks));
    let server = listener::Manager::new(
        workers.senders(),
        registry.clone(),
        Arc::clone(&sinks),
        options.drain_time,
        pace(options),
    )
    .with_node(bootstrap.node.clone())
    .with_default_tracer(bootstrap.tracing.clone())
    .with_secrets(secrets.clone())
    .with_connection_limit(bootstrap.max_downstream_connections)
    .with_internal_listeners(bootstrap.internal_buffer_bytes)
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
    let statistics = Statistics::new(&registry, options.concurrency, started, &running);
    spawn_local(memory::give_back());
    spawn_local(priority::give_way(control.phase()));
    spawn_local(statistics::flush(registry.clone(), statistics, running.bootstrap.stats_flush_interval));
    spawn_local(control.run());
    if let Some(socket) = socket {
        info!(target: "admin", "admin address: {}", socket.address()?);
        let logs = running.bootstrap.admin.as_ref().map_or(&[][..], |admin| &admin.access_log);
        let logs = AccessLog::build(logs, &sinks).map_err(std::io::Error::other)?;
        let admin = Admin {
            logs: Logs::new(logs, Arc::clone(&running.published)),
            ..admin(options, &running, registry, &log)
        };
        spawn_local(socket.serve(Rc::new(admin)));
    }
    live(options, workers, &sinks, &log, &running, asked).await?;
    sinks.flush();
    Ok(())
}

/// Opens files for lines about the health of hosts. One that cannot be opened is told of, and has no lines.
fn open_log(sinks: &Arc<Sinks>) -> control::OpenLog {
    let sinks = Arc::clone(sinks);
    Box::new(move |path| match sinks.open(&AccessLogSink::File(path.to_owned())) {
        Ok(sink) => Some(sink),
        Err(error) => {
            error!(target: "health_checker", "{error}");
            None
        }
    })
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

fn admin(options: &Options, running: &Rc<Running>, registry: Registry, log: &LogHandle) -> Admin {
    let node = dragoman_proto::print(
        &running.bootstrap.node.bytes,
        "envoy.config.core.v3.Node",
        &dragoman_proto::PrintOptions::default(),
    );
    Admin {
        traffic: Traffic::new(&registry),
        logs: Logs::default(),
        program: Rc::clone(running) as Rc<dyn Program>,
        registry,
        levels: log.levels.clone(),
        command_line_options: options.to_json(),
        node: node.unwrap_or_default(),
        allow_paths: running
            .bootstrap
            .admin
            .as_ref()
            .map(|admin| admin.allow_paths.clone())
            .unwrap_or_default(),
        merges_histograms: running.bootstrap.stats_flush_interval.is_none(),
        started: std::time::Instant::now(),
    }
}

fn setup(
    options: &Options,
    bootstrap: &Bootstrap,
    registry: &Registry,
    published: Arc<Published>,
    server: listener::Manager,
    secrets: Secrets,
) -> control::Setup {
    let clusters: Vec<_> = bootstrap.clusters.iter().map(|cluster| Arc::clone(&cluster.value)).collect();
    let resources = &bootstrap.dynamic_resources;
    let (client, notices) = xds::Client::new(xds::Setup {
        node: node_message(bootstrap),
        clusters: clusters.clone(),
        secrets: secrets.clone(),
        ads: resources.ads_config.clone(),
        registry: registry.clone(),
        unknown_fields: unknown_fields(options),
        rng: Rng::from_entropy(),
    });
    if let Some(source) = &bootstrap.load_reports
        && let Err(error) = client.report_load(source, Arc::clone(&published))
    {
        error!(target: "upstream", "load is not reported: {error}");
    }
    control::Setup {
        registry: registry.clone(),
        clusters,
        local: bootstrap.local_cluster_name.clone().map(LocalCluster::new),
        locality: bootstrap.node.locality.clone(),
        bind: bootstrap.bind.clone(),
        listeners: bootstrap
            .listeners
            .iter()
            .map(|listener| Arc::new(listener.value.named_or(uuid::fresh)))
            .collect(),
        cds: resources.cds_config.clone(),
        lds: resources.lds_config.clone(),
        extensions: Extensions {
            reject_unknown_fields: options.reject_unknown_dynamic_fields,
            local_cluster: Some(bootstrap.local_cluster_name.is_some()),
            management_servers: Some(bootstrap.management_servers()),
            allow_disallowed_features: published.load().runtime.boolean(ALL_DEPRECATED_FEATURES, false),
            regex_levels: published.load().runtime.regex_levels(),
            ..EXTENSIONS
        },
        quiet: control::Quiet {
            unknown_fields: options.ignore_unknown_dynamic_fields,
            deprecated_fields: options.skip_deprecated_logs,
        },
        published,
        client,
        notices,
        server,
        resolver: Rc::new(SystemResolver::new(bootstrap.dns_resolver.clone(), registry)),
        rng: Rng::from_entropy(),
        linger: options.drain_time,
        secrets,
        outlier_log: None,
        open_log: Box::new(|_| None),
    }
}

/// The node as it is sent to management servers.
fn node_message(bootstrap: &Bootstrap) -> Node {
    // The bytes were made by the bootstrap's reader, from such a message.
    Node::decode(&*bootstrap.node.bytes).unwrap_or_default()
}

/// Serves until the end is asked for, then lets connections end: in the drain time, or at the second signal at once.
async fn live(
    options: &Options,
    workers: Workers,
    sinks: &Sinks,
    log: &LogHandle,
    running: &Running,
    mut quit: watch::Receiver<bool>,
) -> Result<(), StartError> {
    let mut signals = Signals::new()?;
    loop {
        tokio::select! {
            event = signals.next() => match event {
                Event::ReopenLogs => reopen(sinks, log),
                Event::Drain => break,
                Event::Exit => return Ok(()),
            },
            asked = quit.wait_for(|quit| *quit) => if asked.is_ok() { break },
        }
    }
    running.draining.set(true);
    info!(target: "main", "draining: connections have {:?} to end", options.drain_time);
    workers.tell(&Command::Stop { inbound_only: false, within: options.drain_time });
    workers.tell(&Command::Finish);
    let mut ended = spawn_blocking(move || workers.join());
    loop {
        tokio::select! {
            joined = &mut ended => {
                if let Err(error) = joined {
                    error!(target: "main", "{error}");
                }
                info!(target: "main", "exiting");
                return Ok(());
            }
            event = signals.next() => match event {
                Event::ReopenLogs => reopen(sinks, log),
                Event::Drain | Event::Exit => return Ok(()),
            },
        }
    }
}

fn reopen(sinks: &Sinks, log: &LogHandle) {
    sinks.reopen();
    if let Err(error) = log.sink.reopen() {
        error!(target: "main", "{error}");
    }
}
