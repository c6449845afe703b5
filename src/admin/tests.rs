use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prost::Message;

use super::*;
use crate::observability::logging::Level;
use crate::observability::stats::http::HttpStats;
use crate::observability::stats::{ClusterStats, MembershipStats};

/// A program with one of each.
#[derive(Default)]
struct Sample {
    actions: RefCell<Vec<Action>>,
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
fn a_dump_has_envoys_messages_in_their_order() {
    let tested = Tested::new();
    let text = tested.get("/config_dump");
    let dump: Value = serde_json::from_str(&text).unwrap();
    let types: Vec<&str> = dump["configs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|config| config["@type"].as_str().unwrap().rsplit('.').next().unwrap())
        .collect();
    let expected = [
        "BootstrapConfigDump",
        "ClustersConfigDump",
        "ListenersConfigDump",
        "ScopedRoutesConfigDump",
        "RoutesConfigDump",
        "SecretsConfigDump",
    ];
    assert_eq!(types, expected);
    assert_eq!(dump["configs"][1]["dynamic_active_clusters"][0]["cluster"]["name"], "app");
    assert_eq!(dump["configs"][2]["dynamic_listeners"][0]["error_state"]["details"], "no good");
    // What is made piece by piece is written as if it had been written at once.
    assert_eq!(text, reply::pretty(&dump));
}

#[test]
fn a_dump_can_be_of_one_field_masked_and_by_name() {
    let tested = Tested::new();
    let masked = "{\n \"configs\": [\n  {\n   \"@type\": \
                  \"type.googleapis.com/envoy.admin.v3.ClustersConfigDump.StaticCluster\",\n   \"cluster\": {\n    \
                  \"@type\": \"type.googleapis.com/envoy.config.cluster.v3.Cluster\",\n    \"name\": \"fixed\"\n   \
                  }\n  }\n ]\n}\n";
    tested.check("/config_dump?resource=static_clusters&mask=cluster.name", masked);
    tested.check("/config_dump?resource=static_clusters&name_regex=other", "{}\n");
    let named = tested.get("/config_dump?name_regex=ap.");
    assert!(named.contains("\"app\"") && !named.contains("\"fixed\""), "{named}");
    let version = tested.get("/config_dump?mask=version_info");
    assert!(version.contains("\"version_info\": \"8\"") && !version.contains("cluster\""), "{version}");
}

#[test]
fn a_dump_that_cannot_be_made_says_why() {
    let tested = Tested::new();
    let check = |query: &str, status, text: &str| {
        assert_eq!(tested.ask("GET", &format!("/config_dump?{query}")), (status, text.to_owned()));
    };
    check("resource=xx", 404, "xx not found in config dump");
    check("mask=a", 400, "FieldMask a could not be successfully applied to any configs.");
    check(
        "mask=static_clusters.cluster.name",
        400,
        "FieldMask static_clusters.cluster.name could not be successfully applied to any configs.",
    );
    check(
        "resource=bootstrap",
        400,
        "bootstrap is not a repeated field. Use ?mask=bootstrap to get only this field",
    );
    check("resource=dynamic_endpoint_configs", 404, "dynamic_endpoint_configs not found in config dump");
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

/// A registry with traffic, and the handles that keep it.
fn traffic(tested: &Tested) -> impl Sized {
    let registry = &tested.admin.registry;
    let cluster = ClusterStats::new(registry, "cluster.app.");
    let http = HttpStats::new(registry, "http.web.");
    let member = MembershipStats::new(registry, "cluster.app.");
    cluster.upstream_rq().inc(200);
    cluster.upstream_rq().inc(503);
    http.count_response(200);
    http.downstream_rq_time().record(0);
    http.downstream_rq_time().record(7);
    member.membership_total().set(1);
    registry.latch_histograms();
    (cluster, http, member)
}

#[test]
fn statistics_are_lines_sorted_by_name_histograms_last() {
    let tested = Tested::new();
    let _kept = traffic(&tested);
    tested.check(
        "/stats?filter=upstream_rq_(.xx|503|completed)|membership_total",
        "cluster.app.membership_total: 1\ncluster.app.upstream_rq_2xx: 1\ncluster.app.upstream_rq_503: 1\n\
         cluster.app.upstream_rq_5xx: 1\ncluster.app.upstream_rq_completed: 2\n",
    );
    tested.check(
        "/stats?filter=downstream_rq_time$",
        "http.web.downstream_rq_time: P0(0,0) P25(0,0) P50(0,0) P75(7.05,7.05) P90(7.05,7.05) P95(7.05,7.05) \
         P99(7.05,7.05) P99.5(7.05,7.05) P99.9(7.05,7.05) P100(7.05,7.05)\n",
    );
    tested.check(
        "/stats?filter=web.downstream_cx_length_ms",
        "http.web.downstream_cx_length_ms: No recorded values\n",
    );
    tested.check("/stats?usedonly&type=Gauges", "cluster.app.membership_total: 1\n");
    let buckets = tested.get("/stats?filter=rq_time$&histogram_buckets=cumulative");
    assert!(
        buckets.contains(": B0.5(1,1) B1(1,1) B5(1,1) B10(2,2)") && buckets.contains("B1.8e+06(2,2)"),
        "{buckets}"
    );
    let detailed = tested.get("/stats?filter=rq_time$&histogram_buckets=detailed");
    assert!(
        detailed.contains("\n  totals=0,0:1, 7,0.1:1\n  intervals=0,0:1, 7,0.1:1\n  summary=P0(0,0)"),
        "{detailed}"
    );
}

#[test]
fn wrong_parameters_of_statistics_are_refused() {
    let tested = Tested::new();
    assert_eq!(tested.ask("GET", "/stats?type=x"), (400, "invalid &type= param".to_owned()));
    assert_eq!(tested.ask("GET", "/stats?filter=%5B").0, 400);
    assert_eq!(tested.ask("GET", "/stats?format=x").0, 400);
    assert_eq!(tested.ask("GET", "/stats?histogram_buckets=x").0, 400);
}

#[test]
fn statistics_in_json_are_one_object() {
    let tested = Tested::new();
    tested.check("/stats?format=json&filter=nothing", "{\"stats\":[]}");
    let _kept = traffic(&tested);
    tested.check(
        "/stats?format=json&filter=membership_total|rq_503",
        "{\"stats\":[{\"name\":\"cluster.app.membership_total\",\"value\":1},\
         {\"name\":\"cluster.app.upstream_rq_503\",\"value\":1}]}",
    );
    for form in ["", "&histogram_buckets=cumulative", "&histogram_buckets=detailed"] {
        let text = tested.get(&format!("/stats?format=json{form}"));
        let json: Value = serde_json::from_str(&text).unwrap();
        assert!(json["stats"].as_array().unwrap().last().unwrap()["histograms"] != Value::Null, "{text}");
    }
}

#[test]
fn prometheus_gets_each_metric_once_with_its_tags() {
    let tested = Tested::new();
    let _kept = traffic(&tested);
    let _other = MembershipStats::new(&tested.admin.registry, "cluster.b.");
    let text = tested.get("/stats/prometheus");
    for lines in [
        "# TYPE envoy_cluster_membership_total gauge\n\
         envoy_cluster_membership_total{envoy_cluster_name=\"app\"} 1\n\
         envoy_cluster_membership_total{envoy_cluster_name=\"b\"} 0\n",
        "# TYPE envoy_cluster_upstream_rq counter\n\
         envoy_cluster_upstream_rq{envoy_response_code=\"200\",envoy_cluster_name=\"app\"} 1\n\
         envoy_cluster_upstream_rq{envoy_response_code=\"503\",envoy_cluster_name=\"app\"} 1\n",
        "envoy_http_downstream_rq_xx{envoy_response_code_class=\"2\",envoy_http_conn_manager_prefix=\"web\"} 1\n",
        "envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix=\"web\",le=\"10\"} 2\n",
        "envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix=\"web\",le=\"+Inf\"} 2\n",
        "envoy_http_downstream_rq_time_count{envoy_http_conn_manager_prefix=\"web\"} 2\n",
    ] {
        assert!(text.contains(lines), "no {lines} in\n{text}");
    }
    let mut types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let count = types.len();
    types.dedup();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), count);
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
fn times_are_those_of_the_calendar() {
    let time: SystemTime = UNIX_EPOCH + Duration::from_millis(1_795_312_493_354);
    let text = Tested::new().get("/config_dump?resource=static_clusters&mask=last_updated");
    assert!(text.contains("2026-11-22T01:54:53.354Z"), "{time:?}: {text}");
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
