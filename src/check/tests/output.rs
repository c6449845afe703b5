//! What people and programs get.

use serde_json::Value;

use super::{Ran, check_files};

#[test]
fn the_summary_counts_sources_and_what_blocks_them() {
    let lines = "\
{\"source\": \"o/r:one.yaml\", \"resources\": [{\"@type\": \"type.googleapis.com/envoy.config.cluster.v3.Cluster\", \"name\": \"a\"}]}
{\"source\": \"o/r:two.yaml\", \"resources\": [{\"@type\": \"type.googleapis.com/envoy.config.cluster.v3.Cluster\", \"name\": \"b\", \"filters\": [{\"name\": \"a\"}]}]}
";
    let ran = check_files(&[("corpus.jsonl", lines)], &["--summary"]);
    let printed: Vec<_> = ran.out.lines().collect();
    assert_eq!(printed[0], "1 of 2 sources would run unchanged");
    assert!(printed[1].starts_with("      1  unsupported: filters: "), "{}", ran.out);
}

#[test]
fn programs_get_json_and_sarif() {
    let files = [("c.yaml", "name: app\nfilters: [{name: a}]\n")];
    let parse = |ran: Ran| serde_json::from_str::<Value>(&ran.out).expect("JSON");
    let json = parse(check_files(&files, &["--format", "json"]));
    assert_eq!(json["findings"][0]["severity"], "unsupported");
    assert_eq!(
        (json["findings"][0]["line"].as_u64(), json["summary"]["findings"]["unsupported"].as_u64()),
        (Some(2), Some(1))
    );
    let sarif = parse(check_files(&files, &["--format", "sarif"]));
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!((result["ruleId"].as_str(), result["level"].as_str()), (Some("unsupported"), Some("error")));
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 2);
}

/// What sarif-schema-2.1.0.json requires of the parts that are written here.
#[test]
fn sarif_has_what_its_schema_requires() {
    let files = [("a b.yaml", "name: app\nfilters: [{name: a}]\nlb_polcy: 1\n"), ("c.yaml", "{")];
    let ran = check_files(&files, &["--format", "sarif"]);
    let log: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert!(run["tool"]["driver"]["name"].is_string());
    let rules = run["tool"]["driver"]["rules"].as_array().expect("a list");
    let ids: Vec<_> = rules.iter().map(|rule| &rule["id"]).collect();
    assert!(rules.iter().all(|rule| rule["shortDescription"]["text"].is_string()));
    assert!(["utf16CodeUnits", "unicodeCodePoints"].map(Value::from).contains(&run["columnKind"]));
    let results = run["results"].as_array().expect("a list");
    assert_eq!(results.len(), 3, "{results:?}");
    for result in results {
        assert!(ids.contains(&&result["ruleId"]), "{result}");
        assert!(["none", "note", "warning", "error"].map(Value::from).contains(&result["level"]), "{result}");
        assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()), "{result}");
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().expect("a text");
        assert!(!uri.contains([' ', ':', '"']), "{uri}");
        let region = &place["region"];
        assert!(
            region["startLine"].as_u64() > Some(0) && region["startColumn"].as_u64() > Some(0),
            "{result}"
        );
    }
}
