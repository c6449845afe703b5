use super::*;

/// The error that Envoy 1.40 has for this format.
fn check_error(format: &str, expected: &str) {
    assert_eq!(Format::parse(format).unwrap_err().to_string(), expected, "{format}");
}

#[test]
fn bytes_with_their_framing_are_counted_on_both_sides_and_both_ways() {
    for (side, of) in [("DOWNSTREAM", Side::Downstream), ("UPSTREAM", Side::Upstream)] {
        for (what, count) in [
            ("WIRE", WireCount::All),
            ("HEADER", WireCount::Headers),
            ("DECOMPRESSED_HEADER", WireCount::DecompressedHeaders),
        ] {
            for (way, sent) in [("RECEIVED", false), ("SENT", true)] {
                let format = Format::parse(&format!("%{side}_{what}_BYTES_{way}%")).unwrap();
                let expected = Operator::Bytes(Bytes::Wire { side: of, sent, of: count });
                assert_eq!(format.as_command().unwrap().operator, expected);
            }
        }
    }
}

#[test]
fn an_argument_ends_where_its_command_can_end() {
    let format = Format::parse("%REQ(a(b):c)d)%").unwrap_err().to_string();
    assert_eq!(format, "Invalid header configuration. Format string contains invalid characters.");
    let lines = "%QUERY_PARAM(a\n)%";
    let error = "Couldn't find valid command at position 0";
    assert_eq!(
        Format::parse(lines).unwrap_err().to_string(),
        format!("Incorrect configuration: {lines}. {error}")
    );
    let format = Format::parse("%QUERY_PARAM(a):b):3%)").unwrap();
    let parameter = Command { operator: Operator::QueryParam("a):b".into()), max_length: Some(3) };
    assert_eq!(format.parts, [Part::Command(parameter), Part::Literal(")".into())]);
}

#[test]
fn errors_are_worded_as_envoys() {
    check_error("%FOO%", "Not supported field in StreamInfo: FOO");
    check_error("%REQ%", "REQ requires parameters");
    check_error("%REQ()%", "REQ requires parameters");
    check_error("%REQ(a?b?c)%", "More than 1 alternative header specified in token: a?b?c");
    check_error("%REQ(a b)%", "Invalid header configuration. Format string contains invalid characters.");
    check_error("%PROTOCOL(x)%", "PROTOCOL does not take any parameters or length");
    check_error("%PROTOCOL:3%", "PROTOCOL does not take any parameters or length");
    check_error("%START_TIME:3%", "START_TIME does not allow length to be specified.");
    check_error("%START_TIME(%n)%", "Invalid header configuration. Format string contains newline.");
    check_error("%UPSTREAM_METADATA(a):5%", "UPSTREAM_METADATA does not allow length to be specified.");
    check_error("%COMMON_DURATION(a)%", "Invalid common duration configuration: a.");
    check_error("%COMMON_DURATION(a:b:c)%", "Invalid common duration precision: c.");
    check_error("%PATH(x)%", "Invalid PATH option: 'x', only 'WQ'/'NQ' are allowed");
    check_error("%PATH(WQ:x)%", "Invalid PATH option: 'x', only 'ORIG'/'PATH'/'ORIG_OR_PATH' are allowed");
    check_error(
        "%GRPC_STATUS(x)%",
        "GrpcStatusFormatter only supports CAMEL_STRING, SNAKE_STRING or NUMBER. Got: x",
    );
    check_error("%FILTER_STATE%", "Invalid filter state configuration, key cannot be empty.");
    check_error(
        "%FILTER_STATE(a:b)%",
        "Invalid filter state serialize type, only support PLAIN/TYPED/FIELD.",
    );
    check_error("%METADATA(x)%", "x is not supported type of metadata");
    check_error(
        "%COALESCE({\"operators\":[\"FOO\"]})%",
        "COALESCE: failed to parse operator at index 0: unknown command: 'FOO'",
    );
    check_error("%XFCC_VALUE%", "XFCC_VALUE command requires a subcommand");
    check_error("%XFCC_VALUE(Peer)%", "XFCC_VALUE command does not support subcommand: peer");
    check_error("%COALESCE({})%", "COALESCE: JSON configuration must contain 'operators' array");
}

#[test]
fn a_stray_percent_sign_is_an_error_that_names_its_place() {
    for (format, at) in [
        ("abc%", 3),
        ("%START_TIME", 0),
        ("%REQ(x):a%", 0),
        ("%START_TIME%%", 12),
        ("%REQ(X)%%", 8),
        ("%", 0),
    ] {
        let expected =
            format!("Incorrect configuration: {format}. Couldn't find valid command at position {at}");
        check_error(format, &expected);
    }
}

#[test]
fn what_envoy_accepts_is_accepted() {
    for format in [
        "%%",
        "a%%b",
        "%START_TIME()%",
        "%START_TIME(%Q%9f%E4S)%",
        "%REQ(a):99999999999999999999%",
        "%REQ(?b)%",
        "%REQ(a?)%",
        "%ENVIRONMENT(A%B)%",
        "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(abc)%",
        "%PATH(WQ:ORIG:z)%",
        "%FILTER_STATE(a:FIELD:x)%",
        "%DYNAMIC_METADATA(a:b):3%",
        "%COALESCE({\"operators\":[\"PROTOCOL\",{\"command\":\"REQ\",\"param\":\"x\",\"max_length\":3}]}):5%",
        DEFAULT_ACCESS_LOG_FORMAT,
    ] {
        assert!(Format::parse(format).is_ok(), "{format}: {:?}", Format::parse(format));
    }
}

#[test]
fn every_command_of_envoy_that_needs_no_argument_is_known_if_not_served() {
    for name in include_str!("commands.txt").lines() {
        let parsed = Format::parse(&format!("%{name}%"));
        let unknown = format!("Not supported field in StreamInfo: {name}");
        assert!(!parsed.is_err_and(|error| error.to_string() == unknown), "{name}");
    }
}

#[test]
fn text_and_doubled_percent_signs_are_one_literal() {
    assert_eq!(Format::parse("a%%b").unwrap().as_literal(), Some("a%b"));
    assert_eq!(Format::parse("").unwrap().as_literal(), Some(""));
}
