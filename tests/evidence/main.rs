//! For each field that is answered with `implemented`, a test that shows its effect.
//!
//! The fields are those of `docs/support.md`. A case in `tests/differential/cases` that sets a field shows its effect,
//! since dragoman has to do there what Envoy does; a case with a `known_gap` does not. So does a bootstrap of
//! `tests/inventory`, whose every statistic is compared. For any other field `elsewhere.yaml` names the test.
//!
//! Whether a case would notice if a field had no effect is asked with `DIFFERENTIAL_WITHOUT=FIELD cargo test --test
//! differential`: it plays the cases without the field, and those that fail notice.

mod api;
mod elsewhere;
mod support;

#[path = "../differential/bootstrap.rs"]
#[expect(dead_code, reason = "the differential tests use the rest")]
mod bootstrap;
#[path = "../differential/case/mod.rs"]
#[expect(dead_code, reason = "the differential tests use the rest")]
mod case;
#[path = "../differential/dns.rs"]
#[expect(dead_code, reason = "the differential tests use the rest")]
mod dns;
#[path = "../differential/fields.rs"]
mod fields;
#[path = "../differential/tls.rs"]
mod tls;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use case::host::{Special, Upstream};
use case::{Case, Topic};
use serde_json::Value;

#[test]
fn every_implemented_field_has_a_test_that_shows_its_effect() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let implemented = support::implemented();
    assert!(implemented.len() > 400, "only {} fields were found: the search is broken", implemented.len());
    let mut shown = by_cases(&tests.join("differential/cases"));
    shown.extend(by_bootstraps(&tests.join("inventory/bootstrap")));
    let elsewhere = elsewhere::read(&tests.join("evidence/elsewhere.yaml"));
    let sources = elsewhere::tests_of_the_sources();
    let mut problems = Vec::new();
    for field in implemented.difference(&shown).filter(|field| !elsewhere.contains_key(*field)) {
        problems.push(format!("{field}: no test sets it"));
    }
    for (field, test) in &elsewhere {
        if !implemented.contains(field) {
            problems.push(format!(
                "{field}: elsewhere.yaml names a test, but docs/support.md does not call it implemented"
            ));
        } else if !sources.contains(test) {
            problems.push(format!("{field}: there is no test `{test}`"));
        }
    }
    assert!(
        problems.is_empty(),
        "{} fields without evidence. Add a differential case that sets the field and would fail if it had no effect; \
         where that is impossible, a line `FIELD: NAME_OF_A_TEST` in tests/evidence/elsewhere.yaml.\n{}",
        problems.len(),
        problems.join("\n")
    );
}

/// What the differential cases set that agree with Envoy.
fn by_cases(directory: &Path) -> BTreeSet<String> {
    let mut shown = BTreeSet::new();
    for path in files(directory) {
        let topic = Topic::read(&path).unwrap_or_else(|error| panic!("{error}"));
        for case in topic.cases.iter().filter(|case| case.known_gap.is_none()) {
            if let Some(command) = &case.command {
                // What the program says of a configuration is compared.
                let texts = command.files.values().filter(|_| command.output.is_some());
                let files = texts.filter_map(|text| serde_saphyr::from_str::<Value>(text).ok());
                shown.extend(files.flat_map(|file| fields::set_in(&file, fields::BOOTSTRAP)));
                continue;
            }
            let hosts = bootstrap::host_names(case).into_iter().filter(|name| has_host(case, name));
            let hosts = hosts.map(|name| (name, SocketAddr::from(([127, 0, 0, 1], 1)))).collect();
            let dns = (!topic.dns.is_empty()).then(|| SocketAddr::from(([127, 0, 0, 1], 1)));
            let built = bootstrap::build(&topic, &[(0, case, &hosts)], dns, Path::new("/"));
            shown.extend(fields::set_in(&built, fields::BOOTSTRAP));
            shown.extend(case.files.values().flat_map(|file| fields::set_in(file, fields::RESOURCES)));
        }
    }
    shown
}

fn has_host(case: &Case, cluster: &str) -> bool {
    let upstream = case.upstreams.get(cluster).or(case.upstream.as_ref());
    !matches!(upstream, Some(Upstream::Special(Special::None)))
}

/// What the bootstraps and resources of the inventory set.
fn by_bootstraps(directory: &Path) -> BTreeSet<String> {
    let mut shown = BTreeSet::new();
    for path in files(directory) {
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let text = ["{up}", "{refused}", "{plane}", "{type}", "{directory}"]
            .iter()
            .fold(text, |text, hole| text.replace(hole, "1"))
            .replace("{source}", "ads: {}")
            .replace("{filters}", "ads: {}");
        for part in text.split("---\n") {
            let value: Value =
                serde_saphyr::from_str(part).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            match value {
                Value::Array(resources) => {
                    let file = serde_json::json!({ "resources": resources });
                    shown.extend(fields::set_in(&file, fields::RESOURCES));
                }
                bootstrap => shown.extend(fields::set_in(&bootstrap, fields::BOOTSTRAP)),
            }
        }
    }
    shown
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files
}
