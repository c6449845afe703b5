//! The messages that a dump consists of, as a table.

use super::mask::Mask;
use crate::admin::{ResourceKind, ResourceState};

/// A message of the dump, such as `ClustersConfigDump`.
pub(super) struct Section {
    /// Its name in `envoy.admin.v3`.
    pub(super) message: &'static str,
    /// Where it is part of the dump.
    pub(super) shown: Shown,
    /// Of what it holds the version in `version_info`.
    pub(super) version_of: Option<ResourceKind>,
    /// Its repeated fields.
    pub(super) lists: &'static [List],
}

/// Where a message is part of the dump.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// In every one.
    Always,
    /// With `include_eds`, where there are clusters.
    WithEndpoints,
    /// Where configurations of filters are discovered.
    WithDiscoveredFilters,
    /// Where there is a connection manager.
    WithConnectionManagers,
}

/// A repeated field.
pub(super) struct List {
    /// Its name.
    pub(super) field: &'static str,
    /// The message of its elements, after the section's: `StaticCluster`.
    pub(super) element: &'static str,
    /// The field of an element that holds the resource.
    pub(super) key: &'static str,
    /// Which resources are in it.
    pub(super) kind: ResourceKind,
    /// In which states.
    pub(super) states: &'static [ResourceState],
}

const STATIC: &[ResourceState] = &[ResourceState::Static];
const ACTIVE: &[ResourceState] = &[ResourceState::Active];
const WARMING: &[ResourceState] = &[ResourceState::Warming];
const DYNAMIC: &[ResourceState] = &[ResourceState::Active, ResourceState::Warming, ResourceState::Draining];

/// The bootstrap's field, which is no list.
pub(super) const BOOTSTRAP: &str = "bootstrap";

/// All of them, in Envoy's order.
pub(super) const SECTIONS: &[Section] = &[
    Section { message: "BootstrapConfigDump", shown: Shown::Always, version_of: None, lists: &[] },
    Section {
        message: "ClustersConfigDump",
        shown: Shown::Always,
        version_of: Some(ResourceKind::Cluster),
        lists: &[
            List {
                field: "static_clusters",
                element: "StaticCluster",
                key: "cluster",
                kind: ResourceKind::Cluster,
                states: STATIC,
            },
            List {
                field: "dynamic_active_clusters",
                element: "DynamicCluster",
                key: "cluster",
                kind: ResourceKind::Cluster,
                states: ACTIVE,
            },
            List {
                field: "dynamic_warming_clusters",
                element: "DynamicCluster",
                key: "cluster",
                kind: ResourceKind::Cluster,
                states: WARMING,
            },
        ],
    },
    Section {
        message: "EcdsConfigDump",
        shown: Shown::WithDiscoveredFilters,
        version_of: None,
        lists: &[List {
            field: "ecds_filters",
            element: "EcdsFilterConfig",
            key: "ecds_filter",
            kind: ResourceKind::Extension,
            states: ACTIVE,
        }],
    },
    Section {
        message: "EndpointsConfigDump",
        shown: Shown::WithEndpoints,
        version_of: None,
        lists: &[
            List {
                field: "static_endpoint_configs",
                element: "StaticEndpointConfig",
                key: "endpoint_config",
                kind: ResourceKind::Endpoints,
                states: STATIC,
            },
            List {
                field: "dynamic_endpoint_configs",
                element: "DynamicEndpointConfig",
                key: "endpoint_config",
                kind: ResourceKind::Endpoints,
                states: DYNAMIC,
            },
        ],
    },
    Section {
        message: "ListenersConfigDump",
        shown: Shown::Always,
        version_of: Some(ResourceKind::Listener),
        lists: &[
            List {
                field: "static_listeners",
                element: "StaticListener",
                key: "listener",
                kind: ResourceKind::Listener,
                states: STATIC,
            },
            List {
                field: "dynamic_listeners",
                element: "DynamicListener",
                key: "listener",
                kind: ResourceKind::Listener,
                states: DYNAMIC,
            },
        ],
    },
    Section {
        message: "ScopedRoutesConfigDump",
        shown: Shown::WithConnectionManagers,
        version_of: None,
        lists: &[
            List {
                field: "inline_scoped_route_configs",
                element: "InlineScopedRouteConfigs",
                key: "scoped_route_configs",
                kind: ResourceKind::Scopes,
                states: STATIC,
            },
            List {
                field: "dynamic_scoped_route_configs",
                element: "DynamicScopedRouteConfigs",
                key: "scoped_route_configs",
                kind: ResourceKind::Scopes,
                states: ACTIVE,
            },
        ],
    },
    Section {
        message: "RoutesConfigDump",
        shown: Shown::WithConnectionManagers,
        version_of: None,
        lists: &[
            List {
                field: "static_route_configs",
                element: "StaticRouteConfig",
                key: "route_config",
                kind: ResourceKind::Route,
                states: STATIC,
            },
            List {
                field: "dynamic_route_configs",
                element: "DynamicRouteConfig",
                key: "route_config",
                kind: ResourceKind::Route,
                states: DYNAMIC,
            },
        ],
    },
    Section {
        message: "SecretsConfigDump",
        shown: Shown::Always,
        version_of: None,
        lists: &[
            List {
                field: "static_secrets",
                element: "StaticSecret",
                key: "secret",
                kind: ResourceKind::Secret,
                states: STATIC,
            },
            List {
                field: "dynamic_active_secrets",
                element: "DynamicSecret",
                key: "secret",
                kind: ResourceKind::Secret,
                states: ACTIVE,
            },
            List {
                field: "dynamic_warming_secrets",
                element: "DynamicSecret",
                key: "secret",
                kind: ResourceKind::Secret,
                states: WARMING,
            },
        ],
    },
];

