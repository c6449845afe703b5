//! NACKs, as people and as programs read them.

use std::time::SystemTime;

use dragoman_proto::rejected::{ErrorKind, RejectedResources};
use dragoman_proto::{encode, tree};

use super::*;
use crate::config::field::{ErrorKind as Kind, Notes};

const CLUSTER: &str = "envoy.config.cluster.v3.Cluster";

fn error(path: &str, message: &str) -> field::Error {
    field::Error { path: path.to_owned(), message: message.to_owned(), kind: Kind::Apply }
}

fn problem(name: &str, errors: Vec<field::Error>) -> Problem {
    Problem { name: name.to_owned(), errors, message: CLUSTER, value: Bytes::new() }
}

/// A cluster with these errors.
fn cluster(yaml: &str, errors: Vec<field::Error>) -> Problem {
    let document = tree::parse_yaml(yaml).expect("YAML");
    let value = encode(&document.root, CLUSTER, &encode::Options::default()).expect("a cluster").bytes;
    let record = Record {
        version: String::new(),
        value: value.into(),
        last_updated: SystemTime::UNIX_EPOCH,
        notes: Notes::new(),
    };
    Problem::new(CLUSTER, "c", errors, &record)
}

fn told(lead_in: LeadIn, problems: &[Problem]) -> (String, RejectedResources, Vec<String>) {
    match verdict(lead_in, problems) {
        Verdict::Nack { error, details, rejected } => (error, details, rejected),
        Verdict::Ack => panic!("there are problems"),
    }
}

#[test]
fn a_nack_lists_every_resource_behind_envoys_lead_in() {
    let problems = ["a", "b"].map(|name| problem(name, vec![error("", "bad")]));
    let (clusters, _, rejected) = told(LeadIn::Clusters, &problems);
    assert_eq!(clusters, "Error adding/updating cluster(s) a: bad, b: bad");
    assert_eq!(rejected, ["a", "b"]);
    assert_eq!(told(LeadIn::Listeners, &problems).0, "Error adding/updating listener(s) a: bad\nb: bad\n");
    assert_eq!(told(LeadIn::None, &problems).0, "a: bad, b: bad");
}

#[test]
fn no_problem_is_an_ack() {
    assert_eq!(verdict(LeadIn::Clusters, &[]), Verdict::Ack);
}

#[test]
fn a_resource_tells_all_its_errors() {
    let both = problem("a", vec![error("x", "wrong"), error("y[0]", "wrong")]);
    assert_eq!(both.text(), "x: wrong; y[0]: wrong");
    assert_eq!(told(LeadIn::None, &[both]).0, "a: x: wrong; y[0]: wrong");
}

#[test]
fn the_text_has_a_bound_and_says_how_many_errors_are_left_out() {
    let many = |count: usize| (0..count).map(|number| error(&format!("f[{number}]"), "wrong")).collect();
    let (text, details, _) = told(LeadIn::Listeners, &[problem("a", many(5000)), problem("b", many(7))]);
    assert!(text.len() <= MAX_TEXT_BYTES + 64, "{}", text.len());
    let listed = text.matches("wrong").count();
    assert!(text.ends_with(&format!(" ({} more errors)\n", 5007 - listed)), "{text}");
    let detailed: usize = details.resources.iter().map(|resource| resource.errors.len()).sum();
    assert_eq!((detailed, details.omitted_errors), (100, 4907));
    // However long it is, one is told.
    let (text, ..) = told(LeadIn::None, &[problem("a", vec![error("", &"ä".repeat(9999)), error("", "b")])]);
    assert!(text.starts_with("a: ä") && text.ends_with("ä; b"), "{}", text.len());
}

#[test]
fn details_say_path_value_reason_and_hint() {
    let errors = vec![
        error("connect_timeout", "too short; did you mean '1s'?"),
        field::Error {
            kind: Kind::Unsupported,
            ..error("health_checks[0].timeout", "not supported: no checks")
        },
        error("alt_stat_name", "is required"),
    ];
    let yaml = "{name: c, connect_timeout: 0.1s, health_checks: [{timeout: 3s}]}";
    let (_, details, _) = told(LeadIn::Clusters, &[cluster(yaml, errors)]);
    assert_eq!(details.resources[0].name, "c");
    let errors = &details.resources[0].errors;
    let read: Vec<_> = errors
        .iter()
        .map(|error| (error.value.as_str(), error.reason.as_str(), error.hint.as_str(), error.kind()))
        .collect();
    assert_eq!(
        read,
        [
            ("\"0.100s\"", "too short", "did you mean '1s'?", ErrorKind::Invalid),
            ("\"3s\"", "not supported: no checks", "", ErrorKind::Unsupported),
            ("", "is required", "", ErrorKind::Invalid),
        ]
    );
}

#[test]
fn secrets_and_large_values_are_left_out_of_details() {
    let context = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
    let yaml = format!(
        "{{name: c, metadata: {{filter_metadata: {{a: {{b: {}}}}}}}, transport_socket: {{name: t, typed_config: \
         {{'@type': {context}, common_tls_context: {{tls_certificates: [{{private_key: {{inline_string: hush}}}}]}}}}}}}}",
        "x".repeat(300)
    );
    let key = "transport_socket.typed_config.common_tls_context.tls_certificates[0].private_key";
    let errors = vec![error(&format!("{key}.inline_string"), "bad"), error("metadata", "bad")];
    let (_, details, _) = told(LeadIn::Clusters, &[cluster(&yaml, errors)]);
    let values: Vec<_> = details.resources[0].errors.iter().map(|error| error.value.as_str()).collect();
    assert_eq!(values, ["\"[redacted]\"", ""]);
}
