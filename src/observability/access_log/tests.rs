use std::rc::Rc;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::base::headers::Headers;
use crate::config::access_log::{AccessLogSink, Comparison, ComparisonOp, RuntimeFilter};
use crate::config::format::Format;
use crate::config::listener::TrafficDirection;
use crate::config::runtime::{Fraction, RuntimeUInt32, Values};
use crate::observability::format::LogType;
use crate::observability::stats::server::FilesystemStats;
use crate::observability::stats::{Registry, enter_shard};
use crate::observability::stream_info::{Address, ConnectionInfo, ResponseFlags, StreamInfo};

/// This number, and a runtime that says nothing.
fn drawn(random: u64) -> Draw<'static> {
    static NOTHING: LazyLock<Values> = LazyLock::new(Values::default);
    Draw { random, runtime: &NOTHING }
}

const NEVER: Settings =
    Settings { workers: 2, flush_interval: Duration::from_secs(3600), flush_size: 1 << 20 };

struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dragoman-access-log-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.join("access.log")
    }

    fn lines(&self) -> usize {
        std::fs::read_to_string(self.file()).unwrap().lines().count()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

fn configured(directory: &Directory, filter: Option<AccessLogFilter>) -> config::access_log::AccessLog {
    let format = Format::parse("%RESPONSE_CODE%\n").unwrap();
    config::access_log::AccessLog {
        sink: AccessLogSink::File(directory.file()),
        format: SubstitutionFormat::Text { format, omit_empty_values: false },
        filter,
    }
}

fn info() -> StreamInfo {
    let address = Address::Pipe("".into());
    let connection = ConnectionInfo {
        is_there: true,
        id: 1,
        direct_remote: address.clone(),
        remote: address.clone(),
        local: address.clone(),
        direct_local: address,
        start: Instant::now(),
        listener_name: None,
        filter_chain_name: None,
        requested_server_name: "".into(),
        fingerprints: None,
        refusal: Default::default(),
        transport_failure_reason: Default::default(),
        encrypted: false,
        tls: Default::default(),
        listener_metadata: None,
        filter_chain_metadata: None,
        notes: Default::default(),
        local_restored: false,
        proxied_values: None,
        direction: TrafficDirection::default(),
        node: None,
        kept: Default::default(),
    };
    StreamInfo::new(Instant::now(), SystemTime::now(), Rc::new(connection))
}

fn with_context<R>(info: &StreamInfo, run: impl FnOnce(&Context<'_>) -> R) -> R {
    let none = Headers::new();
    run(&Context {
        info,
        request: &none,
        response: &none,
        response_trailers: &none,
        local_reply_body: b"",
        log_type: LogType::DownstreamEnd,
    })
}

#[test]
fn lines_of_all_workers_are_there_at_the_end() {
    let directory = Directory::new("end");
    let sinks = Sinks::new(NEVER, &Registry::new(2)).unwrap();
    let logs = AccessLog::build(&[configured(&directory, None)], &sinks).unwrap();
    std::thread::scope(|scope| {
        for shard in 0..=2 {
            let logs = &logs;
            scope.spawn(move || {
                enter_shard(shard);
                let info = info();
                (0..1000).for_each(|_| with_context(&info, |context| logs[0].write(context, drawn(0))));
            });
        }
    });
    drop(sinks);
    assert_eq!(directory.lines(), 3000);
}

#[test]
fn a_full_buffer_is_written_without_being_asked() {
    let directory = Directory::new("full");
    let registry = Registry::new(0);
    let sinks = Sinks::new(Settings { flush_size: 1, workers: 0, ..NEVER }, &registry).unwrap();
    let logs = AccessLog::build(&[configured(&directory, None)], &sinks).unwrap();
    with_context(&info(), |context| logs[0].write(context, drawn(0)));
    while directory.lines() == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn without_an_interval_lines_are_written_at_once_and_no_timer_runs() {
    let directory = Directory::new("at-once");
    let registry = Registry::new(0);
    let settings = Settings { workers: 0, flush_interval: Duration::ZERO, ..NEVER };
    let sinks = Sinks::new(settings, &registry).unwrap();
    let logs = AccessLog::build(&[configured(&directory, None)], &sinks).unwrap();
    for line in 1..=2 {
        with_context(&info(), |context| logs[0].write(context, drawn(0)));
        while directory.lines() < line {
            std::thread::yield_now();
        }
    }
    assert_eq!(FilesystemStats::new(&registry, "filesystem.").flushed_by_timer().value(), 0);
}

#[test]
fn a_moved_file_is_left_behind_when_logs_are_reopened() {
    let directory = Directory::new("reopen");
    let sinks = Sinks::new(NEVER, &Registry::new(2)).unwrap();
    let logs = AccessLog::build(&[configured(&directory, None)], &sinks).unwrap();
    with_context(&info(), |context| logs[0].write(context, drawn(0)));
    std::fs::rename(directory.file(), directory.0.join("old.log")).unwrap();
    sinks.reopen();
    sinks.flush();
    with_context(&info(), |context| logs[0].write(context, drawn(0)));
    sinks.flush();
    assert_eq!(directory.lines(), 1);
}

#[test]
fn logs_of_one_path_share_its_file() {
    let directory = Directory::new("share");
    let sinks = Sinks::new(NEVER, &Registry::new(2)).unwrap();
    let both = [configured(&directory, None), configured(&directory, None)];
    let logs = AccessLog::build(&both, &sinks).unwrap();
    with_context(&info(), |context| logs.iter().for_each(|log| log.write(context, drawn(0))));
    sinks.flush();
    assert_eq!(directory.lines(), 2);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_with_its_path() {
    let sinks = Sinks::new(NEVER, &Registry::new(2)).unwrap();
    let error = sinks.open(&AccessLogSink::File("/nowhere/at/all".into())).unwrap_err().to_string();
    assert!(error.starts_with("unable to open file '/nowhere/at/all'"), "{error}");
}

#[test]
fn filters_say_which_requests_are_logged() {
    let mut info = info();
    info.response_code = 503;
    info.response_flags = ResponseFlags::UF;
    info.timing.complete = Some(Duration::from_millis(12));
    let with = |default_value| RuntimeUInt32 { default_value, runtime_key: "k".to_owned() };
    let code = |op, value| AccessLogFilter::StatusCode(Comparison { op, value: with(value) });
    let duration = |op, value| AccessLogFilter::Duration(Comparison { op, value: with(value) });
    let flags =
        |names: &[&str]| AccessLogFilter::ResponseFlag(names.iter().map(|name| (*name).to_owned()).collect());
    let yes = || code(ComparisonOp::Ge, 500);
    let no = || code(ComparisonOp::Le, 500);
    let check = |filter: AccessLogFilter, expected| {
        assert_eq!(
            with_context(&info, |context| filter::passes(&filter, context, drawn(0))),
            expected,
            "{filter:?}"
        );
    };
    check(yes(), true);
    check(no(), false);
    check(code(ComparisonOp::Eq, 503), true);
    check(code(ComparisonOp::Ne, 503), false);
    check(duration(ComparisonOp::Ge, 12), true);
    check(duration(ComparisonOp::Ge, 13), false);
    check(flags(&[]), true);
    check(flags(&["NR", "UF"]), true);
    check(flags(&["NR"]), false);
    check(AccessLogFilter::NotHealthCheck, true);
    check(AccessLogFilter::And(vec![yes(), no()]), false);
    check(AccessLogFilter::Or(vec![yes(), no()]), true);
}

#[test]
fn the_runtime_changes_what_is_compared_with_and_which_share_is_logged() {
    let info = StreamInfo { response_code: 503, ..info() };
    let runtime = |value: u32| -> Values { [("k", &value.into())].into_iter().collect() };
    let value = RuntimeUInt32 { default_value: 600, runtime_key: "k".to_owned() };
    let at_least = AccessLogFilter::StatusCode(Comparison { op: ComparisonOp::Ge, value });
    let passes = |filter: &AccessLogFilter, runtime: &Values, random| {
        with_context(&info, |context| filter::passes(filter, context, Draw { random, runtime }))
    };
    assert!(!passes(&at_least, &Values::default(), 0));
    assert!(passes(&at_least, &runtime(500), 0));

    let percent_sampled = Fraction { numerator: 10, denominator: 100 };
    let filter =
        RuntimeFilter { runtime_key: "k".to_owned(), percent_sampled, use_independent_randomness: false };
    let sampled = AccessLogFilter::Runtime(filter);
    for (value, expected) in [(None, 10), (Some(50), 50), (Some(200), 100)] {
        let runtime = value.map(runtime).unwrap_or_default();
        assert_eq!((0..100).filter(|random| passes(&sampled, &runtime, *random)).count(), expected);
    }
}

#[test]
fn a_request_with_an_id_is_of_the_share_or_not_by_its_id() {
    let info = info();
    let filter = |use_independent_randomness| {
        AccessLogFilter::Runtime(RuntimeFilter {
            runtime_key: "k".to_owned(),
            percent_sampled: Fraction { numerator: 1, denominator: 100 },
            use_independent_randomness,
        })
    };
    let mut request = Headers::new();
    request.append(crate::base::headers::Known::XRequestId, b"00000063-0000-4000-8000-000000000000");
    with_context(&info, |context| {
        let context = Context { request: &request, ..*context };
        // 0x63 is 99, the last of a hundred.
        assert!(!filter::passes(&filter(false), &context, drawn(0)));
        assert!(filter::passes(&filter(true), &context, drawn(0)));
    });
}