impl Section {
    /// Whether it is the bootstrap's.
    pub(super) fn is_bootstrap(&self) -> bool {
        self.message == "BootstrapConfigDump"
    }

    /// The names of its fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = &'static str> + Clone {
        let plain: &[&str] = match (self.is_bootstrap(), self.version_of) {
            (true, _) => &[BOOTSTRAP, "last_updated"],
            (false, Some(_)) => &["version_info"],
            (false, None) => &[],
        };
        plain.iter().copied().chain(self.lists.iter().map(|list| list.field))
    }

    /// Whether the mask names only fields of this message, and nothing within its lists.
    pub(super) fn is_shown_in(&self, mask: &Mask) -> bool {
        mask.fits(self.fields()) && self.lists.iter().all(|list| mask.stops_at(list.field))
    }

    /// The repeated field of this name.
    pub(super) fn list(&'static self, field: &str) -> Option<&'static List> {
        self.lists.iter().find(|list| list.field == field)
    }
}

impl List {
    /// Whether its elements are grouped by name, each with its states.
    pub(super) fn is_by_name(&self) -> bool {
        self.element == "DynamicListener"
    }

    /// The names of an element's fields.
    pub(super) fn element_fields(&self) -> impl Iterator<Item = &'static str> + Clone {
        let fields: &[&str] = if self.is_by_name() {
            &["name", "active_state", "warming_state", "draining_state", "error_state", "client_status"]
        } else if self.element == "StaticSecret" {
            &["name", "last_updated"]
        } else if self.element.starts_with("Static") {
            &["last_updated"]
        } else if self.element.starts_with("Inline") {
            &["name", "last_updated"]
        } else if matches!(self.kind, ResourceKind::Scopes | ResourceKind::Secret) {
            &["name", "version_info", "last_updated", "error_state", "client_status"]
        } else {
            &["version_info", "last_updated", "error_state", "client_status"]
        };
        let key = (!self.is_by_name()).then_some(self.key);
        fields.iter().copied().chain(key)
    }
}
