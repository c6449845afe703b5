use std::rc::Rc;
use std::time::{Instant, SystemTime};

use serde_json::json;

use super::super::testing::request;
use super::*;
use crate::base::headers::Headers;
use crate::config::format::Format;
use crate::config::match_tree::Peers;
use crate::config::route::{
    DescriptorValue, Label, MetadataPath, MetadataSource, RateLimitAction as Action, Segment,
};
use crate::observability::stream_info::{Address, ConnectionInfo, StreamInfo};

fn info() -> StreamInfo {
    let address = || Address::Pipe("".into());
    let connection = Rc::new(ConnectionInfo::new(1, address(), address()));
    StreamInfo::new(Instant::now(), SystemTime::UNIX_EPOCH, connection)
}

fn shown(actions: Vec<Action>, headers: &Headers, info: &StreamInfo, source: &str) -> Option<String> {
    let limit = RateLimit {
        stage: 0,
        disable_key: String::new(),
        actions,
        hits_addend: None,
        limit: None,
        apply_on_stream_done: false,
        x_ratelimit_option: XRateLimitOption::Unspecified,
    };
    let (empty, runtime) = (Headers::new(), Values::default());
    let source = source.parse().ok();
    let asked = Asked {
        context: Context::new(info, headers, &empty),
        subject: Subject {
            peers: Peers { source, ..Peers::default() },
            ..Subject::of_headers(headers, &runtime)
        },
        source_cluster: "here",
        runtime: &runtime,
    };
    let entry = |entry: &Entry<'_>| format!("{}={}", entry.key, String::from_utf8_lossy(&entry.value));
    let descriptor = descriptor(&limit, &asked)?;
    Some(descriptor.entries.iter().map(entry).collect::<Vec<_>>().join(" "))
}

fn header(name: &str, skip_if_absent: bool) -> Action {
    Action::RequestHeader { name: name.into(), key: "h".into(), skip_if_absent }
}

fn generic(text: &str) -> Action {
    let format = Format::parse(text).ok().filter(|format| format.as_literal().is_none());
    let value = DescriptorValue { text: text.into(), format, by_runtime: true, default_value: String::new() };
    Action::GenericKey(Label { key: "generic_key".into(), value })
}

#[test]
fn without_one_of_its_parts_there_is_no_descriptor_unless_that_may_be_absent() {
    let mut headers = request("h", "/");
    headers.append_received(b"a", b"1");
    headers.append_received(b"a", b"2");
    let check = |actions, expected: Option<&str>| {
        assert_eq!(shown(actions, &headers, &info(), "").as_deref(), expected);
    };
    check(vec![header("a", false), Action::SourceCluster], Some("h=1 source_cluster=here"));
    check(vec![header("b", false), Action::SourceCluster], None);
    check(vec![header("b", true), Action::SourceCluster], Some("source_cluster=here"));
    check(vec![header("b", true)], Some(""));
    check(vec![Action::RemoteAddress], None);
    check(vec![Action::DestinationCluster], None);
}

#[test]
fn query_parameters_are_decoded() {
    let headers = request("h", "/?%61=1%202&a=3&b");
    let parameter =
        |name: &str| Action::QueryParameter { name: name.into(), key: "q".into(), skip_if_absent: false };
    for (name, expected) in [("a", Some("q=1 2")), ("b", Some("q=")), ("c", None)] {
        assert_eq!(shown(vec![parameter(name)], &headers, &info(), "").as_deref(), expected);
    }
}

#[test]
fn addresses_are_masked() {
    let masked = Action::MaskedRemoteAddress { v4: 24, v6: 64 };
    for (source, expected) in [
        ("10.1.2.3:80", "remote_address=10.1.2.3 masked_remote_address=10.1.2.0/24"),
        ("[2001:db8::1:2]:80", "remote_address=2001:db8::1:2 masked_remote_address=2001:db8::/64"),
    ] {
        let actions = vec![Action::RemoteAddress, masked.clone()];
        assert_eq!(shown(actions, &request("h", "/"), &info(), source).as_deref(), Some(expected));
    }
}

#[test]
fn metadata_counts_where_it_is_a_text() {
    let mut info = info();
    info.notes_mut().merge_metadata("m", &json!({"text": "t", "number": 1, "empty": ""}));
    let metadata = |key: &str, default_value: Option<&str>| Action::Metadata {
        source: MetadataSource::Dynamic,
        path: MetadataPath { name: "m".into(), segments: vec![Segment::Key(key.into())] },
        key: "k".into(),
        default_value: default_value.map(str::to_owned),
        skip_if_absent: false,
    };
    for (key, default_value, expected) in [
        ("text", None, Some("k=t")),
        ("number", None, None),
        ("number", Some("d"), Some("k=d")),
        ("empty", Some("d"), Some("k=d")),
        ("missing", None, None),
    ] {
        let actions = vec![metadata(key, default_value)];
        assert_eq!(shown(actions, &request("h", "/"), &info, "").as_deref(), expected, "{key}");
    }
}

#[test]
fn a_format_is_a_text_unless_the_runtime_says_otherwise() {
    let shown = shown(vec![generic("%REQ(:method)%")], &request("h", "/"), &info(), "");
    assert_eq!(shown.as_deref(), Some("generic_key=%REQ(:method)%"));
}
