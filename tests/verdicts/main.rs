//! What `dragoman check` says of configurations, held against what becomes of them: in Envoy 1.40, and in the proxy.

mod assemble;
mod cases;
mod play;

use std::collections::{BTreeMap, BTreeSet};

use dragoman::check;
use dragoman::server::run::EXTENSIONS;
use serde_json::{Value, json};

use cases::text_of;

/// Cases of which check says otherwise than Envoy, each with the reason. Sorted.
const EXCEPTIONS: &str = include_str!("exceptions.tsv");

/// What check says of sources, by their names.
fn findings(sources: impl IntoIterator<Item = (String, Vec<Value>)>) -> BTreeMap<String, Vec<Value>> {
    let lines = sources
        .into_iter()
        .map(|(source, resources)| format!("{}\n", json!({ "source": source, "resources": resources })));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cases.jsonl");
    std::fs::write(&file, lines.collect::<String>()).expect("a file");
    let words = ["--format", "json", file.to_str().expect("a path of text")].map(str::to_owned);
    let options = check::Options::parse_words(&words).expect("options");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    check::run(&options, &EXTENSIONS, &mut out, &mut err).expect("memory takes everything");
    let mut report: Value = serde_json::from_slice(&out).expect("JSON");
    let Value::Array(findings) = report["findings"].take() else { panic!("no findings") };
    let mut by_source = BTreeMap::<String, Vec<Value>>::new();
    for finding in findings {
        by_source.entry(text_of(&finding["source"])).or_default().push(finding);
    }
    by_source
}

/// The errors of a source; of one that Envoy took, only those that concern no file.
fn errors<'a>(findings: &'a BTreeMap<String, Vec<Value>>, source: &str, is_accepted: bool) -> Vec<&'a Value> {
    // The files that they name are those of the machines that they were made for.
    const ABSENT: [&str; 2] = ["Unable to read file", "paths must refer to an existing path in the system"];
    let findings = findings.get(source).into_iter().flatten();
    let is_absent =
        |finding: &Value| ABSENT.iter().any(|start| text_of(&finding["reason"]).starts_with(start));
    findings
        .filter(|finding| finding["severity"] == "error" && !(is_accepted && is_absent(finding)))
        .collect()
}

#[test]
fn what_envoy_takes_is_no_error_and_what_it_refuses_is_one() {
    let known: BTreeSet<&str> = EXCEPTIONS.lines().filter_map(|line| line.split('\t').next()).collect();
    let mut wrong = Vec::new();
    let corpora = cases::corpora();
    if corpora.len() == 1 {
        println!("only the small corpus is looked at: set DRAGOMAN_CORPUS to the folder of the large one");
    }
    for corpus in corpora {
        // By number, as one name may stand for a bootstrap and for a case.
        let assembled = corpus.cases.iter().enumerate().map(|(number, case)| {
            let bootstrap = assemble::bootstrap(corpus.resources(case), case.is_bootstrap);
            (number.to_string(), vec![bootstrap])
        });
        let findings = findings(assembled);
        for (number, case) in corpus.cases.iter().enumerate() {
            let errors = errors(&findings, &number.to_string(), case.accepted);
            let (name, agree) = (&case.name, case.accepted == errors.is_empty());
            match (agree, known.contains(name.as_str())) {
                (true, false) | (false, true) => {}
                (true, true) => wrong.push(format!("{name}: is no exception any more")),
                (false, false) if case.accepted => {
                    wrong.push(format!("{name}: Envoy takes it\n    {errors:?}"))
                }
                (false, false) => wrong.push(format!("{name}: Envoy says: {}", case.reason)),
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_said_of_a_resource_is_what_becomes_of_it() {
    /// Types that are asked for by nobody, so that nothing becomes of them.
    const NOT_PLAYED: [&str; 2] = ["secret", "FileAccessLog"];
    for corpus in cases::corpora() {
        let mut sets = BTreeMap::<String, Vec<Value>>::new();
        for (source, resources) in &corpus.sources {
            sets.entry(cases::set_of(source).to_owned()).or_default().extend(resources.clone());
        }
        let findings = findings(sets.clone());
        for (set, resources) in &sets {
            let said = findings
                .get(set)
                .into_iter()
                .flatten()
                .filter(|finding| finding["severity"] == "error" || finding["severity"] == "unsupported");
            let said: BTreeSet<String> = said.map(|finding| text_of(&finding["resource"])).collect();
            let said =
                said.into_iter().filter(|label| !NOT_PLAYED.iter().any(|kind| label.starts_with(kind)));
            assert_eq!(
                said.collect::<BTreeSet<_>>(),
                play::refused(resources),
                "{set}: {:?}",
                findings.get(set)
            );
        }
    }
}
