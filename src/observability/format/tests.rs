use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::*;
use crate::config::format::JsonFormat;
use crate::config::listener::TrafficDirection;
use crate::observability::stream_info::{
    Address, ClusterInfo, ConnectionInfo, Protocol, ResponseFlags, UpstreamInfo,
};

struct Sample {
    info: StreamInfo,
    request: Headers,
    response: Headers,
    trailers: Headers,
}

fn address(text: &str) -> Address {
    Address::Ip(text.parse::<SocketAddr>().unwrap())
}

fn sample() -> Sample {
    let connection = ConnectionInfo {
        is_there: true,
        id: 7,
        direct_remote: address("127.0.0.1:32786"),
        remote: address("127.0.0.1:32786"),
        local: address("127.0.0.1:28100"),
        direct_local: address("127.0.0.1:28100"),
        start: Instant::now(),
        listener_name: Some("web".into()),
        filter_chain_name: None,
        requested_server_name: "".into(),
        fingerprints: None,
        refusal: Default::default(),
        transport_failure_reason: Default::default(),
        encrypted: false,
        tls: Default::default(),
        listener_metadata: None,
        filter_chain_metadata: None,
        notes: Default::default(),
        local_restored: false,
        proxied_values: None,
        direction: TrafficDirection::default(),
        node: None,
        kept: Default::default(),
    };
    let start_time = UNIX_EPOCH + Duration::from_nanos(1_795_312_493_561_970_000);
    let mut info = StreamInfo::new(Instant::now(), start_time, Rc::new(connection));
    info.protocol = Some(Protocol::Http11);
    info.response_code = 503;
    info.response_flags = ResponseFlags::UF | ResponseFlags::URX;
    info.response_code_details = "reset{connection failure}".into();
    (info.bytes_sent, info.upstream_attempts) = (98, 1);
    info.timing.complete = Some(Duration::from_micros(7300));
    info.timing.upstream_rx_end = Some(Duration::from_millis(2));
    info.timing.downstream_rx_end = Some(Duration::from_micros(4500));
    info.timing.upstream_connect = Some(Duration::from_micros(23));
    info.upstream = Some(UpstreamInfo {
        host: Some(address("[::1]:28082")),
        transport_failure_reason: Some("refused it".into()),
        ..UpstreamInfo::of(ClusterInfo::named("app"))
    });
    let (mut request, mut response) = (Headers::new(), Headers::new());
    for (name, value) in [
        (":method", "GET"),
        (":path", "/p?q=a%20b&e=&q=2#f"),
        (":authority", "example.com"),
        ("content-type", "application/grpc"),
        ("x-quote", "a\"b\\c/é\t"),
    ] {
        request.append_received(name.as_bytes(), value.as_bytes());
    }
    request.append_received(b"x-raw", b"\xff\xfe\"");
    response.append_received(b"grpc-status", b"5");
    Sample { info, request, response, trailers: Headers::new() }
}

impl Sample {
    fn context(&self) -> Context<'_> {
        Context {
            info: &self.info,
            request: &self.request,
            response: &self.response,
            response_trailers: &self.trailers,
            local_reply_body: b"",
            log_type: LogType::DownstreamEnd,
        }
    }

    fn text(&self, format: &str, absent: Absent) -> String {
        let mut out = Vec::new();
        render(&Format::parse(format).unwrap(), &self.context(), absent, &mut out);
        String::from_utf8(out).unwrap()
    }
}

fn check(format: &str, expected: &str) {
    assert_eq!(sample().text(format, Absent::Dash), expected, "{format}");
}

#[test]
fn commands_give_what_envoy_gives() {
    check(
        "%REQ(:METHOD)% %REQ(x-none?:authority)% %REQ(x-none)% %REQ(:authority):4%",
        "GET example.com - exam",
    );
    check("%PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS%", "HTTP/1.1 503 UF,URX");
    check("%RESPONSE_FLAGS_LONG%", "UpstreamConnectionFailure,UpstreamRetryLimitExceeded");
    check("%RESPONSE_CODE_DETAILS%", "reset{connection_failure}");
    check("%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%", "reset{connection failure}");
    check("%DURATION% %REQUEST_DURATION% %RESPONSE_DURATION%", "7 4 -");
    check("%COMMON_DURATION(DS_RX_END:US_RX_END:us)% %COMMON_DURATION(US_RX_END:DS_RX_END:us)%", "- 2500");
    // The connection was there before the request: only how long it took is known.
    check("%COMMON_DURATION(US_CX_BEG:US_CX_END:us)% %COMMON_DURATION(DS_RX_BEG:US_CX_END:us)%", "23 -");
    check("%UPSTREAM_HOST% %UPSTREAM_HOST_NAME_WITHOUT_PORT% %UPSTREAM_REMOTE_ADDRESS%", "[::1]:28082 ::1 -");
    check("%UPSTREAM_HOSTS_ATTEMPTED% %UPSTREAM_CONNECTION_ID% %UPSTREAM_CLUSTER%", "- 0 app");
    check("%UPSTREAM_TRANSPORT_FAILURE_REASON% %UPSTREAM_REQUEST_ATTEMPT_COUNT%", "refused_it 1");
    check("%PATH(NQ)% %QUERY_PARAM(q)% %QUERY_PARAM(e)% %QUERY_PARAM(z)%", "/p a b  -");
    check("%QUERY_PARAMS% %QUERY_PARAMS(DECODED)%", "q=a%20b&e=&q=2#f q=a%20b&e=&q=2#f");
    check("%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%", "NotFound NOT_FOUND 5");
    check("%ACCESS_LOG_TYPE% %LISTENER_NAME% %FILTER_CHAIN_NAME% %ROUTE_NAME%", "DownstreamEnd web - -");
    check("%REQUESTED_SERVER_NAME% %REQUESTED_SERVER_NAME(SNI_FIRST)%", "- example.com");
    check("[%CUSTOM_FLAGS%] %DOWNSTREAM_TLS_VERSION% %BYTES_RETRANSMITTED%", "[] - 0");
    check(
        "%COALESCE({\"operators\":[\"ROUTE_NAME\",{\"command\":\"REQ\",\"param\":\":authority\"}]}):3%",
        "exa",
    );
}

