//! From the resources of a case to the one static bootstrap that Envoy was asked about.
//!
//! `rds` becomes `route_config` and EDS a `load_assignment` where the case has what they ask for, `sds_config` goes where
//! the case has the secret, and a management server is added. Certificates and keys are replaced by a pair that is one: those of the
//! corpus are dummies in part.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::cases::text_of;

/// The bootstrap of a case: that among its resources, or one made of the others.
pub(crate) fn bootstrap(resources: Vec<Value>, is_bootstrap: bool) -> Value {
    let is_one = |resource: &&Value| text_of(&resource["@type"]).ends_with(".Bootstrap");
    if is_bootstrap && let Some(bootstrap) = resources.iter().find(is_one) {
        let mut bootstrap = bootstrap.clone();
        within(&mut bootstrap, &mut replace_certificates);
        return bootstrap;
    }
    let mut parts = Parts::default();
    for mut resource in resources {
        within(&mut resource, &mut replace_certificates);
        parts.add(resource);
    }
    parts.assemble()
}

#[derive(Default)]
struct Parts {
    listeners: Vec<Value>,
    clusters: Vec<Value>,
    secrets: Vec<Value>,
    routes: HashMap<String, Value>,
    assignments: HashMap<String, Value>,
}

impl Parts {
    fn add(&mut self, mut resource: Value) {
        let kind = text_of(&resource["@type"]);
        if let Value::Object(fields) = &mut resource {
            fields.remove("@type");
        }
        match kind.rsplit('.').next().unwrap_or_default() {
            "Listener" => self.listeners.push(resource),
            "Cluster" => self.clusters.push(resource),
            // In some cases a secret stands twice.
            "Secret" if self.secrets.iter().any(|secret| secret["name"] == resource["name"]) => {}
            "Secret" => self.secrets.push(resource),
            "RouteConfiguration" => {
                self.routes.insert(text_of(&resource["name"]), resource);
            }
            "ClusterLoadAssignment" => {
                self.assignments.insert(text_of(&resource["clusterName"]), resource);
            }
            _ => {}
        }
    }

    fn assemble(self) -> Value {
        let Parts { mut listeners, mut clusters, secrets, routes, assignments } = self;
        clusters.iter_mut().for_each(|cluster| fix_endpoints(cluster, &assignments));
        let names: Vec<String> = secrets.iter().map(|secret| text_of(&secret["name"])).collect();
        for resource in listeners.iter_mut().chain(&mut clusters) {
            within(resource, &mut |fields| {
                inline_routes(fields, &routes);
                if fields.get("name").is_some_and(|name| names.contains(&text_of(name))) {
                    fields.remove("sdsConfig");
                }
            });
        }
        clusters.push(json!({ "name": "the-management-server", "type": "STATIC", "connectTimeout": "1s" }));
        json!({
            "@type": "type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap",
            "node": { "id": "a", "cluster": "b" },
            "staticResources": { "listeners": listeners, "clusters": clusters, "secrets": secrets },
            "dynamicResources": { "adsConfig": {
                "apiType": "GRPC",
                "transportApiVersion": "V3",
                "grpcServices": [{ "envoyGrpc": { "clusterName": "the-management-server" } }],
            } },
        })
    }
}

type Fields = serde_json::Map<String, Value>;

/// Calls `change` with every object in a value.
fn within(value: &mut Value, change: &mut impl FnMut(&mut Fields)) {
    match value {
        Value::Object(fields) => {
            change(fields);
            fields.values_mut().for_each(|value| within(value, change));
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| within(element, change)),
        _ => {}
    }
}

/// Gives what holds a certificate the chain and the key of one of this project's.
fn replace_certificates(fields: &mut Fields) {
    const CHAIN: &str = include_str!("../../testdata/tls/service.pem");
    const KEY: &str = include_str!("../../testdata/tls/service.key");
    let replace = |certificate: &mut Value| {
        certificate["certificateChain"] = json!({ "inlineString": CHAIN });
        certificate["privateKey"] = json!({ "inlineString": KEY });
    };
    fields.get_mut("tlsCertificate").into_iter().for_each(replace);
    let several = fields.get_mut("tlsCertificates").and_then(Value::as_array_mut);
    several.into_iter().flatten().for_each(replace);
}

fn inline_routes(fields: &mut Fields, routes: &HashMap<String, Value>) {
    let name = fields.get("rds").map(|rds| text_of(&rds["routeConfigName"]));
    if let Some(table) = name.and_then(|name| routes.get(&name)) {
        fields.remove("rds");
        fields.insert("routeConfig".to_owned(), table.clone());
    }
}

fn fix_endpoints(cluster: &mut Value, assignments: &HashMap<String, Value>) {
    if cluster["type"] != "EDS" {
        return;
    }
    let service = text_of(&cluster["edsClusterConfig"]["serviceName"]);
    let service = if service.is_empty() { text_of(&cluster["name"]) } else { service };
    let Some(assignment) = assignments.get(&service) else { return };
    let mut assignment = assignment.clone();
    let mut has_names = false;
    within(&mut assignment, &mut |fields| {
        let address = fields.get("socketAddress").map(|address| text_of(&address["address"]));
        has_names |= address.is_some_and(|address| address.parse::<std::net::IpAddr>().is_err());
    });
    let Value::Object(fields) = cluster else { return };
    fields.remove("edsClusterConfig");
    fields.insert("type".to_owned(), json!(if has_names { "STRICT_DNS" } else { "STATIC" }));
    fields.insert("loadAssignment".to_owned(), assignment);
}
