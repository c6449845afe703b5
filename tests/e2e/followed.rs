//! Files that are read again: bodies of direct responses, and resources over `path_config_source`.

use std::path::Path;
use std::time::Instant;

use super::setup::{Client, PATIENCE, with_each_program};

/// A folder with files that hold their own names.
fn folder(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        std::fs::write(folder.path().join(name), name).unwrap();
    }
    folder
}

/// Writes a file beside its place and moves it there.
fn move_in(folder: &Path, name: &str, content: &str) {
    std::fs::write(folder.join("moving"), content).unwrap();
    std::fs::rename(folder.join("moving"), folder.join(name)).unwrap();
}

/// A bootstrap with these routes of a connection manager, or with what says where they come from.
fn bootstrap(routes: &str) -> String {
    format!(
        r#"
node: {{id: test, cluster: test}}
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
static_resources:
  listeners:
  - name: web
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          {routes}
          http_filters:
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
"#
    )
}

/// Asks until this is the answer.
fn await_answer(client: &mut Client, path: &str, wanted: &str) {
    let deadline = Instant::now() + PATIENCE;
    while client.get(path) != wanted {
        assert!(Instant::now() < deadline, "{path} is not answered with {wanted}");
    }
}

#[test]
fn the_body_of_a_direct_response_is_read_again_when_its_directory_changes() {
    let folder = folder(&["once", "moved", "written"]);
    let path = folder.path().display();
    let route = |name: &str, watched: &str| {
        format!(
            "{{match: {{path: /{name}}}, direct_response: {{status: 200, body: {{filename: '{path}/{name}'{watched}}}}}}}"
        )
    };
    let watched = |more: &str| format!(", watched_directory: {{path: '{path}'{more}}}");
    let routes =
        [route("once", ""), route("moved", &watched("")), route("written", &watched(", watch_modify: true"))];
    let routes = format!(
        "route_config: {{virtual_hosts: [{{name: all, domains: ['*'], routes: [{}]}}]}}",
        routes.join(", ")
    );
    with_each_program(|start| {
        for name in ["once", "moved", "written"] {
            move_in(folder.path(), name, name);
        }
        let (proxy, _directory) = start(&bootstrap(&routes));
        let mut client = Client::connect(&proxy);
        let answers = |client: &mut Client| ["/once", "/moved", "/written"].map(|path| client.get(path));
        assert_eq!(answers(&mut client), ["once", "moved", "written"]);
        for name in ["once", "moved", "written"] {
            move_in(folder.path(), name, "second");
        }
        await_answer(&mut client, "/moved", "second");
        await_answer(&mut client, "/written", "second");
        assert_eq!(client.get("/once"), "once");
        // Written in place.
        for name in ["once", "moved", "written"] {
            std::fs::write(folder.path().join(name), "third").unwrap();
        }
        await_answer(&mut client, "/written", "third");
        assert_eq!(client.get("/moved"), "second");
        // Larger than `max_direct_response_body_size_bytes`, and gone.
        move_in(folder.path(), "moved", &"x".repeat(5000));
        std::fs::remove_file(folder.path().join("written")).unwrap();
        move_in(folder.path(), "once", "fourth");
        assert_eq!(answers(&mut client), ["once", "second", "third"]);
        move_in(folder.path(), "written", "fifth");
        await_answer(&mut client, "/written", "fifth");
        assert_eq!(client.get("/moved"), "second");
    });
}

#[test]
fn resources_are_read_again_when_their_file_is_written_in_place_if_that_is_to_count() {
    let folder = folder(&[]);
    let path = folder.path().display();
    let table = |answer: &str| {
        format!(
            "resources: [{{'@type': type.googleapis.com/envoy.config.route.v3.RouteConfiguration, name: table, \
             virtual_hosts: [{{name: all, domains: ['*'], routes: [{{match: {{prefix: /}}, direct_response: \
             {{status: 200, body: {{inline_string: {answer}}}}}}}]}}]}}]"
        )
    };
    let rds = format!(
        "rds: {{route_config_name: table, config_source: {{path_config_source: {{path: '{path}/rds.yaml', \
         watched_directory: {{path: '{path}', watch_modify: true}}}}}}}}"
    );
    with_each_program(|start| {
        move_in(folder.path(), "rds.yaml", &table("first"));
        let (proxy, _directory) = start(&bootstrap(&rds));
        let mut client = Client::connect(&proxy);
        await_answer(&mut client, "/", "first");
        std::fs::write(folder.path().join("rds.yaml"), table("second")).unwrap();
        await_answer(&mut client, "/", "second");
        move_in(folder.path(), "rds.yaml", &table("third"));
        await_answer(&mut client, "/", "third");
    });
}
