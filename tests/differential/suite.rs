//! The topics with their cases and recorded expectations, and playing them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use crate::case::{Case, Topic};
use crate::group::{self, Outcome};
use crate::observation::Observation;
use crate::recorded::{self, Recorded};
use crate::subject::{Program, Subject};

/// How many topics are played at a time.
const TOPICS_AT_A_TIME: usize = 2;

/// A topic with its recorded expectations and the cases to play.
pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) topic: Topic,
    pub(crate) recorded: Recorded,
    pub(crate) indices: Vec<usize>,
}

/// Reads all topics; of each the cases whose `topic/name` contains one of `words`, all of them without words.
pub(crate) fn load(home: &Path, words: &[String]) -> Result<Vec<Loaded>, String> {
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

/// Fails when something is recorded that no case shows any more.
pub(crate) fn check_recorded(topics: &[Loaded]) -> Result<(), String> {
    for loaded in topics {
        let known = |name: &String| loaded.topic.cases.iter().any(|case| case.name == *name);
        if let Some(name) = loaded.recorded.keys().find(|name| !known(name)) {
            return Err(format!("recorded/{}.yaml: there is no case {name:?}: record anew", loaded.name));
        }
    }
    Ok(())
}

/// Outcomes by topic, subject and index of the case.
pub(crate) type Outcomes = BTreeMap<(usize, Subject, usize), Outcome>;

/// Plays the topics against the programs. Without knowing what to expect when `record`.
pub(crate) fn play(topics: &[Loaded], programs: &[Program], record: bool, scratch: &Path) -> Outcomes {
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
                        played.into_iter().map(|(case, outcome)| ((index, program.subject, case), outcome)),
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
pub(crate) fn expectation(case: &Case, recorded: &Recorded, subject: Subject) -> Option<Observation> {
    let expected = recorded.get(&case.name)?.clone().of_interest(case);
    Some(match &case.differs {
        Some(differs) if subject == Subject::Dragoman => expected.replaced(&differs.dragoman),
        _ => expected,
    })
}