#[test]
fn addresses_come_whole_in_parts_and_masked() {
    check("%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_PORT%", "127.0.0.1:32786 28100");
    let masked = |bits| format!("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT({bits})%");
    check(&masked("16"), "127.0.0.0/16");
    check(&masked("33"), "127.0.0.1/32");
    check(&masked("0"), "0.0.0.0/0");
    check(&masked("abc"), "127.0.0.1");
}

#[test]
fn times_are_written_as_envoy_writes_them() {
    check("%START_TIME%", "2026-11-22T01:54:53.561Z");
    check(
        "%START_TIME(%s.%3f %f %E3f %E*S %E4S %E*f %3f%6f)%",
        "1795312493.561 561970000 561 53.56197 53.5619 56197 561561970",
    );
    check(
        "%START_TIME(%Y/%m/%dT%H:%M:%S%z %e %a %b %j %Z %U %y %D %T %c %%)%",
        "2026/11/22T01:54:53+0000 22 Sun Nov 326 UTC 47 26 11/22/26 01:54:53 Sun Nov 22 01:54:53 2026 %",
    );
    check("%START_TIME(%-H %_5d %^a %#p %012F %Ey %Em %Q)%", "1    22 SUN am 002026-11-22 26 %Em %Q");
    check("%START_TIME(%%f %%d %:::z)%", "%561970000 %d +00");
    check("%START_TIME(a:b)%", "a:b");
    check("%START_TIME(%G-W%V-%u %I%p)%", "2026-W47-7 01AM");
}

#[test]
fn dates_are_right_around_leap_days_and_years() {
    let date = |seconds: u64| {
        let mut sample = sample();
        sample.info.start_time = UNIX_EPOCH + Duration::from_secs(seconds);
        sample.text("%START_TIME(%F %j %G-%V)%", Absent::Dash)
    };
    assert_eq!(date(0), "1970-01-01 001 1970-01");
    assert_eq!(date(951_782_400), "2000-02-29 060 2000-09");
    assert_eq!(date(1_735_603_200), "2024-12-31 366 2025-01");
    assert_eq!(date(1_798_761_600), "2027-01-01 001 2026-53");
}

#[test]
fn what_is_not_there_is_a_dash_or_nothing() {
    assert_eq!(sample().text("a%REQ(no)%b", Absent::Dash), "a-b");
    assert_eq!(sample().text("a%REQ(no)%b", Absent::Omit), "ab");
}

#[test]
fn unique_ids_are_uuids() {
    let (a, b) = (sample().text("%UNIQUE_ID%", Absent::Dash), sample().text("%UNIQUE_ID%", Absent::Dash));
    assert_ne!(a, b);
    assert_eq!((a.len(), &a[14..15]), (36, "4"));
    assert!(matches!(&a[19..20], "8" | "9" | "a" | "b"), "{a}");
}

fn json(source: &str, omit: bool) -> String {
    use prost::Message;
    let tree = dragoman_proto::tree::parse_json(source).unwrap();
    let bytes =
        dragoman_proto::encode(&tree.root, "google.protobuf.Struct", &Default::default()).unwrap().bytes;
    let fields = envoy_types::pb::google::protobuf::Struct::decode(&bytes[..]).unwrap();
    let mut out = Vec::new();
    render_json(&JsonFormat::from_struct(&fields, omit).unwrap(), &sample().context(), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn json_keeps_types_and_sorts_keys() {
    let source = r#"{
        "zz": {"b": 1, "a": "x%PROTOCOL%", "c": ["%RESPONSE_CODE%", 2.5, "%REQ(no)%", {"d": "%DURATION%"}],
               "n": "%REQ(no)%x"},
        "big": 1e20, "empty": "", "neg": -7, "nul": null, "multi": "%RESPONSE_CODE% %BYTES_SENT%", "yes": true
    }"#;
    assert_eq!(
        json(source, false),
        r#"{"big":1e+20,"empty":"","multi":"503 98","neg":-7,"nul":null,"yes":true,"#.to_owned()
            + r#""zz":{"a":"xHTTP/1.1","b":1,"c":[503,2.5,null,{"d":7}],"n":"-x"}}"#
    );
    assert_eq!(
        json(source, true),
        r#"{"big":1e+20,"empty":"","multi":"503 98","neg":-7,"yes":true,"#.to_owned()
            + r#""zz":{"a":"xHTTP/1.1","b":1,"c":[503,2.5,{"d":7}],"n":"x"}}"#
    );
}

#[test]
fn json_strings_are_escaped() {
    assert_eq!(json(r#"{"a": "%REQ(x-quote)%"}"#, false), r#"{"a":"a\"b\\c/é\t"}"#);
    assert_eq!(json(r#"{"a": "%REQ(x-raw)%"}"#, false), r#"{"a":"\u00ff\u00fe\u0022"}"#);
}
