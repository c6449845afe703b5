//! What came of the run: written down as expectations, or compared with them.

use std::path::Path;

use crate::case::Case;
use crate::group::Outcome;
use crate::recorded::{self, Recorded};
use crate::report;
use crate::subject::Subject;
use crate::suite::{Loaded, Outcomes, expectation};

/// What came of the run.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Cases in which dragoman differs as `known_gap` says.
    pub(crate) gaps: usize,
}

/// Writes what Envoy showed to `recorded/`; what was not played stays.
pub(crate) fn write(home: &Path, topics: &[Loaded], outcomes: &Outcomes) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for (index, loaded) in topics.iter().enumerate() {
        let mut observations = Vec::new();
        for (case_index, case) in loaded.topic.cases.iter().enumerate() {
            match outcomes.get(&(index, Subject::Envoy, case_index)) {
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
pub(crate) fn judge(topics: &[Loaded], outcomes: &Outcomes) -> Tally {
    let mut tally = Tally::default();
    for ((topic, subject, index), outcome) in outcomes {
        let loaded = &topics[*topic];
        let name = &loaded.topic.cases[*index].name;
        match of(loaded, *index, *subject, outcome) {
            Ok(None) => tally.passed += 1,
            Ok(Some(gap)) => {
                println!("known gap {}/{name}: {gap}", loaded.name);
                tally.passed += 1;
                tally.gaps += 1;
            }
            Err(problem) => {
                tally.failed += 1;
                println!("FAILED {}/{name} ({})\n{problem}", loaded.name, subject.name());
            }
        }
    }
    tally
}

/// What `outcome` means for the case with this index: that all is as expected, that a gap is there that is known, or
/// what is wrong.
pub(crate) fn of<'a>(
    loaded: &'a Loaded,
    index: usize,
    subject: Subject,
    outcome: &Outcome,
) -> Result<Option<&'a str>, String> {
    let case = &loaded.topic.cases[index];
    let gap = case.known_gap.as_deref().filter(|_| subject == Subject::Dragoman);
    match (problem(case, &loaded.recorded, subject, outcome), gap) {
        (None, None) => Ok(None),
        (Some(_), Some(gap)) => Ok(Some(gap)),
        (None, Some(gap)) => Err(format!("  it agrees now: remove `known_gap: {gap}`\n")),
        (Some(problem), None) => Err(problem),
    }
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
