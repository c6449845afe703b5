//! What is shown of a program with one of each thing.

use std::cell::{Cell, RefCell};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use prost::Message;

use super::*;
use crate::observability::logging::Level;

mod dump;
mod statistics;

/// A program with one of each.
#[derive(Default)]
struct Sample {
    actions: RefCell<Vec<Action>>,
    has_connection_managers: Cell<bool>,
}

fn cluster(name: &str) -> Bytes {
    use envoy_types::pb::envoy::config::cluster::v3::Cluster;
    Cluster { name: name.to_owned(), ..Cluster::default() }.encode_to_vec().into()
}

fn listener(name: &str) -> Bytes {
    use envoy_types::pb::envoy::config::listener::v3::Listener;
    Listener { name: name.to_owned(), ..Listener::default() }.encode_to_vec().into()
}

fn resource(kind: ResourceKind, state: ResourceState, name: &str, message: Bytes) -> Resource {
    let version = if state == ResourceState::Static { "" } else { "8" };
    Resource {
        kind,
        state,
        name: name.to_owned(),
        version: version.to_owned(),
        message: Content::Encoded(message),
        last_updated: UNIX_EPOCH + Duration::from_millis(1_795_312_493_354),
        error: None,
    }
}

impl Program for Sample {
    fn state(&self) -> ServerState {
        ServerState::Live
    }

    fn listeners(&self) -> Vec<ListenerStatus> {
        let address = |text: &str| ListenerAddress::Ip(text.parse().unwrap());
        vec![ListenerStatus {
            name: "web".to_owned(),
            addresses: vec![address("127.0.0.1:80"), address("[::1]:80")],
        }]
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = ClusterStatus>> {
        let limits = Thresholds {
            max_connections: 1024,
            max_pending_requests: 1024,
            max_requests: 1024,
            max_retries: 3,
        };
        let host = HostStatus {
            address: "127.0.0.1:81".to_owned(),
            parts: ListenerAddress::Ip("127.0.0.1:81".parse().unwrap()),
            hostname: String::new(),
            stats: vec![("cx_active", 2), ("cx_total", 5), ("rq_total", 0)],
            eds_health_status: "HEALTHY",
            health_flags: vec!["/failed_outlier_check", "/degraded_outlier_detection"],
            success_rate: Some(200.0 / 3.0),
            local_origin_success_rate: Some(0.0),
            weight: 1,
            locality: ("r".to_owned(), String::new(), String::new()),
            priority: 0,
            canary: false,
        };
        let app = ClusterStatus {
            name: "app".to_owned(),
            observability_name: "app".to_owned(),
            added_via_api: true,
            default_priority: limits,
            high_priority: limits,
            outlier: Some(OutlierStatus {
                average: 250.0 / 3.0,
                threshold: 52.0,
                local_origin_average: 100.0,
                local_origin_threshold: -1.0,
            }),
            hosts: vec![host],
            eds_service_name: String::new(),
        };
        Box::new(std::iter::once(app))
    }

    fn resources(&self) -> Vec<Resource> {
        let mut refused = resource(ResourceKind::Listener, ResourceState::Active, "web", listener("web"));
        refused.error = Some(UpdateFailure {
            failed_configuration: listener("web"),
            last_update_attempt: UNIX_EPOCH,
            details: "no good".to_owned(),
            version_info: "9".to_owned(),
        });
        vec![
            resource(ResourceKind::Bootstrap, ResourceState::Static, "", Bytes::new()),
            resource(ResourceKind::Cluster, ResourceState::Static, "fixed", cluster("fixed")),
            resource(ResourceKind::Cluster, ResourceState::Active, "app", cluster("app")),
            refused,
        ]
    }

    fn endpoints(&self) -> Vec<Resource> {
        let made = Content::Made(Rc::new(|| serde_json::json!({ "cluster_name": "app" })));
        let encoded = resource(ResourceKind::Endpoints, ResourceState::Static, "app", Bytes::new());
        vec![Resource { message: made, ..encoded }]
    }

    fn version(&self, kind: ResourceKind) -> String {
        if kind == ResourceKind::Cluster { "8".to_owned() } else { String::new() }
    }

    fn unsupported(&self) -> Vec<Unsupported> {
        let field = |kind, name: &str, path: &str| Unsupported {
            kind,
            name: name.to_owned(),
            path: path.to_owned(),
            reason: "nobody can notice".to_owned(),
        };
        vec![field(ResourceKind::Bootstrap, "", "a.b"), field(ResourceKind::Cluster, "app", "c[0]")]
    }

    fn certificates(&self) -> Vec<crate::transport::tls::shown::Shown> {
        Vec::new()
    }

    fn discovers_extensions(&self) -> bool {
        false
    }

    fn has_connection_managers(&self) -> bool {
        self.has_connection_managers.get()
    }

    fn unready(&self) -> Vec<UnreadyTargets> {
        Vec::new()
    }

    fn runtime(&self) -> RuntimeStatus {
        let entries = vec![("foo".to_owned(), vec!["1".to_owned(), String::new()])];
        RuntimeStatus { layers: vec!["static".to_owned(), "admin".to_owned()], entries }
    }

    fn modify_runtime(&self, _: Vec<(String, String)>) -> Result<(), String> {
        Ok(())
    }

    fn act(&self, action: Action) {
        self.actions.borrow_mut().push(action);
    }
}

struct Tested {
    admin: Admin,
    program: Rc<Sample>,
}

impl Tested {
    fn new() -> Self {
        let program = Rc::new(Sample::default());
        let admin = Admin {
            // Elsewhere, so that tests see what they made alone.
            traffic: Traffic::new(&Registry::new(1)),
            logs: Logs::default(),
            program: program.clone(),
            registry: Registry::new(1),
            levels: Levels::new(Level::Info),
            command_line_options: Value::Null,
            node: Value::Null,
            allow_paths: Vec::new(),
            merges_histograms: false,
            started: Instant::now(),
        };
        Tested { admin, program }
    }

