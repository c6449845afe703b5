//! What a tree holds: a bootstrap, resources, a dump of another proxy.

use dragoman_proto::descriptor;
use dragoman_proto::tree::{Entry, Node, Value};

/// Full name of the bootstrap's message.
pub(super) const BOOTSTRAP: &str = "envoy.config.bootstrap.v3.Bootstrap";

/// Resources, in the order in which a mapping without a type is held against them. The keys are those of the files
/// that dragoman-xds serves.
const RESOURCES: [(&str, &str); 10] = [
    (BOOTSTRAP, ""),
    ("envoy.config.listener.v3.Listener", "listeners"),
    ("envoy.config.cluster.v3.Cluster", "clusters"),
    ("envoy.config.route.v3.RouteConfiguration", "routes"),
    ("envoy.config.endpoint.v3.ClusterLoadAssignment", "endpoints"),
    ("envoy.extensions.transport_sockets.tls.v3.Secret", "secrets"),
    ("envoy.config.route.v3.ScopedRouteConfiguration", "scoped_routes"),
    ("envoy.config.route.v3.VirtualHost", "virtual_hosts"),
    ("envoy.service.runtime.v3.Runtime", "runtimes"),
    ("envoy.config.core.v3.TypedExtensionConfig", "extensions"),
];

/// Where the name of a resource may stand.
pub(super) const NAMES: [&str; 3] = ["name", "cluster_name", "clusterName"];

/// Parts of a dump that repeat what its bootstrap has.
const REPEATED: [&str; 4] = ["static_listeners", "static_clusters", "static_route_configs", "static_secrets"];

/// Parts of a dump that are no configuration: what was refused or is about to end, and what the proxy made of endpoints.
const NO_CONFIGURATION: [&str; 4] =
    ["error_state", "draining_state", "static_endpoint_configs", "dynamic_endpoint_configs"];

/// Parts of a dump, and those that take their place as soon as they are warm.
const REPLACED: [(&str, &str); 2] =
    [("active_state", "warming_state"), ("dynamic_active_clusters", "dynamic_warming_clusters")];

/// What `istioctl proxy-config endpoints` lists: states of clusters, nothing of which is configured.
const STATE: &str = "host_statuses";

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

/// The resources in a tree, in its order; `None` when it holds nothing that is known.
pub(super) fn pieces(root: &Node) -> Option<Vec<Piece<'_>>> {
    let mut search = Search { found: Vec::new(), has_bootstrap: false, in_dump: false, is_known: false };
    search.any(root);
    (search.is_known || !search.found.is_empty()).then_some(search.found)
}

struct Search<'a> {
    found: Vec<Piece<'a>>,
    has_bootstrap: bool,
    /// Whether this is within a dump, in which every resource names its type.
    in_dump: bool,
    /// Whether there was a dump, a response or a list of states, however empty.
    is_known: bool,
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
            if !is_container(message) {
                return self.push(message, node, true);
            }
            self.is_known = true;
            let outside = self.in_dump;
            self.in_dump |= message.starts_with(ADMIN);
            self.container(node);
            self.in_dump = outside;
            return;
        }
        if node.entries().iter().any(|entry| snake_case(&entry.key) == STATE) {
            self.is_known = true;
            return;
        }
        match closest(node) {
            Some(message) if !self.in_dump => self.push(message, node, false),
            _ => self.container(node),
        }
    }

    fn push(&mut self, message: &'a str, node: &'a Node, typed: bool) {
        self.has_bootstrap |= message == BOOTSTRAP;
        self.found.push(Piece { message, node, typed });
    }

    /// A dump, a response, a file of lists: what is in it is of interest.
    fn container(&mut self, node: &'a Node) {
        let has = |key: &str| node.entries().iter().any(|entry| snake_case(&entry.key) == key);
        for entry in node.entries() {
            let key = snake_case(&entry.key);
            let is_replaced = |&(replaced, by): &(&str, &str)| replaced == key && has(by);
            let passed_over = NO_CONFIGURATION.contains(&key.as_str())
                || self.has_bootstrap && REPEATED.contains(&key.as_str());
            match RESOURCES.iter().find(|(_, list)| *list == key) {
                _ if passed_over => {}
                Some((message, _)) => self.list(message, &entry.value),
                None if key == "bootstrap" => self.push(BOOTSTRAP, &entry.value, false),
                None if REPLACED.iter().any(is_replaced) => self.replaced(node, entry),
                None => self.any(&entry.value),
            }
        }
    }

    /// Of what is about to be replaced only that is of interest whose replacement is not there.
    fn replaced(&mut self, node: &'a Node, entry: &'a Entry) {
        let warming = node.entries().iter().filter(|other| snake_case(&other.key).contains("warming"));
        let names: Vec<_> =
            warming.flat_map(|other| other.value.elements()).filter_map(name_in_dump).collect();
        for element in entry.value.elements() {
            if !name_in_dump(element).is_some_and(|name| names.contains(&name)) {
                self.any(element);
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

/// The name of the cluster in an entry of a dump.
fn name_in_dump(element: &Node) -> Option<&str> {
    element.get("cluster")?.get("name")?.as_str()
}

/// The package of the messages of the admin interface.
const ADMIN: &str = "envoy.admin.";

/// Messages that hold resources: those of the admin interface and of discovery.
fn is_container(message: &str) -> bool {
    message.starts_with(ADMIN) || message.starts_with("envoy.service.discovery.")
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

/// A field as the API declares it, whose name is written in camel case or not.
pub(super) fn snake_case(key: &str) -> String {
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
        let pieces = pieces(&document.root).unwrap_or_default();
        pieces.iter().map(|piece| piece.message.rsplit('.').next().unwrap_or("").to_owned()).collect()
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

    #[test]
    fn what_warms_takes_the_place_of_what_it_replaces() {
        let dump = "- '@type': type.googleapis.com/envoy.admin.v3.ListenersConfigDump
  dynamic_listeners:
  - name: a
    active_state: {listener: {'@type': type.googleapis.com/envoy.config.listener.v3.Listener, name: a}}
    warming_state: {listener: {'@type': type.googleapis.com/envoy.config.listener.v3.Listener, name: a}}
    draining_state: {listener: {'@type': type.googleapis.com/envoy.config.listener.v3.Listener, name: a}}
- '@type': type.googleapis.com/envoy.admin.v3.ClustersConfigDump
  dynamic_active_clusters:
  - cluster: {'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster, name: b}
  - cluster: {'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster, name: c}
  dynamic_warming_clusters:
  - cluster: {'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster, name: b}";
        assert_eq!(messages(dump), ["Listener", "Cluster", "Cluster"]);
    }

    #[test]
    fn states_are_known_and_no_resources() {
        let known = |yaml: &str| pieces(&parse_yaml(yaml).expect("valid YAML").root).map(|found| found.len());
        assert_eq!(known("- {name: a, addedViaApi: true, hostStatuses: [], circuitBreakers: {}}"), Some(0));
        assert_eq!(known("configs: [{'@type': x/envoy.admin.v3.SecretsConfigDump}]"), Some(0));
        assert_eq!(known("{greeting: hello}"), None);
    }
}
