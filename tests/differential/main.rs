//! The same bootstrap and the same bytes to dragoman and to Envoy 1.40; they must do the same.
//!
//! The cases are data, see `tests/differential/README.md`. `cargo test --test differential -- WORD…` plays those whose
//! `topic/name` contains one of the words.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test program reports there")]

mod bootstrap;
mod case;
mod client;
mod command;
mod group;
mod http2;
mod observation;
mod recorded;
mod report;
mod script;
mod subject;
mod upstream;
mod wire;

#[path = "../common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use case::{Case, Topic};
use group::Outcome;
use observation::Observation;
use recorded::Recorded;
use subject::{Program, Subject};

/// How many topics are played at a time.
const TOPICS_AT_A_TIME: usize = 2;

fn main() -> ExitCode {
    match run() {
        Ok(tally) => {
            println!("\n{} passed, {} failed", tally.passed, tally.failed);
            ExitCode::from(u8::from(tally.failed > 0))
        }
        Err(error) => {
            eprintln!("differential: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What came of the run.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    /// Cases in which dragoman differs as `known_gap` says.
    gaps: usize,
}

/// A topic with its recorded expectations and the cases to play.
struct Loaded {
    name: String,
    topic: Topic,
    recorded: Recorded,
    indices: Vec<usize>,
}

fn run() -> Result<Tally, String> {
    let words: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let record = env::var("DIFFERENTIAL_RECORD").is_ok_and(|value| value == "1");
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential");
    let topics = load(&home, &words)?;
    if env::args().any(|word| word == "--list") {
        list(&topics);
        return Ok(Tally::default());
    }
    let mut programs = subject::programs()?;
    if record {
        programs.retain(|program| program.subject == Subject::Envoy);
        if programs.is_empty() {
            return Err("there is no Envoy to record from".to_owned());
        }
    }
    let scratch = Scratch::new()?;
    let outcomes = play(&topics, &programs, record, &scratch.0);
    if record {
        return write(&home, &topics, &outcomes);
    }
    let tally = judge(&topics, &outcomes);
    for program in &programs {
        println!("played against {}: {}", program.subject.name(), program.path.display());
    }
    println!("known gaps of dragoman: {}", tally.gaps);
    Ok(tally)
}

fn load(home: &Path, words: &[String]) -> Result<Vec<Loaded>, String> {
    let directory = home.join("cases");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    let mut topics = Vec::new();
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let topic = Topic::read(&path)?;
        let recorded = recorded::read(&home.join("recorded").join(format!("{name}.yaml")))?;
        check_names(&name, &topic.cases)?;
        let wanted = |case: &Case| {
            words.is_empty()
                || words.iter().any(|word| format!("{name}/{}", case.name).contains(word.as_str()))
        };
        let indices = (0..topic.cases.len()).filter(|index| wanted(&topic.cases[*index])).collect();
        topics.push(Loaded { name, topic, recorded, indices });
    }
    Ok(topics)
}

/// Names are the keys of the recorded expectations.
fn check_names(topic: &str, cases: &[Case]) -> Result<(), String> {
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("{topic}: two cases are called {:?}", pair[0])),
        None => Ok(()),
    }
}

fn list(topics: &[Loaded]) {
    for topic in topics {
        topic
            .indices
            .iter()
            .for_each(|index| println!("{}/{}: test", topic.name, topic.topic.cases[*index].name));
    }
}

/// Outcomes by topic, subject name and index of the case.
type Outcomes = BTreeMap<(usize, &'static str, usize), Outcome>;

fn play(topics: &[Loaded], programs: &[Program], record: bool, scratch: &Path) -> Outcomes {
    let jobs: Mutex<Vec<(usize, &Program)>> = Mutex::new(
        (0..topics.len())
            .rev()
            .flat_map(|topic| programs.iter().map(move |program| (topic, program)))
            .collect(),
    );
    let outcomes = Mutex::new(Outcomes::new());
    thread::scope(|scope| {
        for _ in 0..TOPICS_AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some((index, program)) = jobs.lock().expect("no holder panics").pop() else { return };
                    let played = play_topic(&topics[index], program, record, scratch);
                    let mut outcomes = outcomes.lock().expect("no holder panics");
                    outcomes.extend(
                        played
                            .into_iter()
                            .map(|(case, outcome)| ((index, program.subject.name(), case), outcome)),
                    );
                }
            });
        }
    });
    outcomes.into_inner().expect("no holder panics")
}

