use std::path::Path;
use std::time::Duration;

use super::super::handle::Subscription;
use super::super::message::type_url::CLUSTER;
use super::super::message::{Interest, Response};
use super::super::testing::{any, names, resource_names, set, sotw};
use super::*;
use crate::observability::stats::Registry;

/// A directory of its own that goes with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dragoman-xds-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file elsewhere and moves it into place.
    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let draft = self.path("draft");
        std::fs::write(&draft, content).unwrap();
        std::fs::rename(draft, self.path(name)).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn yaml(name: &str) -> String {
    format!("version_info: v-{name}\nresources:\n- \"@type\": {CLUSTER}\n  name: {name}\n")
}

fn follow(path: &Path, watched: Option<&Path>, interest: Interest) -> (Subscription, mpsc::Receiver<Notice>) {
    let (orders, receiver) = mpsc::unbounded_channel();
    let (notices, events) = mpsc::channel(8);
    let source = Source {
        path: path.to_owned(),
        watched_directory: watched
            .map(|path| WatchedDirectory { path: path.to_owned(), watch_modify: false }),
        unknown_fields: UnknownFields::default(),
        stats: ServerStats::new(&Registry::new(1), "server."),
    };
    tokio::spawn(run(source, receiver, notices));
    let id = SubscriptionId(1);
    (Subscription::new(id, CLUSTER, interest, Duration::ZERO, orders), events)
}

async fn next(events: &mut mpsc::Receiver<Notice>) -> Event {
    loop {
        match events.recv().await.unwrap().event {
            Event::Connected => {}
            event => return event,
        }
    }
}

async fn response(events: &mut mpsc::Receiver<Notice>) -> Response {
    match next(events).await {
        Event::Response(response) => response,
        other => panic!("no response: {other:?}"),
    }
}

#[tokio::test]
async fn a_file_is_read_at_once_and_when_it_is_replaced() {
    let directory = Directory::new("replaced");
    directory.put("cds.yaml", yaml("a"));
    let (_subscription, mut events) = follow(&directory.path("cds.yaml"), None, Interest::Wildcard);
    let first = response(&mut events).await;
    assert_eq!((resource_names(&first), &first.version[..], first.full), (vec!["a"], "v-a", true));
    directory.put("other.yaml", yaml("x"));
    directory.put("cds.yaml", yaml("b"));
    assert_eq!(resource_names(&response(&mut events).await), ["b"]);
}

#[tokio::test]
async fn a_file_that_is_no_good_changes_nothing_until_a_better_one_comes() {
    let directory = Directory::new("no-good");
    directory.put("cds.yaml", "resources: 7\n");
    let (_subscription, mut events) = follow(&directory.path("cds.yaml"), None, Interest::Wildcard);
    let Event::Rejected { error, .. } = next(&mut events).await else { panic!("not rejected") };
    assert!(error.contains("cds.yaml:1:"), "{error}");
    directory.put("cds.yaml", yaml("a"));
    assert_eq!(resource_names(&response(&mut events).await), ["a"]);
}

#[tokio::test]
async fn a_link_swapped_in_the_watched_directory_is_followed() {
    let directory = Directory::new("swapped");
    for name in ["one", "two"] {
        std::fs::create_dir(directory.path(name)).unwrap();
        std::fs::write(directory.path(name).join("cds.yaml"), yaml(name)).unwrap();
    }
    std::os::unix::fs::symlink("one", directory.path("data")).unwrap();
    let path = directory.path("data").join("cds.yaml");
    let (_subscription, mut events) = follow(&path, Some(&directory.0), Interest::Wildcard);
    assert_eq!(resource_names(&response(&mut events).await), ["one"]);
    std::os::unix::fs::symlink("two", directory.path("draft")).unwrap();
    std::fs::rename(directory.path("draft"), directory.path("data")).unwrap();
    assert_eq!(resource_names(&response(&mut events).await), ["two"]);
}

#[tokio::test]
async fn names_wanted_later_are_taken_from_what_was_read() {
    let directory = Directory::new("names");
    let content = sotw("1", "", vec![any("a", 1), any("b", 1)]);
    directory.put("eds.pb", content.encode_to_vec());
    let (subscription, mut events) = follow(&directory.path("eds.pb"), None, names(&["a"]));
    assert_eq!(resource_names(&response(&mut events).await), ["a"]);
    subscription.set_names(set(&["a", "b"]));
    assert_eq!(resource_names(&response(&mut events).await), ["a", "b"]);
}

#[test]
fn json_and_text_proto_are_understood() {
    let json = format!(r#"{{"version_info": "1", "resources": [{{"@type": "{CLUSTER}", "name": "a"}}]}}"#);
    let parse = |bytes: &[u8], extension| {
        parse(bytes.to_vec(), extension, UnknownFields::Tell).map(|content| content.response)
    };
    for extension in ["json", "whatever"] {
        assert_eq!(parse(json.as_bytes(), extension).unwrap().resources.len(), 1);
    }
    assert_eq!(parse(b"version_info: \"7\"", "pb_text").unwrap().version_info, "7");
    assert!(parse(b"\xff", "yaml").unwrap_err().contains("not UTF-8"));
}

#[test]
fn unknown_fields_of_a_text_are_left_out_and_told_unless_they_are_refused() {
    let text = || format!("resources:\n- \"@type\": {CLUSTER}\n  name: a\n  a_new_field: 1\n").into_bytes();
    for unknown_fields in [UnknownFields::Tell, UnknownFields::Ignore] {
        let Content { response, unknown } = parse(text(), "yaml", unknown_fields).unwrap();
        assert_eq!(response.resources.len(), 1);
        assert!(matches!(&unknown[..], [one] if one.contains("a_new_field")), "{unknown:?}");
    }
    let error = parse(text(), "yaml", UnknownFields::Reject).unwrap_err();
    assert!(error.contains("a_new_field"), "{error}");
}
