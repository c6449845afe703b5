//! What a tree holds: a bootstrap, resources, a dump of another proxy.

use dragoman_proto::descriptor;
use dragoman_proto::tree::{Node, Value};

/// Full name of the bootstrap's message.
pub(super) const BOOTSTRAP: &str = "envoy.config.bootstrap.v3.Bootstrap";

/// Resources, in the order in which a mapping without a type is held against them. The keys are those of the files
/// that dragoman-xds serves.
const RESOURCES: [(&str, &str); 9] = [
    (BOOTSTRAP, ""),
    ("envoy.config.listener.v3.Listener", "listeners"),
    ("envoy.config.cluster.v3.Cluster", "clusters"),
    ("envoy.config.route.v3.RouteConfiguration", "routes"),
    ("envoy.config.endpoint.v3.ClusterLoadAssignment", "endpoints"),
    ("envoy.extensions.transport_sockets.tls.v3.Secret", "secrets"),
    ("envoy.config.route.v3.ScopedRouteConfiguration", "scoped_routes"),
    ("envoy.config.route.v3.VirtualHost", "virtual_hosts"),
    ("envoy.service.runtime.v3.Runtime", "runtimes"),
];

/// Where the name of a resource may stand.
pub(super) const NAMES: [&str; 3] = ["name", "cluster_name", "clusterName"];

/// Parts of a dump that repeat what its bootstrap has.
const REPEATED: [&str; 3] = ["static_listeners", "static_clusters", "static_route_configs"];

/// Parts of a dump that are not in force and never were.
const NOT_IN_FORCE: [&str; 1] = ["error_state"];

/// A resource within a tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    /// Full name of its message.
    pub(super) message: &'a str,
    /// Its value.
    pub(super) node: &'a Node,
    /// Whether the value names its own type in `@type`.
    pub(super) typed: bool,
}

/// The resources in a tree, in its order.
pub(super) fn pieces(root: &Node) -> Vec<Piece<'_>> {
    let mut search = Search { found: Vec::new(), has_bootstrap: false };
    search.any(root);
    search.found
}

struct Search<'a> {
    found: Vec<Piece<'a>>,
    has_bootstrap: bool,
}

impl<'a> Search<'a> {
    fn any(&mut self, node: &'a Node) {
        match &node.value {
            Value::List(elements) => elements.iter().for_each(|element| self.any(element)),
            Value::Map(_) => self.mapping(node),
            _ => {}
        }
    }

    fn mapping(&mut self, node: &'a Node) {
        if let Some(type_url) = node.get("@type").and_then(Node::as_str) {
            let message = type_url.rsplit_once('/').map_or(type_url, |(_, name)| name);
            if is_container(message) {
                return self.container(node);
            }
            return self.push(message, node, true);
        }
        match closest(node) {
            Some(message) => self.push(message, node, false),
            None => self.container(node),
        }
    }

    fn push(&mut self, message: &'a str, node: &'a Node, typed: bool) {
        self.has_bootstrap |= message == BOOTSTRAP;
        self.found.push(Piece { message, node, typed });
    }

    /// A dump, a response, a file of lists: what is in it is of interest.
    fn container(&mut self, node: &'a Node) {
        for entry in node.entries() {
            let key = snake_case(&entry.key);
            let passed_over = NOT_IN_FORCE.contains(&key.as_str())
                || (self.has_bootstrap && REPEATED.contains(&key.as_str()));
            match RESOURCES.iter().find(|(_, list)| *list == key) {
                _ if passed_over => {}
                Some((message, _)) => self.list(message, &entry.value),
                None if key == "bootstrap" => self.push(BOOTSTRAP, &entry.value, false),
                None => self.any(&entry.value),
            }
        }
    }

    /// A list whose key says what is in it.
    fn list(&mut self, message: &'static str, node: &'a Node) {
        for element in node.elements() {
            match element.get("@type") {
                Some(_) => self.any(element),
                None => self.push(message, element, false),
            }
        }
    }
}

/// Messages that hold resources: those of the admin interface and of discovery.
fn is_container(message: &str) -> bool {
    message.starts_with("envoy.admin.") || message.starts_with("envoy.service.discovery.")
}

/// The resource that has most of a mapping's keys for fields; `None` when none has at least half of them, or when
/// what all resources but bootstraps have is missing: a name.
fn closest(node: &Node) -> Option<&'static str> {
    let fits = |message: &str| {
        let fields = descriptor::message(message)?;
        Some(node.entries().iter().filter(|entry| fields.field_named(&entry.key).is_some()).count())
    };
    let mut best = (0, None);
    for (message, _) in RESOURCES {
        let fit = fits(message).unwrap_or_default();
        if fit > best.0 {
            best = (fit, Some(message));
        }
    }
    let (fit, message) = best;
    let is_named = NAMES.iter().any(|key| node.get(key).is_some());
    message.filter(|message| fit * 2 >= node.entries().len() && (is_named || *message == BOOTSTRAP))
}

fn snake_case(key: &str) -> String {
    let mut snake = String::with_capacity(key.len());
    for letter in key.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use dragoman_proto::tree::parse_yaml;

    use super::*;

    fn messages(yaml: &str) -> Vec<String> {
        let document = parse_yaml(yaml).expect("valid YAML");
        pieces(&document.root)
            .iter()
            .map(|piece| piece.message.rsplit('.').next().unwrap_or("").to_owned())
            .collect()
    }

    #[test]
    fn what_stands_in_a_file_is_recognised_with_and_without_types() {
        assert_eq!(messages("{admin: {}, static_resources: {}}"), ["Bootstrap"]);
        assert_eq!(
            messages("- {name: a, connectTimeout: 1s}\n- {name: b, filterChains: []}"),
            ["Cluster", "Listener"]
        );
        assert_eq!(
            messages("{clusters: [{name: a}], routes: [{name: r}]}"),
            ["Cluster", "RouteConfiguration"]
        );
        let response =
            "{version_info: '1', resources: [{'@type': x/envoy.config.cluster.v3.Cluster, name: a}]}";
        assert_eq!(messages(response), ["Cluster"]);
        assert_eq!(messages("endpoints: [{cluster_name: a, endpoints: []}]"), ["ClusterLoadAssignment"]);
        assert_eq!(messages("{greeting: hello}"), Vec::<String>::new());
    }

    #[test]
    fn a_dump_counts_each_resource_once() {
        let dump = "configs:
- '@type': type.googleapis.com/envoy.admin.v3.BootstrapConfigDump
  bootstrap: {static_resources: {clusters: [{name: a}]}}
- '@type': type.googleapis.com/envoy.admin.v3.ClustersConfigDump
  static_clusters: [{cluster: {'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster, name: a}}]
  dynamic_active_clusters:
  - cluster: {'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster, name: b}
  - error_state: {failed_configuration: {'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster, name: c}}";
        assert_eq!(messages(dump), ["Bootstrap", "Cluster"]);
    }
}
