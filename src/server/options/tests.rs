//! The command line as a whole. Expected texts are what Envoy 1.40 prints.

use super::*;

fn run(words: &[&str]) -> Result<Command, CommandLineError> {
    parse(std::iter::once("./envoy").chain(words.iter().copied()).map(str::to_owned))
}

fn options(words: &[&str]) -> Options {
    match run(words) {
        Ok(Command::Proxy(options)) => *options,
        other => panic!("{words:?} gave {other:?}"),
    }
}

/// A value that is not allowed: the whole of standard error.
fn refuses(words: &[&str], expected: &str) {
    let error = run(words).unwrap_err().to_string();
    assert_eq!(error, format!("error: {expected}\n"), "{words:?}");
}

/// Words that do not parse: who is at fault and why, at the top and at the end of standard error.
fn malformed(words: &[&str], argument: &str, reason: &str) {
    let error = run(words).unwrap_err().to_string();
    let top =
        format!("PARSE ERROR: Argument: {argument}\n             {reason}\n\nBrief USAGE: \n   ./envoy  [");
    let end =
        format!(" [-h]\n\nFor complete USAGE and HELP type: \n   ./envoy --help\n\n{argument} -- {reason}\n");
    assert!(error.starts_with(&top), "{words:?}: {error}");
    assert!(error.ends_with(&end), "{words:?}: {error}");
}

#[test]
fn without_flags_the_defaults_are_envoys() {
    let options = options(&[]);
    assert_eq!(options.config_path, None);
    assert_eq!(options.mode, Mode::Serve);
    assert_eq!(options.log_level, Level::Info);
    assert_eq!(options.drain_time, Duration::from_secs(600));
    assert_eq!(options.drain_strategy, DrainStrategy::Gradual);
    assert_eq!(options.file_flush_interval, Duration::from_secs(10));
    assert_eq!(options.file_flush_min_size_bytes, 65_536);
    assert_eq!(options.noted.parent_shutdown_time, Duration::from_secs(900));
    assert_eq!(options.log_format, None);
    assert!(options.concurrency >= 1);
    assert!(options.notes.is_empty());
}

#[test]
fn a_usual_command_line_is_understood() {
    let options = options(&[
        "-c",
        "/etc/envoy.yaml",
        "--restart-epoch",
        "0",
        "--drain-time-s",
        "45",
        "-l",
        "warn",
        "--component-log-level",
        "misc:error,upstream:debug",
        "--concurrency",
        "2",
        "--service-node",
        "n",
        "--service-cluster",
        "c",
        "--service-zone",
        "z",
        "--local-address-ip-version",
        "v6",
        "--drain-strategy",
        "immediate",
        "--log-format-escaped",
        "--config-yaml",
        "{}",
        "--stats-tag",
        "app:a:b",
        "--stats-tag",
        "app:c",
        "--mode",
        "validate",
        "--allow-unknown-fields",
    ]);
    assert_eq!(options.config_path.as_deref(), Some(std::path::Path::new("/etc/envoy.yaml")));
    assert_eq!(options.config_yaml.as_deref(), Some("{}"));
    assert_eq!(options.log_level, Level::Warning);
    assert_eq!(options.component_log_levels, [("misc", Level::Error), ("upstream", Level::Debug)]);
    assert_eq!((options.concurrency, options.mode), (2, Mode::Validate));
    let node = [&options.service_node, &options.service_cluster, &options.service_zone];
    assert_eq!(node, ["n", "c", "z"]);
    assert_eq!(options.local_address_ip_version, IpVersion::V6);
    assert_eq!(options.drain_time, Duration::from_secs(45));
    let tags: Vec<_> = options.stats_tags.iter().map(|tag| (tag.name.as_str(), tag.value.as_str())).collect();
    assert_eq!(tags, [("app", "a:b"), ("app", "c")]);
    assert!(options.allow_unknown_static_fields);
    let noted: Vec<_> = options.notes.iter().filter_map(|note| note.split(' ').next()).collect();
    assert_eq!(noted, ["--restart-epoch", "--local-address-ip-version"]);
}

