//! One topic against one program: a process with a listener for each case, and the cases played side by side.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::bootstrap::{self, Hosts, USUAL_STATS};
use crate::case::{Case, Topic};
use crate::client::{self, Addresses, Closing};
use crate::command;
use crate::common::Proxy;
use crate::common::text::show;
use crate::observation::Observation;
use crate::subject::{Program, Subject};
use crate::upstream::{Host, Seen};
use crate::wire::Signals;

/// How many cases of a topic are played at a time.
const AT_A_TIME: usize = 12;
/// How long to wait for log lines, statistics and upstream requests that must come.
const PATIENCE: Duration = Duration::from_secs(3);
/// When nothing says what must come: how long nothing may have changed.
const SETTLED: Duration = Duration::from_millis(400);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What came of a case: an observation, or why there is none.
pub(crate) type Outcome = Result<Observation, String>;

/// A case set up for a run.
struct Set<'a> {
    index: usize,
    case: &'a Case,
    hosts: Vec<Host>,
    addresses: Hosts,
    seen: Seen,
    signals: Arc<Signals>,
}

/// Plays the cases with these indices, commands one by one; see [`play_served`] for the others.
pub(crate) fn play(
    topic: &Topic,
    indices: &[usize],
    program: &Program,
    expected: &BTreeMap<usize, Observation>,
    directory: &Path,
) -> Vec<(usize, Outcome)> {
    let command = |index: &usize| topic.cases[*index].command.as_ref();
    let (commands, served): (Vec<usize>, Vec<usize>) =
        indices.iter().partition(|index| command(index).is_some());
    let mut outcomes = if served.is_empty() {
        Vec::new()
    } else {
        play_served(topic, &served, program, expected, directory)
    };
    for index in commands {
        if let Some(command) = command(&index) {
            let outcome = command::run(command, program, &directory.join(index.to_string()));
            outcomes.push((index, outcome));
        }
    }
    outcomes
}

/// Plays the cases with these indices; `expected` are what they should show, where that is known.
///
/// When the program does not start with all of them, each gets a process of its own, so that one case whose
/// configuration is refused does not hide the others.
fn play_served(
    topic: &Topic,
    indices: &[usize],
    program: &Program,
    expected: &BTreeMap<usize, Observation>,
    directory: &Path,
) -> Vec<(usize, Outcome)> {
    match play_together(topic, indices, program, expected, directory) {
        Ok(outcomes) => outcomes,
        Err(error) if indices.len() == 1 => vec![(indices[0], Err(error))],
        Err(_) => indices
            .iter()
            .flat_map(|index| {
                play_served(topic, &[*index], program, expected, &directory.join(index.to_string()))
            })
            .collect(),
    }
}

fn play_together(
    topic: &Topic,
    indices: &[usize],
    program: &Program,
    expected: &BTreeMap<usize, Observation>,
    directory: &Path,
) -> Result<Vec<(usize, Outcome)>, String> {
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let sets: Vec<Set> =
        indices.iter().map(|index| set_up(*index, &topic.cases[*index])).collect::<Result<_, _>>()?;
    let parts: Vec<_> = sets.iter().map(|set| (set.index, set.case, &set.addresses)).collect();
    let config = directory.join("bootstrap.json");
    let bootstrap = serde_json::to_string_pretty(&bootstrap::build(topic, &parts, directory));
    fs::write(&config, bootstrap.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    let proxy = Proxy::start(&program.path, &config, &Subject::arguments(), directory)?;
    let listeners = proxy.listeners()?;
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(sets.len()) {
            scope.spawn(|| {
                while let Some(set) = sets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = format!("{}listener", bootstrap::tag(set.index));
                    let outcome = match listeners.get(&name) {
                        Some(listener) => {
                            let to = Addresses { listener: *listener, admin: proxy.admin };
                            Ok(play_case(set, &proxy, to, expected.get(&set.index), directory))
                        }
                        None => Err(format!("/listeners does not show {name}")),
                    };
                    outcomes.lock().expect("no holder panics").push((set.index, outcome));
                }
            });
        }
    });
    Ok(outcomes.into_inner().expect("no holder panics"))
}

fn set_up(index: usize, case: &Case) -> Result<Set<'_>, String> {
    let (seen, signals) = (Seen::default(), Arc::new(Signals::default()));
    let mut hosts = Vec::new();
    let mut addresses = Hosts::new();
    for cluster in bootstrap::host_names(case) {
        let host = Host::start(case, &cluster, &seen, &signals).map_err(|error| error.to_string())?;
        if let Some(host) = host {
            addresses.insert(cluster, host.address);
            hosts.push(host);
        }
    }
    Ok(Set { index, case, hosts, addresses, seen, signals })
}

/// Plays one case, then waits until everything else is as expected, or has settled where nothing is.
fn play_case(
    set: &Set,
    proxy: &Proxy,
    to: Addresses,
    expected: Option<&Observation>,
    directory: &Path,
) -> Observation {
    let expectations = expected.map(|expected| &expected.client);
    let client: Vec<String> = set
        .case
        .client
        .iter()
        .enumerate()
        .map(|(index, exchange)| {
            let closing = Closing::in_transcript(expectations.and_then(|client| client.get(index)));
            client::play(exchange, to, &set.signals, closing)
        })
        .collect();
    debug_assert!(set.hosts.len() >= set.addresses.len(), "the hosts live as long as the case");
    let mut last = observe(set, proxy, &client, directory);
    let (started, mut changed) = (Instant::now(), Instant::now());
    loop {
        let done = match expected {
            Some(expected) => last == *expected || started.elapsed() > PATIENCE,
            None => changed.elapsed() > SETTLED,
        };
        if done {
            return last;
        }
        thread::sleep(LOOK_AGAIN);
        let now = observe(set, proxy, &client, directory);
        if now != last {
            (last, changed) = (now, Instant::now());
        }
    }
}

fn observe(set: &Set, proxy: &Proxy, client: &[String], directory: &Path) -> Observation {
    let tag = bootstrap::tag(set.index);
    let log = fs::read_to_string(directory.join(format!("{tag}access.log"))).unwrap_or_default();
    let observation = Observation {
        client: client.to_vec(),
        upstream: set.seen.lock().expect("no holder panics").clone(),
        log: log.lines().map(|line| show(line.as_bytes())).collect(),
        stats: stats(set.case, proxy, &tag),
    };
    observation.normalised(&tag).of_interest(set.case)
}

/// The statistics of `case` that are not zero.
fn stats(case: &Case, proxy: &Proxy, tag: &str) -> BTreeMap<String, u64> {
    let text = proxy.get(&format!("/stats?filter={tag}")).map(|answer| answer.body).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let values: BTreeMap<&str, u64> = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
        .collect();
    USUAL_STATS
        .into_iter()
        .chain(case.stats.iter().map(String::as_str))
        .filter_map(|name| {
            let value = values.get(bootstrap::tagged_stat(name, tag).as_str()).copied().unwrap_or(0);
            (value > 0).then(|| (name.to_owned(), value))
        })
        .collect()
}
