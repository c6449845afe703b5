//! What is found in configurations, read from files as people have them: `forms`, what they may be; `rules`, what
//! resources mean together; `output`, what programs get.

mod forms;
mod output;
mod rules;

use super::{Options, run};
use crate::config::extension::Extensions;

/// What a run prints, and its exit code.
struct Ran {
    out: String,
    err: String,
    code: String,
}

impl Ran {
    /// The ids of all findings, in order.
    fn ids(&self) -> Vec<&str> {
        self.out
            .lines()
            .filter_map(|line| line.strip_suffix(']')?.rsplit_once('[').map(|(_, id)| id))
            .collect()
    }
}

fn check(arguments: &[&str]) -> Ran {
    let words: Vec<_> = arguments.iter().map(|&word| word.to_owned()).collect();
    let options = Options::parse_words(&words).expect("options");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(&options, &Extensions::BUILT_IN, &mut out, &mut err).expect("memory takes everything");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { out: text(out), err: text(err), code: format!("{code:?}") }
}

/// Checks files of these names and contents, with these options.
fn check_files(files: &[(&str, &str)], options: &[&str]) -> Ran {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect("a file");
    }
    let path = folder.path().to_str().expect("a path of text");
    let mut ran = check(&[options, &[path]].concat());
    ran.out = ran.out.replace(&format!("{path}/"), "");
    ran
}

/// The ids of the findings in one file, but for timeouts that are missing.
fn ids(yaml: &str) -> Vec<String> {
    let ran = check_files(&[("a.yaml", yaml)], &["--disable", "missing-timeout"]);
    ran.ids().into_iter().map(str::to_owned).collect()
}

fn exit(code: u8) -> String {
    format!("{:?}", std::process::ExitCode::from(code))
}

const MANAGER: &str = "\
name: web
address: {socket_address: {address: 127.0.0.1, port_value: 0}}
filter_chains:
- filters:
  - name: envoy.filters.network.http_connection_manager
    typed_config:
      '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: web
      request_headers_timeout: 5s
      http_filters:
      - name: envoy.filters.http.router
        typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
";

fn listener(routes: &str) -> String {
    format!(
        "{MANAGER}      route_config: {{name: r, virtual_hosts: [{{name: h, domains: ['*'], routes: {routes}}}]}}\n"
    )
}

fn resources(parts: &[&str]) -> String {
    parts.join("---\n")
}

#[test]
fn what_is_clean_ends_with_0() {
    let clean = listener("[{match: {prefix: /}, route: {cluster: app}}]");
    let ran = check_files(&[("a.yaml", &resources(&[&clean, "{name: app, connect_timeout: 1s}\n"]))], &[]);
    assert_eq!(
        (ran.out.as_str(), ran.code),
        (
            "1 source, 2 resources: 0 errors, 0 unsupported, 0 warnings, 0 unknown, 0 deprecated, 0 ignored\n",
            exit(0)
        )
    );
}

#[test]
fn every_finding_says_file_line_column_path_and_hint() {
    let ran = check_files(
        &[("c.yaml", "name: app\nlb_polcy: RANDOM\nhealth_checks: [{}]\nconnect_timeout: 1\n")],
        &[],
    );
    assert_eq!(ran.out, "\
c.yaml:4:18: error: cluster \"app\": connect_timeout: expected a duration such as `1.5s`, found a number [invalid]
1 source, 0 resources: 1 error, 0 unsupported, 0 warnings, 0 unknown, 0 deprecated, 0 ignored
");
    let ran = check_files(&[("c.yaml", "name: app\nlb_polcy: RANDOM\nfilters: [{name: a}]\n")], &[]);
    let lines: Vec<_> = ran.out.lines().collect();
    assert!(lines[0].starts_with("c.yaml:2:1: unknown: cluster \"app\": lb_polcy: "), "{}", ran.out);
    assert_eq!(lines[1], "    hint: did you mean `lb_policy`?");
    assert!(lines[2].starts_with("c.yaml:3:10: unsupported: cluster \"app\": filters: "), "{}", ran.out);
    assert_eq!(ran.code, exit(1));
}

#[test]
fn an_unknown_field_is_an_error_in_a_bootstrap_alone() {
    assert!(
        check_files(&[("b.yaml", "{node: {id: a, cluster: b}, admn: {}}")], &[])
            .out
            .contains(": error: admn: ")
    );
    assert!(
        check_files(&[("c.yaml", "{name: a, connect_timeout: 1s, lb_polcy: 1}")], &[])
            .out
            .contains(": unknown: cluster")
    );
}

#[test]
fn what_cannot_be_read_ends_with_2_and_the_rest_is_looked_at() {
    let ran = check(&["/no/such/file", concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/demo")]);
    assert_eq!(
        (ran.err.as_str(), ran.code),
        ("error: /no/such/file: No such file or directory (os error 2)\n", exit(2))
    );
    assert!(ran.out.contains("4 sources"), "{}", ran.out);
    let ran = check(&["/dev/null"]);
    assert_eq!((ran.err.as_str(), ran.code), ("error: /dev/null: not a regular file\n", exit(2)));
}

#[test]
fn findings_of_an_id_can_be_left_out_but_not_what_blocks() {
    let endless = listener("[{match: {prefix: /}, route: {cluster: a, timeout: 0s}}]");
    assert_eq!(
        check_files(&[("a.yaml", &endless)], &["--disable", "missing-timeout"]).ids(),
        Vec::<&str>::new()
    );
    for id in ["invalid", "unsupported", "no-such-id"] {
        let words = ["--disable", id, "x"].map(str::to_owned);
        assert!(Options::parse_words(&words).is_err(), "{id}");
    }
}

#[test]
fn odd_input_is_answered_with_findings() {
    for content in ["", "[]", "5", "{", "a: &a [*a]", "\u{0}", "{resources: 5}", "- - - {}", "{\"@type\": 5}"]
    {
        for name in ["a.yaml", "a.json", "a.jsonl", "a.pb", "a.pb_text"] {
            let ran = check_files(&[(name, content)], &[]);
            assert!(ran.out.contains(" source"), "{name}: {content:?}");
        }
    }
}