#[test]
fn every_flag_is_accepted() {
    for flag in &flags::FLAGS {
        let name = format!("--{}", flag.long);
        let value = match flag.long {
            "mode" => "serve",
            "drain-strategy" => "gradual",
            "local-address-ip-version" => "v4",
            "log-level" => "info",
            "component-log-level" => "http:info",
            "stats-tag" => "a:b",
            _ => "7",
        };
        let words: &[&str] = if flag.takes == flags::Takes::Nothing { &[&name] } else { &[&name, value] };
        run(words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }
}

#[test]
fn a_flag_without_effect_says_so_once() {
    let quiet = options(&["--disable-hot-restart", "--cpuset-threads", "--base-id", "3"]);
    assert!(quiet.notes.is_empty(), "{:?}", quiet.notes);
    let noted = options(&["--enable-core-dump", "--concurrency", "1", "--cpuset-threads"]);
    assert_eq!(noted.notes.len(), 2, "{:?}", noted.notes);
}

#[test]
fn a_value_is_the_next_word_whatever_it_looks_like() {
    let options = options(&["-c", "--version", "--service-node", "-l", "--log-format", ""]);
    assert_eq!(options.config_path.as_deref(), Some(std::path::Path::new("--version")));
    assert_eq!((options.service_node.as_str(), options.log_format.as_deref()), ("-l", Some("")));
}

#[test]
fn a_word_may_hold_flag_and_value() {
    assert_eq!(options(&["--mode validate"]).mode, Mode::Validate);
}

#[test]
fn words_that_are_no_flag_are_refused() {
    let unknown = "Couldn't find match for argument";
    for word in
        ["--bogus", "-x", "foo", "--conf", "-c=/x", "--config-path=/x", "-c/x", "-ldebug", "--l", "-cl"]
    {
        malformed(&[word], word, unknown);
    }
    malformed(&["--cpuset-threads", "1"], "1", unknown);
    malformed(&["--cpuset-threads=1"], "--cpuset-threads=1", unknown);
    malformed(&["--bogus", "--version"], "--bogus", unknown);
}

#[test]
fn a_flag_needs_its_value_and_is_given_once() {
    malformed(&["-c"], "-c (--config-path)", "Missing a value for this argument!");
    malformed(&["--concurrency"], "(--concurrency)", "Missing a value for this argument!");
    malformed(&["-c", "a", "--config-path", "b"], "-c (--config-path)", "Argument already set!");
    malformed(&["--cpuset-threads", "--cpuset-threads"], "(--cpuset-threads)", "Argument already set!");
}

#[test]
fn a_number_is_a_number() {
    for (value, expected) in [(" 3", 3), ("+1", 1), ("0", 1), ("4294967295", u32::MAX)] {
        assert_eq!(options(&["--concurrency", value]).concurrency, expected, "{value}");
    }
    assert_eq!(options(&["--base-id", ""]).base_id, 0);
    for value in ["abc", "4294967296", "0x3", "1x", "1.5", "-1", "3 "] {
        let error = format!("Couldn't read argument value from string '{value}'");
        malformed(&["--concurrency", value], "(--concurrency)", &error);
    }
    let error = "More than one valid value parsed from string '1 2'";
    malformed(&["--concurrency", "1 2"], "(--concurrency)", error);
}

#[test]
fn a_value_that_is_not_allowed_is_refused_in_envoys_words() {
    refuses(&["-l", "INFO"], "invalid log level specified 'INFO'");
    refuses(&["-l", ""], "invalid log level specified ''");
    refuses(&["--component-log-level", "bogus:trace"], "invalid component specified 'bogus'");
    refuses(&["--component-log-level", "http:bogus"], "invalid log level specified 'bogus'");
    refuses(&["--component-log-level", "http:info,"], "component log level not correctly specified ''");
    refuses(&["--mode", "foo"], "unknown mode 'foo'");
    refuses(&["--mode", ""], "unknown mode ''");
    refuses(&["--local-address-ip-version", "v5"], "unknown IP address version 'v5'");
    refuses(&["--drain-strategy", "foo"], "unknown drain-strategy 'foo'");
    refuses(&["--stats-tag", "foo"], "misformatted stats-tag 'foo'");
    refuses(&["--stats-tag", "a:b.c"], "misformatted stats-tag 'a:b.c' contains invalid char in 'b.c'");
    refuses(&["--stats-tag", "f!:a"], "misformatted stats-tag 'f!:a' contains invalid char in 'f!'");
    refuses(&["--socket-path", "/x", "--socket-mode", "abc"], "invalid socket-mode 'abc'");
    refuses(
        &["--use-dynamic-base-id", "--restart-epoch", "1"],
        "cannot use --restart-epoch=1 with --use-dynamic-base-id",
    );
    refuses(
        &["--enable-fine-grain-logging", "--component-log-level", "http:info"],
        "--component-log-level will not work with --enable-fine-grain-logging",
    );
}

#[test]
fn help_and_version_win_over_what_follows() {
    for words in [["--version", "--bogus"], ["--help", "foo"], ["-h", "--version"]] {
        assert!(matches!(run(&words), Ok(Command::Print(_))), "{words:?}");
    }
}

#[test]
fn the_rest_is_ignored_on_request() {
    for marker in ["--", "--ignore_rest"] {
        assert_eq!(options(&["--mode", "validate", marker, "--bogus"]).mode, Mode::Validate);
    }
    assert_eq!(options(&["", "-", "--mode", "validate"]).mode, Mode::Validate);
}

#[test]
fn there_is_no_hot_restart_version() {
    assert_eq!(run(&["--hot-restart-version"]), Ok(Command::PrintError("disabled".to_owned())));
}

#[test]
fn subcommands_stand_first() {
    let Ok(Command::Demo(demo)) = run(&["demo", "-l", "debug"]) else { panic!("no demo") };
    assert_eq!(demo.log_level, Level::Debug);
    assert_eq!(run(&["ready"]), Ok(Command::Ready("127.0.0.1:9901".to_owned())));
    assert_eq!(run(&["ready", "[::1]:80"]), Ok(Command::Ready("[::1]:80".to_owned())));
    refuses(&["ready", "a", "b"], "usage: dragoman ready [HOST:PORT]");
    malformed(&["-l", "info", "demo"], "demo", "Couldn't find match for argument");
}

#[test]
fn the_report_shows_what_was_given_and_the_defaults() {
    let report =
        options(&["-c", "b.yaml", "--stats-tag", "a:b", "--component-log-level", "http:warn"]).to_json();
    assert_eq!((&report["config_path"], &report["log_level"]), (&"b.yaml".into(), &"info".into()));
    assert_eq!(report["stats_tag"][0], "a:b");
    assert_eq!((&report["socket_path"], &report["socket_mode"]), (&"@envoy_domain_socket".into(), &0.into()));
}