    fn ask(&self, method: &str, target: &str) -> (u16, String) {
        let reply = self.admin.answer(method, target, None);
        let body: Vec<u8> = reply.body.flat_map(|piece| piece.to_vec()).collect();
        (reply.status, String::from_utf8(body).unwrap())
    }

    fn get(&self, target: &str) -> String {
        self.ask("GET", target).1
    }

    fn check(&self, target: &str, expected: &str) {
        assert_eq!(self.get(target), expected, "{target}");
    }
}

#[test]
fn what_is_not_there_or_not_allowed_is_said() {
    let tested = Tested::new();
    assert_eq!(tested.ask("GET", "/nope").0, 404);
    assert!(tested.get("/nope").starts_with("invalid path. admin commands are:\n  /: Admin home page\n"));
    let refused = (405, "Method GET not allowed, POST required.".to_owned());
    assert_eq!(tested.ask("GET", "/quitquitquit"), refused);
    assert!(tested.program.actions.borrow().is_empty());
}

#[test]
fn only_allowed_paths_are_served() {
    use crate::config::matcher::{StringMatcher, StringPattern};
    let mut tested = Tested::new();
    let pattern = StringPattern::Exact("/ready".to_owned());
    tested.admin.allow_paths = vec![StringMatcher { pattern, ignore_case: false }];
    assert_eq!(tested.ask("GET", "/ready?x"), (200, "LIVE\n".to_owned()));
    assert_eq!(tested.ask("GET", "/stats"), (403, "request to path /stats not allowed".to_owned()));
}

#[test]
fn actions_reach_the_program() {
    let tested = Tested::new();
    for target in
        ["/quitquitquit", "/healthcheck/fail", "/healthcheck/ok", "/drain_listeners?graceful&inboundonly"]
    {
        assert_eq!(tested.ask("POST", target), (200, "OK\n".to_owned()));
    }
    let drain = Drain { graceful: true, skip_exit: false, inbound_only: true };
    let expected =
        [Action::Quit, Action::FailHealthChecks, Action::PassHealthChecks, Action::DrainListeners(drain)];
    assert_eq!(*tested.program.actions.borrow(), expected);
}

#[test]
fn listeners_are_shown_with_all_their_addresses() {
    let tested = Tested::new();
    tested.check("/listeners", "web::127.0.0.1:80\nweb::[::1]:80\n");
    let json: Value = serde_json::from_str(&tested.get("/listeners?format=json")).unwrap();
    let status = &json["listener_statuses"][0];
    assert_eq!(status["local_address"]["socket_address"]["port_value"], 80);
    assert_eq!(status["additional_local_addresses"][0]["socket_address"]["address"], "::1");
}

#[test]
fn clusters_are_shown_with_their_hosts() {
    let tested = Tested::new();
    let text = tested.get("/clusters");
    let outlier = "app::outlier::success_rate_average::83.3333\napp::outlier::success_rate_ejection_threshold::52\n\
        app::outlier::local_origin_success_rate_average::100\n\
        app::outlier::local_origin_success_rate_ejection_threshold::-1\n";
    let before =
        ["app::observability_name::app\n", outlier, "app::default_priority::max_connections::1024\n"];
    assert!(text.starts_with(&before.concat()), "{text}");
    assert!(text.contains("app::added_via_api::true\napp::127.0.0.1:81::cx_active::2\n"), "{text}");
    assert!(
        text.contains("app::127.0.0.1:81::health_flags::/failed_outlier_check/degraded_outlier_detection\n")
    );
    assert!(
        text.contains("::success_rate::66.66666666666667\napp::127.0.0.1:81::local_origin_success_rate::0\n")
    );
    let json: Value = serde_json::from_str(&tested.get("/clusters?format=json")).unwrap();
    let host = &json["cluster_statuses"][0]["host_statuses"][0];
    let health = serde_json::json!({
        "failed_outlier_check": true, "eds_health_status": "HEALTHY", "failed_degraded_outlier_detection": true,
    });
    assert_eq!(host["health_status"], health);
    assert_eq!(host["local_origin_success_rate"], serde_json::json!({}));
    let threshold = &json["cluster_statuses"][0]["success_rate_ejection_threshold"];
    assert_eq!(*threshold, serde_json::json!({ "value": 52 }));
    assert_eq!(host["stats"][1], serde_json::json!({ "name": "rq_total" }));
    assert_eq!(host["stats"][2], serde_json::json!({ "type": "GAUGE", "value": "2", "name": "cx_active" }));
    tested.check("/clusters?filter=x", "");
    assert_eq!(tested.ask("GET", "/clusters?filter=%5B"), (400, "Invalid re2 regex".to_owned()));
}

#[test]
fn log_levels_are_shown_and_changed() {
    let tested = Tested::new();
    let (status, text) = tested.ask("POST", "/logging?paths=upstream:debug,http:trace");
    assert!(status == 200 && text.starts_with("active loggers:\n  a2a: info\n"), "{text}");
    assert!(text.contains("  upstream: debug\n") && text.contains("  http: trace\n"), "{text}");
    for (query, error) in [
        ("level=foo", "unknown logger level"),
        ("paths=foo", "empty logger name or empty logger level"),
        ("zzz=info", "unknown logger name"),
        ("a=b&c=d", "invalid number of parameters"),
    ] {
        let (status, text) = tested.ask("POST", &format!("/logging?{query}"));
        assert!(status == 400 && text.starts_with(&format!("error: {error}\n\nusage: /logging?")), "{text}");
    }
}

#[test]
fn the_runtime_is_shown_by_layer() {
    let tested = Tested::new();
    let runtime: Value = serde_json::from_str(&tested.get("/runtime")).unwrap();
    assert_eq!(runtime["entries"]["foo"]["final_value"], "1");
    assert_eq!(tested.ask("POST", "/runtime_modify").0, 400);
    assert_eq!(tested.ask("POST", "/runtime_modify?foo=2"), (200, "OK\n".to_owned()));
}

#[tokio::test]
async fn answers_carry_envoys_headers() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut client, server) = tokio::io::duplex(4096);
    let serving = serve(server, Ends::default(), Rc::new(Tested::new().admin));
    let asking = async {
        client.write_all(b"GET /ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (answer, ()) = tokio::join!(asking, serving);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let lines: Vec<&str> = head.lines().filter(|line| !line.starts_with("date: ")).collect();
    let expected = [
        "HTTP/1.1 200 OK",
        "content-type: text/plain; charset=UTF-8",
        "cache-control: no-cache, max-age=0",
        "x-content-type-options: nosniff",
        "server: envoy",
        "connection: close",
        "transfer-encoding: chunked",
    ];
    assert_eq!(lines, expected);
    assert_eq!(body, "5\r\nLIVE\n\r\n0\r\n\r\n");
}

#[test]
fn fields_without_effect_are_listed_with_their_resource() {
    let tested = Tested::new();
    assert_eq!(
        tested.get("/unsupported"),
        "bootstrap: a.b: nobody can notice\ncluster app: c[0]: nobody can notice\n"
    );
    let json: Value = serde_json::from_str(&tested.get("/unsupported?format=json")).unwrap();
    assert_eq!(json["fields"][1]["path"], "c[0]");
}
