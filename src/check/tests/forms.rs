//! Every form of input.

use super::{check, check_files};

const CLUSTER: &str = "{\"name\": \"app\", \"connectTimeout\": \"1s\"}";

/// What is found in one file: its lines without the sum, and how many resources there are.
fn found(name: &str, content: &str) -> (Vec<String>, String) {
    let ran = check_files(&[(name, content)], &["--disable", "missing-timeout"]);
    let mut lines: Vec<_> = ran.out.lines().map(str::to_owned).collect();
    let sum = lines.pop().unwrap_or_default();
    let resources = sum.split(", ").nth(1).and_then(|part| part.split(':').next());
    (lines, resources.unwrap_or_default().to_owned())
}

fn assert_clean(name: &str, content: &str, resources: &str) {
    assert_eq!(found(name, content), (Vec::new(), resources.to_owned()), "{name}: {content}");
}

#[test]
fn dumps_of_envoy_and_of_dragoman_are_read_without_what_is_no_configuration() {
    for dump in ["config_dump.envoy.json", "config_dump.dragoman.json"] {
        let path = format!("{}/testdata/check/{dump}", env!("CARGO_MANIFEST_DIR"));
        let ran = check(&[&path, "--disable", "missing-timeout"]);
        let lines: Vec<_> = ran.out.lines().collect();
        assert_eq!(lines.len(), 4, "{}", ran.out);
        assert!(
            lines[0].contains("static_resources.clusters[0]: ") && lines[0].ends_with("[cleartext-upstream]")
        );
        assert!(lines[1].contains("there is no cluster \"ap\" [unknown-cluster]"), "{}", lines[1]);
        assert_eq!(lines[2], "    hint: did you mean 'app'?");
        assert!(
            lines[3].starts_with("1 source, 4 resources: 0 errors, 0 unsupported, 2 warnings"),
            "{}",
            lines[3]
        );
    }
}

#[test]
fn what_istioctl_prints_of_a_proxy_is_read() {
    let listener = "{\"name\": \"web\", \"address\": {\"socketAddress\": {\"address\": \"127.0.0.1\", \
                    \"portValue\": 80}}, \"filterChains\": [{\"filters\": []}]}";
    let routes = "{\"name\": \"80\", \"virtualHosts\": [{\"name\": \"all\", \"domains\": [\"*\"]}]}";
    // listeners, clusters, routes
    for resource in [listener, CLUSTER, routes] {
        assert_clean(
            "a.json",
            &format!("[{resource}, {}]", resource.replacen(": \"", ": \"b", 1).replace("80}", "81}")),
            "2 resources",
        );
    }
    // endpoints: states
    let state = "[{\"name\": \"app\", \"addedViaApi\": true, \"hostStatuses\": [{\"weight\": 1}], \
                 \"circuitBreakers\": {}, \"observabilityName\": \"app\"}]";
    assert_clean("a.json", state, "0 resources");
    // bootstrap
    let bootstrap = format!(
        "{{\"bootstrap\": {{\"staticResources\": {{\"clusters\": [{CLUSTER}]}}}}, \"lastUpdated\": \"x\"}}"
    );
    assert_clean("a.json", &bootstrap, "1 resource");
    // all
    let typed = |kind: &str, rest: &str| format!("{{\"@type\": \"type.googleapis.com/{kind}\", {rest}}}");
    let cluster = typed("envoy.config.cluster.v3.Cluster", &CLUSTER[1..CLUSTER.len() - 1]);
    let clusters = typed(
        "envoy.admin.v3.ClustersConfigDump",
        &format!("\"dynamicActiveClusters\": [{{\"versionInfo\": \"1\", \"cluster\": {cluster}}}]"),
    );
    assert_clean("a.json", &format!("{{\"configs\": [{clusters}]}}"), "1 resource");
    // ecds
    let router = typed("envoy.extensions.filters.http.router.v3.Router", "\"suppressEnvoyHeaders\": true");
    let extension = typed(
        "envoy.config.core.v3.TypedExtensionConfig",
        &format!("\"name\": \"router\", \"typedConfig\": {router}"),
    );
    let filters = typed(
        "envoy.admin.v3.EcdsConfigDump",
        &format!("\"ecdsFilters\": [{{\"versionInfo\": \"1\", \"ecdsFilter\": {extension}}}]"),
    );
    assert_clean("a.json", &format!("{{\"configs\": [{filters}]}}"), "1 resource");
    // secret: secrets are not served yet
    let secret = typed("envoy.extensions.transport_sockets.tls.v3.Secret", "\"name\": \"default\"");
    let secrets = format!("{{\"dynamicActiveSecrets\": [{{\"name\": \"default\", \"secret\": {secret}}}]}}");
    assert_eq!(found("a.json", &secrets).1, "1 resource");
}

#[test]
fn a_bootstrap_is_read_in_all_its_forms() {
    let yaml =
        "node: {id: a, cluster: b}\nstatic_resources: {clusters: [{name: app, connect_timeout: 0s}]}\n";
    let json = r#"{"node": {"id": "a", "cluster": "b"},
"staticResources": {"clusters": [{"name": "app", "connectTimeout": "0s"}]}}"#;
    let text = r#"node { id: "a" cluster: "b" } static_resources { clusters { name: "app" connect_timeout { seconds: 0 } } }"#;
    for (name, content, place) in [
        ("a.yaml", yaml, "2:60: "),
        ("a.yml", yaml, "2:60: "),
        ("a.json", json, "2:68: "),
        ("a.pb_text", text, " "),
    ] {
        let (lines, _) = found(name, content);
        let expected = format!("{name}:{place}error: static_resources.clusters[0].connect_timeout: ");
        assert!(lines[0].starts_with(&expected), "{lines:?}");
    }
    // Binary: a cluster without a name.
    let (lines, _) = found("a.pb", "\u{12}\u{2}\u{12}\u{0}");
    assert!(lines[0].starts_with("a.pb: error: static_resources.clusters[0].name: "), "{lines:?}");
}