fn play_topic(loaded: &Loaded, program: &Program, record: bool, scratch: &Path) -> Vec<(usize, Outcome)> {
    if loaded.indices.is_empty() {
        return Vec::new();
    }
    let expected = if record { BTreeMap::new() } else { expectations(loaded, program.subject) };
    let directory = scratch.join(format!("{}-{}", loaded.name, program.subject.name()));
    group::play(&loaded.topic, &loaded.indices, program, &expected, &directory)
}

fn expectations(loaded: &Loaded, subject: Subject) -> BTreeMap<usize, Observation> {
    loaded
        .indices
        .iter()
        .filter_map(|index| {
            Some((*index, expectation(&loaded.topic.cases[*index], &loaded.recorded, subject)?))
        })
        .collect()
}

/// What `subject` should show in `case`.
fn expectation(case: &Case, recorded: &Recorded, subject: Subject) -> Option<Observation> {
    let expected = recorded.get(&case.name)?.clone();
    Some(match &case.differs {
        Some(differs) if subject == Subject::Dragoman => expected.replaced(&differs.dragoman),
        _ => expected,
    })
}

fn write(home: &Path, topics: &[Loaded], outcomes: &Outcomes) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for (index, loaded) in topics.iter().enumerate() {
        let mut observations = Vec::new();
        for (case_index, case) in loaded.topic.cases.iter().enumerate() {
            match outcomes.get(&(index, Subject::Envoy.name(), case_index)) {
                Some(Ok(observation)) => observations.push((case.name.clone(), observation.clone())),
                Some(Err(error)) => {
                    println!("FAILED {}/{}: {error}", loaded.name, case.name);
                    tally.failed += 1;
                }
                None => observations
                    .extend(loaded.recorded.get(&case.name).map(|kept| (case.name.clone(), kept.clone()))),
            }
        }
        tally.passed += loaded.indices.len();
        if !loaded.indices.is_empty() {
            recorded::write(&home.join("recorded").join(format!("{}.yaml", loaded.name)), &observations)?;
        }
    }
    Ok(tally)
}

/// Compares every outcome with what is expected and reports.
fn judge(topics: &[Loaded], outcomes: &Outcomes) -> Tally {
    let mut tally = Tally::default();
    for ((topic, subject, index), outcome) in outcomes {
        let loaded = &topics[*topic];
        let case = &loaded.topic.cases[*index];
        let subject = if *subject == "envoy" { Subject::Envoy } else { Subject::Dragoman };
        let problem = problem(case, &loaded.recorded, subject, outcome);
        let gap = case.known_gap.as_ref().filter(|_| subject == Subject::Dragoman);
        let verdict = match (problem, gap) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                tally.gaps += 1;
                None
            }
            (None, Some(gap)) => Some(format!("  it agrees now: remove `known_gap: {gap}`\n")),
            (Some(problem), None) => Some(problem),
        };
        match verdict {
            None => tally.passed += 1,
            Some(verdict) => {
                tally.failed += 1;
                println!("FAILED {}/{} ({})\n{verdict}", loaded.name, case.name, subject.name());
            }
        }
    }
    tally
}

/// Why `outcome` is not what is expected.
fn problem(case: &Case, recorded: &Recorded, subject: Subject, outcome: &Outcome) -> Option<String> {
    let observed = match outcome {
        Ok(observed) => observed,
        Err(error) => return Some(format!("  {error}\n")),
    };
    let Some(expected) = expectation(case, recorded, subject) else {
        return Some("  nothing is recorded for it: run with DIFFERENTIAL_RECORD=1\n".to_owned());
    };
    let differences = report::differences(&expected, observed);
    (!differences.is_empty()).then_some(differences)
}

/// A directory for the run's files; kept when `DIFFERENTIAL_KEEP=1`.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let path = env::temp_dir().join(format!("dragoman-differential-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if env::var("DIFFERENTIAL_KEEP").is_ok_and(|value| value == "1") {
            println!("files of the run: {}", self.0.display());
        } else {
            // A leftover in the temporary directory is no failure of the comparison.
            std::fs::remove_dir_all(&self.0).ok();
        }
    }
}
