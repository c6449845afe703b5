//! Routes and clusters that trees of conditions lead to: `VirtualHost.matcher` and
//! `envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier`.

use std::ops::Range;
use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3;
use envoy_types::pb::envoy::extensions::router::cluster_specifiers::matcher::v3 as specifier;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;

use super::Route;
use super::from_proto::{Inherited, route};
use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::match_tree::{Input, Leaves, MatchTree};

/// Routes that a tree leads to: places in the virtual host's list, of which the first that matches is taken.
pub type RouteRange = Range<usize>;

/// The routes of a virtual host's tree while it is read; they come one after the other into `routes`.
pub(super) struct RouteLeaves<'a> {
    pub(super) inherited: &'a Inherited<'a>,
    pub(super) routes: &'a mut Vec<Route>,
}

impl Leaves for RouteLeaves<'_> {
    type Action = RouteRange;

    fn action(&mut self, message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<RouteRange> {
        open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
        let any = at.required("typed_config", typed_config)?;
        let mut at = at.field("typed_config");
        let first = self.routes.len();
        match extension::contained_type(&any).as_str() {
            "envoy.config.route.v3.Route" => {
                let message = extension::read::<v3::Route>(any, &mut at)?;
                self.routes.extend(route(message, self.inherited, &mut at));
            }
            "envoy.config.route.v3.RouteList" => {
                use v3::RouteList;
                let message = extension::read::<RouteList>(any, &mut at)?;
                open! { at, RouteList = message; implemented { routes } }
                let read = at.list("routes", routes, |message, at| route(message, self.inherited, at));
                self.routes.extend(read);
            }
            other => {
                at.error(format!(
                    "Didn't find a registered implementation for '{name}' with type URL: '{other}'; \
                     known: envoy.config.route.v3.Route, envoy.config.route.v3.RouteList"
                ));
                return None;
            }
        }
        Some(first..self.routes.len())
    }

    fn check_input(&mut self, input: &Input, at: &mut Scope<'_>) {
        // The environment is not asked about, as it is the same for all requests.
        if !matches!(input, Input::RequestHeader(_) | Input::Environment(_)) {
            at.error(format!(
                "requirement violation while creating route match tree: INVALID_ARGUMENT: \
                 Route table can only match on request headers, saw {}",
                input.type_url()
            ));
        }
    }
}

/// The clusters of a tree while it is read.
struct ClusterLeaves;

impl Leaves for ClusterLeaves {
    type Action = String;

    fn action(&mut self, message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<String> {
        use specifier::ClusterAction;
        open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
        let any = at.required("typed_config", typed_config)?;
        let found = extension::contained_type(&any);
        if found != <ClusterAction as prost::Name>::full_name() {
            at.error(format!(
                "Didn't find a registered implementation for '{name}' with type URL: '{found}'; \
                 known: envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction"
            ));
            return None;
        }
        let mut at = at.field("typed_config");
        let message = extension::read::<ClusterAction>(any, &mut at)?;
        open! { at, ClusterAction = message; implemented { cluster } }
        Some(at.required_string("cluster", cluster))
    }

    fn check_input(&mut self, _input: &Input, _at: &mut Scope<'_>) {}
}

/// The message of a cluster specifier: a tree that leads to names of clusters.
pub(super) fn cluster_tree(any: Any, at: &mut Scope<'_>) -> Option<Arc<MatchTree<String>>> {
    use specifier::MatcherClusterSpecifier;
    let message = extension::read::<MatcherClusterSpecifier>(any, at)?;
    open! { at, MatcherClusterSpecifier = message; implemented { cluster_matcher } }
    let cluster_matcher = at.required("cluster_matcher", cluster_matcher);
    let tree = at.message("cluster_matcher", cluster_matcher, |message, at| {
        MatchTree::from_proto(message, &mut ClusterLeaves, at)
    });
    tree.map(Arc::new)
}
