//! A bootstrap of the corpus made to run here: on ports and files of this test's own, with hosts that refuse.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Map, Value, json};

/// How long a proxy waits for a control plane that is not there.
const FETCH_TIMEOUT: &str = "0.3s";

/// The bootstrap with its admin interface and its listeners on free ports of 127.0.0.1, all hosts at `nowhere`,
/// and files of resources that exist in `directory` and are empty.
pub(crate) fn adapt(bootstrap: &Value, nowhere: SocketAddr, directory: &Path) -> Value {
    let mut bootstrap = bootstrap.clone();
    bootstrap.as_object_mut().unwrap().remove("@type");
    bootstrap["admin"]["address"] = address("127.0.0.1:0".parse().unwrap());
    for listener in elements(&mut bootstrap["staticResources"]["listeners"]) {
        listener["address"] = address("127.0.0.1:0".parse().unwrap());
        for further in elements(&mut listener["additionalAddresses"]) {
            further["address"] = address("127.0.0.1:0".parse().unwrap());
        }
    }
    for cluster in elements(&mut bootstrap["staticResources"]["clusters"]) {
        for locality in elements(&mut cluster["loadAssignment"]["endpoints"]) {
            for endpoint in elements(&mut locality["lbEndpoints"]) {
                endpoint["endpoint"]["address"] = address(nowhere);
            }
        }
    }
    drop_null(&mut bootstrap);
    adapt_sources(&mut bootstrap, directory);
    bootstrap
}

/// No wait for what does not come; files that are there.
fn adapt_sources(value: &mut Value, directory: &Path) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| adapt_sources(item, directory)),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if matches!(
                    name.as_str(),
                    "ldsConfig" | "cdsConfig" | "edsConfig" | "configSource" | "rtdsConfig"
                ) {
                    adapt_source(name, field.as_object_mut().unwrap(), directory);
                }
                adapt_sources(field, directory);
            }
        }
        _ => {}
    }
}

fn adapt_source(name: &str, source: &mut Map<String, Value>, directory: &Path) {
    source.insert("initialFetchTimeout".to_owned(), FETCH_TIMEOUT.into());
    if let Some(file) = source.get_mut("pathConfigSource") {
        let path = directory.join(format!("{name}.json"));
        fs::write(&path, r#"{"resources": []}"#).unwrap();
        *file = json!({ "path": path });
    }
}

fn address(address: SocketAddr) -> Value {
    json!({ "socketAddress": { "address": address.ip(), "portValue": address.port() } })
}

fn elements(list: &mut Value) -> impl Iterator<Item = &mut Value> {
    list.as_array_mut().into_iter().flatten()
}

/// Takes away the nulls that looking for a field has made.
fn drop_null(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(drop_null),
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_null);
        }
        _ => {}
    }
}
