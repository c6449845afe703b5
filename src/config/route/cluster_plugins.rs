//! Plugins that say which cluster a request goes to: `envoy.config.route.v3.ClusterSpecifierPlugin`.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::config::route::v3;

use super::ClusterSpecifier;
use super::match_tree::cluster_tree;
use super::priority_groups::PriorityGroups;
use crate::config::extension;
use crate::config::field::{Scope, open};

/// The messages of those that are known.
const MATCHER: &str = "envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier";
const PRIORITY_GROUP: &str =
    "envoy.extensions.router.cluster_specifiers.priority_group.v3.PriorityGroupClusterSpecifier";

/// `RouteConfiguration.cluster_specifier_plugins`, by name; `None` for optional ones that are not known.
pub(super) struct ClusterPlugins(BTreeMap<String, Option<ClusterSpecifier>>);

impl ClusterPlugins {
    pub(super) fn from_proto(messages: Vec<v3::ClusterSpecifierPlugin>, at: &mut Scope<'_>) -> Self {
        let mut plugins = BTreeMap::new();
        for (index, message) in messages.into_iter().enumerate() {
            let mut at = at.index("cluster_specifier_plugins", index);
            let name = message.extension.as_ref().map(|extension| extension.name.clone());
            let plugin = cluster_plugin(message, &mut at);
            let Some(name) = name else { continue };
            if plugins.contains_key(&name) {
                at.error(format!("Duplicated cluster specifier plugin name {name}"));
            }
            plugins.insert(name, plugin);
        }
        ClusterPlugins(plugins)
    }

    /// The plugin that a route names; `None` for an optional one that is not known.
    pub(super) fn get(&self, name: &str, at: &mut Scope<'_>) -> Option<ClusterSpecifier> {
        let plugin = self.0.get(name);
        if plugin.is_none() {
            at.error(format!("Unknown cluster specifier plugin name: {name} is used in the route"));
        }
        plugin.cloned().flatten()
    }
}

/// The plugin; `None` for an optional one that is not known, and where there is an error.
pub(super) fn cluster_plugin(
    message: v3::ClusterSpecifierPlugin,
    at: &mut Scope<'_>,
) -> Option<ClusterSpecifier> {
    use v3::ClusterSpecifierPlugin;
    open! { at, ClusterSpecifierPlugin = message; implemented { extension, is_optional } }
    let extension = at.required("extension", extension)?;
    let type_name = extension.typed_config.as_ref().map(extension::contained_type);
    if is_optional && !matches!(type_name.as_deref(), Some(MATCHER | PRIORITY_GROUP)) {
        at.note(format!(
            "ignored: no cluster specifier is known for '{}', which is optional",
            extension.name
        ));
        return None;
    }
    at.message("extension", Some(extension), specifier)
}

fn specifier(message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<ClusterSpecifier> {
    open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
    let any = at.required("typed_config", typed_config)?;
    match extension::contained_type(&any).as_str() {
        MATCHER => cluster_tree(any, &mut at.field("typed_config")).map(ClusterSpecifier::Matcher),
        PRIORITY_GROUP => {
            let mut at = at.field("typed_config");
            let groups = PriorityGroups::from_proto(extension::read(any, &mut at)?, &mut at);
            Some(ClusterSpecifier::Groups(Arc::new(groups)))
        }
        found => {
            at.unsupported(format!(
                "Didn't find a registered implementation for '{name}' with type URL: '{found}'; \
                 known: {MATCHER}, {PRIORITY_GROUP}"
            ));
            None
        }
    }
}
