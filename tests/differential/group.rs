//! One topic against one program: a process with a listener for each case, and the cases played side by side.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::bootstrap;
use crate::case::Topic;
use crate::client::Addresses;
use crate::command;
use crate::common::Proxy;
use crate::discovered;
use crate::dns;
use crate::observation::Observation;
use crate::set::Set;
use crate::subject::{Program, Subject};

/// How many cases of a topic are played at a time.
const AT_A_TIME: usize = 12;

/// What came of a case: an observation, or why there is none.
pub(crate) type Outcome = Result<Observation, String>;

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
    let together = match topic.discovered && indices.len() > 1 {
        true => Err("each is played alone".to_owned()),
        false => play_together(topic, indices, program, expected, directory),
    };
    match together {
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
        indices.iter().map(|index| Set::up(*index, &topic.cases[*index])).collect::<Result<_, _>>()?;
    for set in &sets {
        let written = bootstrap::write_files(set.index, set.case, &set.addresses, directory);
        written.map_err(|error| error.to_string())?;
    }
    let dns = match topic.dns.is_empty() {
        true => None,
        false => Some(dns::Server::start(&topic.dns).map_err(|error| error.to_string())?),
    };
    let parts: Vec<_> = sets.iter().map(|set| (set.index, set.case, &set.addresses)).collect();
    let config = directory.join("bootstrap.json");
    let dns_address = dns.as_ref().map(|server| server.address);
    let mut bootstrap = bootstrap::build(topic, &parts, dns_address, directory);
    if topic.discovered {
        discovered::take_out(&mut bootstrap, directory).map_err(|error| error.to_string())?;
    }
    let bootstrap = serde_json::to_string_pretty(&bootstrap);
    fs::write(&config, bootstrap.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    // The first two say how many workers there are.
    let own = if topic.arguments.iter().any(|argument| argument == "--concurrency") { 2 } else { 0 };
    let usual = Subject::arguments().into_iter().skip(own);
    let arguments = usual.chain(topic.arguments.iter().map(String::as_str));
    let environment = command::environment(&topic.environment)?;
    let arguments: Vec<_> = arguments.collect();
    let proxy = Proxy::start_within(&program.path, &config, &arguments, &environment, directory)?;
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
                            Ok(set.play(&proxy, to, expected.get(&set.index), directory))
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
