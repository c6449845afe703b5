//! One resource of a dump.

use std::time::SystemTime;

use bytes::Bytes;
use dragoman_proto::{PrintOptions, print};
use serde_json::{Map, Value, json};

use super::section::List;
use crate::admin::{Content, Resource, ResourceKind, ResourceState, UpdateFailure};

/// The element that shows a resource, or all that have one name.
pub(super) fn element(list: &List, resources: &[Resource]) -> Value {
    if list.is_by_name() { by_name(list, resources) } else { single(list, resources.first()) }
}

fn single(list: &List, resource: Option<&Resource>) -> Value {
    let Some(resource) = resource else { return json!({}) };
    let mut element = state(list, resource);
    if let Some(failure) = &resource.error {
        element.insert("error_state".to_owned(), error_state(list, failure));
    }
    element.into()
}

/// `version_info`, the message and `last_updated`.
fn state(list: &List, resource: &Resource) -> Map<String, Value> {
    let mut state = Map::new();
    if matches!(resource.kind, ResourceKind::Scopes | ResourceKind::Secret) {
        state.insert("name".to_owned(), resource.name.as_str().into());
    }
    if !resource.version.is_empty() {
        state.insert("version_info".to_owned(), resource.version.as_str().into());
    }
    if !matches!(resource.message, Content::Nothing) {
        if resource.kind != ResourceKind::Secret {
            state.insert(list.key.to_owned(), content(resource));
        }
        // Endpoints are made of what is in force, which has no date; nor has, in Envoy, a secret of the bootstrap.
        let is_fixed_secret =
            resource.kind == ResourceKind::Secret && resource.state == ResourceState::Static;
        if resource.kind != ResourceKind::Endpoints && !is_fixed_secret {
            state.insert("last_updated".to_owned(), time(resource.last_updated).into());
        }
        if resource.kind == ResourceKind::Secret {
            state.insert(list.key.to_owned(), content(resource));
        }
    }
    state
}

fn by_name(list: &List, resources: &[Resource]) -> Value {
    let mut element = Map::new();
    let Some(first) = resources.first() else { return element.into() };
    element.insert("name".to_owned(), first.name.as_str().into());
    let states = [
        (ResourceState::Active, "active_state"),
        (ResourceState::Warming, "warming_state"),
        (ResourceState::Draining, "draining_state"),
    ];
    for (wanted, field) in states {
        let found =
            resources.iter().find(|one| one.state == wanted && !matches!(one.message, Content::Nothing));
        if let Some(resource) = found {
            element.insert(field.to_owned(), state(list, resource).into());
        }
    }
    if let Some(failure) = resources.iter().find_map(|one| one.error.as_ref()) {
        element.insert("error_state".to_owned(), error_state(list, failure));
    }
    element.into()
}

/// `envoy.admin.v3.UpdateFailureState`
fn error_state(list: &List, failure: &UpdateFailure) -> Value {
    let mut state = Map::new();
    if !failure.failed_configuration.is_empty() {
        let failed = message(list.kind, &failure.failed_configuration);
        state.insert("failed_configuration".to_owned(), failed);
    }
    state.insert("last_update_attempt".to_owned(), time(failure.last_update_attempt).into());
    state.insert("details".to_owned(), failure.details.as_str().into());
    if !failure.version_info.is_empty() {
        state.insert("version_info".to_owned(), failure.version_info.as_str().into());
    }
    state.into()
}

fn content(resource: &Resource) -> Value {
    match &resource.message {
        Content::Nothing => any(resource.kind, Value::Null),
        Content::Encoded(bytes) => message(resource.kind, bytes),
        Content::Made(make) => match make() {
            Value::Array(messages) => messages.into_iter().map(|one| any(resource.kind, one)).collect(),
            message => any(resource.kind, message),
        },
    }
}

/// A resource as an `Any` shows it: with its type, secrets blackened.
fn message(kind: ResourceKind, bytes: &Bytes) -> Value {
    match print(bytes, type_name(kind), &PrintOptions { redact: true }) {
        Ok(message) => any(kind, message),
        Err(error) => any(kind, json!({ "unreadable": error.to_string() })),
    }
}

/// A message with its type.
fn any(kind: ResourceKind, message: Value) -> Value {
    let mut any = Map::new();
    any.insert("@type".to_owned(), format!("type.googleapis.com/{}", type_name(kind)).into());
    if let Value::Object(fields) = message {
        any.extend(fields);
    }
    any.into()
}

/// The bootstrap, which is not in an `Any`.
pub(super) fn bootstrap(resource: &Resource) -> Value {
    let mut bootstrap = content(resource);
    if let Some(fields) = bootstrap.as_object_mut() {
        fields.shift_remove("@type");
    }
    json!({ super::section::BOOTSTRAP: bootstrap, "last_updated": time(resource.last_updated) })
}

fn type_name(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Bootstrap => "envoy.config.bootstrap.v3.Bootstrap",
        ResourceKind::Cluster => "envoy.config.cluster.v3.Cluster",
        ResourceKind::Endpoints => "envoy.config.endpoint.v3.ClusterLoadAssignment",
        ResourceKind::Extension => "envoy.config.core.v3.TypedExtensionConfig",
        ResourceKind::Listener => "envoy.config.listener.v3.Listener",
        ResourceKind::Route => "envoy.config.route.v3.RouteConfiguration",
        ResourceKind::Scopes => "envoy.config.route.v3.ScopedRouteConfiguration",
        ResourceKind::Secret => "envoy.extensions.transport_sockets.tls.v3.Secret",
    }
}

/// A `google.protobuf.Timestamp` to the millisecond.
fn time(time: SystemTime) -> String {
    // Times of this process are within the calendar.
    let moment = jiff::Timestamp::try_from(time).unwrap_or_default();
    moment.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
