//! What `/config_dump` shows.

use std::time::SystemTime;

use super::*;

#[test]
fn a_dump_has_envoys_messages_in_their_order() {
    let tested = Tested::new();
    tested.program.has_connection_managers.set(true);
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
fn a_dump_tells_of_routes_only_where_there_is_a_connection_manager() {
    let tested = Tested::new();
    assert!(!tested.get("/config_dump").contains("RoutesConfigDump"));
    let missing = (404, "static_route_configs not found in config dump".to_owned());
    assert_eq!(tested.ask("GET", "/config_dump?resource=static_route_configs"), missing);
    tested.program.has_connection_managers.set(true);
    tested.check("/config_dump?resource=static_route_configs", "{}\n");
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
fn times_are_those_of_the_calendar() {
    let time: SystemTime = UNIX_EPOCH + Duration::from_millis(1_795_312_493_354);
    let text = Tested::new().get("/config_dump?resource=static_clusters&mask=last_updated");
    assert!(text.contains("2026-11-22T01:54:53.354Z"), "{time:?}: {text}");
}