#[test]
fn resources_are_read_alone_in_lists_and_in_responses() {
    let typed = "'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster, name: a, connect_timeout: 1s";
    for yaml in [
        format!("{{{typed}}}"),
        format!("[{{{typed}}}]"),
        format!("{{version_info: '1', resources: [{{{typed}}}]}}"),
        format!("resources:\n- name: a\n  version: '1'\n  resource: {{{typed}}}\n"),
        "{name: a, connect_timeout: 1s}".to_owned(),
        "clusters: [{name: a, connect_timeout: 1s}]".to_owned(),
    ] {
        assert_clean("a.yaml", &yaml, "1 resource");
    }
}

#[test]
fn lines_of_a_corpus_are_sources_of_their_own() {
    let line = |source: &str, name: &str| {
        format!(
            "{{\"source\": \"{source}\", \"resources\": [{{\"@type\": \
             \"type.googleapis.com/envoy.config.cluster.v3.Cluster\", \"name\": \"{name}\", \"connectTimeout\": \"0s\"}}]}}\n"
        )
    };
    let (lines, resources) =
        found("a.jsonl", &(line("o/r:one.yaml", "a") + "\n" + &line("o/r:two.yaml", "a")));
    assert!(lines[0].starts_with("o/r:one.yaml:1:"), "{lines:?}");
    assert!(lines[1].starts_with("o/r:two.yaml:3:"), "{lines:?}");
    assert_eq!(
        (lines.len(), resources.as_str()),
        (2, "2 resources"),
        "one name in two sources is no duplicate"
    );
}

#[test]
fn a_folder_is_searched_but_for_what_is_hidden_or_of_another_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    let within = folder.path().join("within");
    std::fs::create_dir(&within).expect("a folder");
    for (path, content) in [
        ("a.yaml", "{name: a, connect_timeout: 1s}"),
        ("within/b.json", "{\"name\": \"b\", \"connectTimeout\": \"1s\"}"),
        (".hidden.yaml", "{"),
        ("README.md", "{"),
    ] {
        std::fs::write(folder.path().join(path), content).expect("a file");
    }
    // A loop of links ends somewhere, and says so.
    let ran = check(&[folder.path().to_str().expect("text")]);
    assert!(ran.out.starts_with("2 sources, 2 resources: 0 errors"), "{}", ran.out);
    std::os::unix::fs::symlink(&within, within.join("again")).expect("a link");
    let ran = check(&[folder.path().to_str().expect("text")]);
    assert!(ran.err.contains("folders within each other"), "{}", ran.err);
}

#[test]
fn keys_that_a_dump_does_not_show_are_taken_to_be_good() {
    const REDACTED: &str = "W3JlZGFjdGVkXQ==";
    let ran = |key: &str| {
        let secret = format!(
            "{{\"dynamic_active_secrets\": [{{\"secret\": {{\"@type\": \"type.googleapis.com/\
             envoy.extensions.transport_sockets.tls.v3.Secret\", \"name\": \"own\", \"tls_certificate\": \
             {{\"certificate_chain\": {{\"filename\": \"{}/testdata/tls/server.pem\"}}, \
             \"private_key\": {{\"inline_bytes\": \"{key}\"}}}}}}}}]}}",
            env!("CARGO_MANIFEST_DIR")
        );
        check_files(&[("a.json", &secret)], &[])
    };
    assert_eq!(ran(REDACTED).ids(), Vec::<&str>::new());
    assert_eq!(ran("bm90aGluZw==").ids(), ["invalid"]);
}

#[test]
fn what_comes_over_xds_by_itself_is_read_as_it_will_be() {
    for (message, resource, expected) in [
        (
            "envoy.config.listener.v3.FilterChain",
            "{\"name\": \"c\", \"filters\": [{\"name\": \"\"}]}",
            "filters[0]",
        ),
        ("envoy.config.route.v3.VirtualHost", "{\"name\": \"v\", \"domains\": []}", "domains"),
        (
            "envoy.extensions.transport_sockets.tls.v3.Secret",
            "{\"name\": \"s\", \"validation_context\": {\"verify_certificate_hash\": [\"zz\"]}}",
            "validation_context.verify_certificate_hash[0]",
        ),
    ] {
        let typed = resource.replacen('{', &format!("{{\"@type\": \"type.googleapis.com/{message}\", "), 1);
        let ran = check_files(&[("a.json", &typed)], &[]);
        assert!(ran.out.contains(&format!(": {expected}")) && ran.ids().contains(&"invalid"), "{}", ran.out);
        assert!(!ran.out.contains("not served"), "{}", ran.out);
    }
}

#[test]
fn a_deprecated_field_is_told_once() {
    for options in ["http2_protocol_options", "http2ProtocolOptions"] {
        let cluster = format!("{{name: a, connect_timeout: 1s, {options}: {{}}}}\n");
        let ran = check_files(&[("a.yaml", &cluster)], &[]);
        assert_eq!(ran.ids(), ["deprecated"], "{}", ran.out);
    }
}
