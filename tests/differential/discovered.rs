//! Listeners that come over LDS, from a file, and change while a case is played.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::bootstrap::{self, merge};
use crate::case::{Case, Update};

/// Takes the listeners out of a bootstrap into the file that it then names.
pub(crate) fn take_out(bootstrap: &mut Value, directory: &Path) -> std::io::Result<()> {
    let listeners = bootstrap["static_resources"]["listeners"].take();
    bootstrap["static_resources"].as_object_mut().map(|resources| resources.remove("listeners"));
    let source = json!({ "path_config_source": { "path": file(directory) }, "resource_api_version": "V3" });
    let change =
        json!({ "node": { "id": "test", "cluster": "test" }, "dynamic_resources": { "lds_config": source } });
    merge(bootstrap, &change);
    write(listeners, "0", directory)
}

/// Puts the update of this name in the place of the listeners of a case.
pub(crate) fn update(index: usize, case: &Case, name: &str, directory: &Path) -> Result<(), String> {
    let update = case.updates.get(name).ok_or_else(|| format!("there is no update {name:?}"))?;
    let changed = changed(case, update);
    let mut listeners = bootstrap::listeners(&changed, &bootstrap::tag(index), directory);
    if update.gone {
        listeners.remove(0);
    }
    write(listeners.into(), name, directory).map_err(|error| error.to_string())
}

fn changed(case: &Case, update: &Update) -> Case {
    let mut case = case.clone();
    merge(&mut case.listener, &update.listener);
    merge(&mut case.filter_chain, &update.filter_chain);
    merge(&mut case.hcm, &update.hcm);
    merge(&mut case.route_config, &update.route_config);
    if let Some(proxy) = &mut case.udp_proxy {
        merge(proxy, &update.udp_proxy);
    }
    if let Some(internal) = &update.internal_listeners {
        case.internal_listeners.clone_from(internal);
    }
    if let Some(unbound) = &update.unbound_listeners {
        case.unbound_listeners.clone_from(unbound);
    }
    case
}

fn file(directory: &Path) -> PathBuf {
    directory.join("lds.json")
}

fn write(listeners: Value, version: &str, directory: &Path) -> std::io::Result<()> {
    let Value::Array(mut resources) = listeners else { return Ok(()) };
    for listener in &mut resources {
        listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
    }
    let content = json!({ "version_info": version, "resources": resources });
    let moving = directory.join("lds.json.moving");
    std::fs::write(&moving, content.to_string())?;
    std::fs::rename(moving, file(directory))
}
