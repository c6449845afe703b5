use std::os::unix::net::UnixStream;

use dragoman_proto::{encode, tree};

use super::*;
use crate::config::extension::Extensions;
use crate::observability::access_log;

const MANAGER: &str =
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
const FILE: &str = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog";
const ANY_PORT: &str =
    "address: {socket_address: {address: 127.0.0.1, port_value: 0}}\nenable_reuse_port: false";

/// A manager for one worker that nobody plays.
fn manager() -> Manager {
    let registry = Registry::new(0);
    let settings = access_log::Settings { workers: 0, flush_interval: Duration::ZERO, flush_size: 1 };
    let sinks = Arc::new(Sinks::new(settings, &registry).expect("a thread"));
    let (worker, _) = tokio::sync::mpsc::unbounded_channel();
    Manager::new(vec![worker], registry, sinks, Duration::ZERO, Pace::Immediate)
}

fn config(yaml: &str) -> Arc<config::Listener> {
    let yaml = format!(
        "name: web\n{yaml}\nfilter_chains:\n- filters:\n  - name: http\n    typed_config:\n      '@type': {MANAGER}\n      \
         stat_prefix: web\n      route_config: {{name: r}}\n      http_filters: \
         [{{name: router, typed_config: {{'@type': {ROUTER}}}}}]\n"
    );
    let document = tree::parse_yaml(&yaml).expect("YAML");
    let message = "envoy.config.listener.v3.Listener";
    let bytes = encode(&document.root, message, &encode::Options::default()).expect("a message").bytes;
    Arc::new(config::Listener::parse(&bytes, &Extensions::BUILT_IN).expect("a listener").0)
}

#[test]
fn a_listener_within_the_process_has_statistics_by_its_name() {
    let inner = config("internal_listener: {}");
    assert_eq!(super::stat_prefix(&inner), "listener.envoy_internal_web.");
    let refused = manager().prepare(inner, None).expect_err("no extension");
    assert_eq!(
        refused,
        "error adding listener named 'web': InternalListener bootstrap extension is mandatory"
    );
}

#[test]
fn an_update_has_the_sockets_of_the_one_that_it_supersedes() {
    let mut manager = manager();
    let first = manager.prepare(config(ANY_PORT), None).expect("a free port");
    let newer = config(&format!("{ANY_PORT}\nper_connection_buffer_limit_bytes: 7"));
    let second = manager.prepare(newer, Some(&first)).expect("the same port");
    assert!(Arc::ptr_eq(&first.sockets, &second.sockets));
}

#[test]
fn an_update_with_another_backlog_has_the_sockets_of_the_one_in_force() {
    let mut manager = manager();
    let first = manager.prepare(config(ANY_PORT), None).expect("a free port");
    manager.serve(Arc::clone(&first)).expect("a free port");
    let newer = config(&format!("{ANY_PORT}\ntcp_backlog_size: 7"));
    let second = manager.prepare(newer, None).expect("the same port");
    assert!(Arc::ptr_eq(&first.sockets, &second.sockets));
}

#[test]
fn an_update_that_cannot_be_served_leaves_the_path_of_a_unix_socket_alone() {
    let mut manager = manager();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let pipe = |mode| format!("address: {{pipe: {{path: {}, mode: {mode}}}}}", path.display());
    let first = manager.prepare(config(&pipe(384)), None).expect("a free path");
    manager.serve(Arc::clone(&first)).expect("a free path");
    let log =
        format!("access_log: [{{name: file, typed_config: {{'@type': {FILE}, path: /nowhere/at/all}}}}]");
    let refused = manager.prepare(config(&format!("{}\n{log}", pipe(448))), None);
    assert!(refused.expect_err("no such directory").starts_with("unable to open file"));
    UnixStream::connect(&path).expect("the first one listens");
    let second = manager.prepare(config(&pipe(448)), None).expect("a name beside the path");
    UnixStream::connect(&path).expect("the first one listens until the second one serves");
    let socket = first.sockets.bound[0].take(0).expect("nobody took it");
    assert!(socket.accept().and_then(|_| socket.accept()).is_ok(), "both came to the first one");
    manager.serve(second).expect("the path");
    UnixStream::connect(&path).expect("the second one listens");
    assert_eq!(socket.accept().expect_err("none came").kind(), std::io::ErrorKind::WouldBlock);
}
