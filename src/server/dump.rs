//! The configuration in force, warming or refused, as `/config_dump` shows it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use dragoman_proto::{PrintOptions, print};
use serde_json::Value;

use crate::admin::{Content, Resource, ResourceKind, ResourceState, UpdateFailure};
use crate::config;
use crate::config::bootstrap::StaticResource;
use crate::config::discovered_config::DiscoveredConfig;
use crate::config::http_connection_manager::{
    HttpConnectionManager, RouteSpecifier, ScopedRoutes, ScopesSpecifier,
};
use crate::config::route::ScopedRoute;
use crate::control::push::Kind as _;
use crate::control::resources::{ErrorState, Record, Resources};
use crate::control::secrets::Secrets;

use super::hosts;
use super::program::Running;

/// All but endpoints.
pub(super) fn resources(program: &Running) -> Vec<Resource> {
    let state = program.state.borrow();
    let bootstrap = &program.bootstrap;
    let mut all =
        vec![fixed(program, ResourceKind::Bootstrap, "", Content::Encoded(bootstrap.bytes.clone()))];
    let encoded = |bytes: &Bytes| Content::Encoded(bytes.clone());
    all.extend(bootstrap.clusters.iter().map(|StaticResource { value, bytes }| {
        fixed(program, ResourceKind::Cluster, &value.name, encoded(bytes))
    }));
    all.extend(bootstrap.listeners.iter().map(|StaticResource { value, bytes }| {
        fixed(program, ResourceKind::Listener, &value.name, encoded(bytes))
    }));
    all.extend(bootstrap.secrets.iter().map(|StaticResource { value, bytes }| {
        fixed(program, ResourceKind::Secret, &value.name, encoded(bytes))
    }));
    all.extend(secrets(program, &state.secrets));
    all.extend(from_xds(ResourceKind::Cluster, state.clusters.resources()));
    all.extend(from_xds(ResourceKind::Listener, state.listeners.resources()));
    all.extend(state.routes.resources().flat_map(|resources| from_xds(ResourceKind::Route, resources)));
    for resources in state.extensions.resources() {
        // As in Envoy, which shows none that was only refused.
        let taken = |one: &Resource| !matches!(one.message, Content::Nothing);
        all.extend(from_xds(ResourceKind::Extension, resources).filter(taken));
    }
    all.extend(state.extensions.inline_routes().map(|(record, table)| Resource {
        last_updated: record.last_updated,
        ..fixed(
            program,
            ResourceKind::Route,
            table,
            route_in(record.value.clone(), DiscoveredConfig::MESSAGE, table),
        )
    }));
    all.extend(state.scopes.dump().map(|(name, resources)| scopes_from_xds(program, name, resources)));
    for StaticResource { value, bytes } in &bootstrap.listeners {
        all.extend(inline_routes(value).map(|name| {
            fixed(
                program,
                ResourceKind::Route,
                name,
                route_in(bytes.clone(), config::Listener::MESSAGE, name),
            )
        }));
        all.extend(
            inline_scopes(value)
                .map(|name| fixed(program, ResourceKind::Scopes, name, scopes_in(bytes.clone(), name))),
        );
    }
    drop(state);
    all.extend(inline_routes_of_lds(program));
    all
}

/// The secrets that came over SDS, with what stands in their files, and as in Envoy those that have not come.
fn secrets(program: &Running, secrets: &Secrets) -> Vec<Resource> {
    let mut all = Vec::new();
    for (resources, missing) in secrets.resources() {
        for mut resource in from_xds(ResourceKind::Secret, resources) {
            if let Some(secret) = secrets.secret(resources, &resource.name) {
                resource.message = Content::Encoded(secret.message.clone());
            }
            // One that was only refused is shown as one that has not come.
            if !matches!(resource.message, Content::Nothing) {
                all.push(resource);
            }
        }
        all.extend(missing.map(|name| {
            let message = Content::Made(Rc::new({
                let name = name.to_owned();
                move || serde_json::json!({ "name": name })
            }));
            let error = resources.find(name).and_then(|states| states.error.as_ref()).map(failure);
            Resource {
                state: ResourceState::Warming,
                version: "uninitialized".to_owned(),
                error,
                ..fixed(program, ResourceKind::Secret, name, message)
            }
        }));
    }
    all
}

/// The endpoints of all clusters in force.
pub(super) fn endpoints(program: &Running) -> Vec<Resource> {
    let state = program.state.borrow();
    let manager = state.clusters.manager();
    let mut clusters: Vec<_> = manager.active().values().cloned().collect();
    clusters.sort_by(|one, other| one.name.cmp(&other.name));
    let resource = |cluster: Arc<crate::upstream::Cluster>| {
        let state = match manager.is_fixed(&cluster.name) {
            true => ResourceState::Static,
            false => ResourceState::Active,
        };
        let name = hosts::service_name(&cluster).to_owned();
        let content = Content::Made(Rc::new(move || hosts::load_assignment(&cluster)));
        Resource { state, ..fixed(program, ResourceKind::Endpoints, &name, content) }
    };
    clusters.into_iter().map(resource).collect()
}

fn fixed(program: &Running, kind: ResourceKind, name: &str, message: Content) -> Resource {
    Resource {
        kind,
        state: ResourceState::Static,
        name: name.to_owned(),
        version: String::new(),
        message,
        last_updated: program.started,
        error: None,
    }
}

