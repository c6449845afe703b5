//! `/unsupported`: fields of the configuration in force that are set and have no effect. Envoy has no such endpoint.

use serde_json::{Value, json};

use super::{Reply, Request, ResourceKind, Unsupported};

/// In text, a line for each, or with `format=json` as a list.
pub(super) fn unsupported(request: &Request<'_>) -> Reply {
    let fields = request.admin.program.unsupported();
    if request.query.get("format") == Some("json") {
        let fields: Vec<Value> = fields.iter().map(shown).collect();
        return Reply::json(&json!({ "fields": fields }));
    }
    let line = |Unsupported { kind, name, path, reason }: &Unsupported| match name.as_str() {
        "" => format!("{}: {path}: {reason}\n", label(*kind)),
        name => format!("{} {name}: {path}: {reason}\n", label(*kind)),
    };
    Reply::text(200, fields.iter().map(line).collect::<String>())
}

fn shown(Unsupported { kind, name, path, reason }: &Unsupported) -> Value {
    json!({ "kind": label(*kind), "name": name, "path": path, "reason": reason })
}

fn label(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Bootstrap => "bootstrap",
        ResourceKind::Cluster => "cluster",
        ResourceKind::Endpoints => "endpoints",
        ResourceKind::Extension => "extension",
        ResourceKind::Listener => "listener",
        ResourceKind::Route => "route",
        ResourceKind::Scopes => "scopes",
        ResourceKind::Secret => "secret",
    }
}
