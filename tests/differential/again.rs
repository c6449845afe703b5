//! A second look at what failed: cases wait for what must come, but on a machine that is busy enough some wait is too
//! short, for either program. What agrees when it is played alone is reported as unsteady, and only a few may be.

use std::collections::BTreeMap;
use std::path::Path;

use crate::group;
use crate::subject::Program;
use crate::suite::{self, Loaded, Outcomes};
use crate::verdict;

/// Of so many failures none is put down to the machine.
const FAILURES_AT_MOST: usize = 20;
/// How often a case is played again.
const TIMES: usize = 2;

/// Plays each case that failed again, alone; where it then agrees, that is its outcome. Returns how many there were.
pub(crate) fn play(
    topics: &[Loaded],
    programs: &[Program],
    outcomes: &mut Outcomes,
    scratch: &Path,
) -> usize {
    let failures: Vec<_> = outcomes
        .iter()
        .filter_map(|(key, outcome)| Some((*key, verdict::of(&topics[key.0], key.2, key.1, outcome).err()?)))
        .collect();
    if failures.len() > FAILURES_AT_MOST {
        return 0;
    }
    let mut unsteady = 0;
    for ((topic, subject, index), at_first) in failures {
        let loaded = &topics[topic];
        let Some(program) = programs.iter().find(|program| program.subject == subject) else { continue };
        for time in 0..TIMES {
            let name = format!("{}-{}-{index}-again-{time}", loaded.name, subject.name());
            let expected = suite::expectation(&loaded.topic.cases[index], &loaded.recorded, subject);
            let expected: BTreeMap<_, _> = expected.into_iter().map(|expected| (index, expected)).collect();
            let outcome = group::play(&loaded.topic, &[index], program, &expected, &scratch.join(name)).pop();
            let Some((_, outcome)) = outcome else { continue };
            if verdict::of(loaded, index, subject, &outcome).is_ok() {
                let case = &loaded.topic.cases[index].name;
                println!("UNSTEADY {}/{case} ({}), at first:\n{at_first}", loaded.name, subject.name());
                outcomes.insert((topic, subject, index), outcome);
                unsteady += 1;
                break;
            }
        }
    }
    unsteady
}