/// Names of the route tables that stand in a listener.
fn inline_routes(listener: &config::Listener) -> impl Iterator<Item = &str> {
    let chains = listener.filter_chains.iter().chain(&listener.default_filter_chain);
    let managers = chains.flat_map(|chain| &chain.filters).filter_map(|filter| filter.downcast());
    managers.filter_map(|manager: &HttpConnectionManager| match &manager.routes {
        RouteSpecifier::Inline(table) => Some(table.name.as_str()),
        RouteSpecifier::Rds { .. } | RouteSpecifier::Scoped(_) => None,
    })
}

/// Names of the scoped routes whose scopes stand in a listener.
fn inline_scopes(listener: &config::Listener) -> impl Iterator<Item = &str> {
    listener.connection_managers().filter_map(|manager| match &manager.routes {
        RouteSpecifier::Scoped(ScopedRoutes { name, scopes: ScopesSpecifier::Inline(_), .. }) => {
            Some(name.as_str())
        }
        RouteSpecifier::Scoped(_) | RouteSpecifier::Inline(_) | RouteSpecifier::Rds { .. } => None,
    })
}

/// The tables that stand in listeners that came over LDS.
fn inline_routes_of_lds(program: &Running) -> Vec<Resource> {
    let mut state = program.state.borrow_mut();
    let configs: BTreeMap<String, _> = state
        .listeners
        .server()
        .listeners()
        .iter()
        .map(|(name, listener)| (name.clone(), Arc::clone(&listener.config)))
        .collect();
    let mut found = Vec::new();
    for (name, states) in state.listeners.resources().iter() {
        let (Some(config), Some(record)) = (configs.get(name), &states.active) else { continue };
        found.extend(inline_routes(config).map(|table| Resource {
            last_updated: record.last_updated,
            ..fixed(
                program,
                ResourceKind::Route,
                table,
                route_in(record.value.clone(), config::Listener::MESSAGE, table),
            )
        }));
    }
    found
}

/// The route table of this name in a message of this kind.
fn route_in(message: Bytes, kind: &'static str, name: &str) -> Content {
    let name = name.to_owned();
    Content::Made(Rc::new(move || find(printed(&message, kind), "route_config", &name).unwrap_or_default()))
}

/// The scopes of the scoped routes of this name in the message of a listener.
fn scopes_in(listener: Bytes, name: &str) -> Content {
    const LIST: &str = "/scoped_route_configurations_list/scoped_route_configurations";
    let name = name.to_owned();
    Content::Made(Rc::new(move || {
        let mut scoped =
            find(printed(&listener, config::Listener::MESSAGE), "scoped_routes", &name).unwrap_or_default();
        scoped.pointer_mut(LIST).map(Value::take).unwrap_or_else(|| Value::Array(Vec::new()))
    }))
}

fn printed(message: &Bytes, kind: &str) -> Value {
    print(message, kind, &PrintOptions { redact: true }).unwrap_or_default()
}

/// The first field `wanted` of this name in a message, however deep.
fn find(message: Value, wanted: &str, name: &str) -> Option<Value> {
    match message {
        Value::Object(fields) => fields.into_iter().find_map(|(field, value)| {
            let is_it = field == wanted && value["name"].as_str().unwrap_or_default() == name;
            if is_it { Some(value) } else { find(value, wanted, name) }
        }),
        Value::Array(items) => items.into_iter().find_map(|item| find(item, wanted, name)),
        _ => None,
    }
}

/// The scopes that came over SRDS for the scoped routes of this name.
fn scopes_from_xds(program: &Running, name: &str, resources: &Resources) -> Resource {
    let records: Vec<Record> = resources.iter().filter_map(|(_, states)| states.active.clone()).collect();
    let last_updated = records.iter().map(|record| record.last_updated).max().unwrap_or(program.started);
    let shown = move |record: &Record| {
        let message = print(&record.value, ScopedRoute::MESSAGE, &PrintOptions { redact: true });
        message.unwrap_or_default()
    };
    let content = Content::Made(Rc::new(move || records.iter().map(shown).collect()));
    let version = resources.version.clone();
    let state = ResourceState::Active;
    Resource { state, version, last_updated, ..fixed(program, ResourceKind::Scopes, name, content) }
}

fn failure(error: &ErrorState) -> UpdateFailure {
    UpdateFailure {
        failed_configuration: error.failed_configuration.clone(),
        last_update_attempt: error.last_update_attempt,
        details: error.details.clone(),
        version_info: error.version.clone(),
    }
}

fn from_xds(kind: ResourceKind, resources: &Resources) -> impl Iterator<Item = Resource> {
    resources.iter().flat_map(move |(name, states)| {
        let mut error = states.error.as_ref().map(failure);
        let mut shown = Vec::new();
        for (record, state) in
            [(&states.active, ResourceState::Active), (&states.warming, ResourceState::Warming)]
        {
            if let Some(record) = record {
                shown.push(resource(kind, state, name, record, error.take()));
            }
        }
        if let Some(failure) = error {
            // Nothing under this name was ever taken: the refusal is all there is to show.
            shown.push(Resource {
                kind,
                state: ResourceState::Active,
                name: name.to_owned(),
                version: String::new(),
                message: Content::Nothing,
                last_updated: failure.last_update_attempt,
                error: Some(failure),
            });
        }
        shown
    })
}

fn resource(
    kind: ResourceKind,
    state: ResourceState,
    name: &str,
    record: &Record,
    error: Option<UpdateFailure>,
) -> Resource {
    Resource {
        kind,
        state,
        name: name.to_owned(),
        version: record.version.clone(),
        message: Content::Encoded(record.value.clone()),
        last_updated: record.last_updated,
        error,
    }
}
