//! What a part of a route table says to HTTP filters: `typed_per_filter_config` of route configurations, virtual
//! hosts, routes and members of weighted clusters.

use std::collections::{BTreeMap, HashMap};

use envoy_types::pb::envoy::config::route::v3;
use envoy_types::pb::google::protobuf as pb;

use crate::config::extension::{self, Extension, ExtensionConfig};
use crate::config::field::{Scope, open};

/// What one level of a route table says to filters, by the names they have in their chain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FilterConfigs(
    /// In the order of names. Most levels say nothing to any filter, and then this takes no memory.
    Box<[(String, FilterConfig)]>,
);

/// What one level of a route table says to one filter. `envoy.config.route.v3.FilterConfig`, or the filter's own
/// message without it.
#[derive(Clone, Debug, PartialEq)]
pub enum FilterConfig {
    /// The filter is left out of the chain.
    Disabled,
    /// The filter is in the chain, even if it is not by default, and this is for it.
    Enabled(ExtensionConfig),
    /// The filter is in the chain, even if it is not by default, and there is nothing for it to know.
    Default,
}

impl FilterConfigs {
    /// What is said to the filter of this name.
    pub fn get(&self, name: &str) -> Option<&FilterConfig> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, config)| config)
    }

    pub(super) fn from_proto(configs: HashMap<String, pb::Any>, at: &mut Scope<'_>) -> Self {
        // In order, so that errors come in the same order each time.
        let configs: BTreeMap<_, _> = configs.into_iter().collect();
        let configs = configs.into_iter().filter_map(|(name, any)| {
            let config = FilterConfig::from_any(&name, any, &mut at.key("typed_per_filter_config", &name))?;
            Some((name, config))
        });
        FilterConfigs(configs.collect())
    }
}

impl FilterConfig {
    fn from_any(name: &str, any: pb::Any, at: &mut Scope<'_>) -> Option<Self> {
        if extension::contained_type(&any) != <v3::FilterConfig as prost::Name>::full_name() {
            return own(name, any, at).map(FilterConfig::Enabled);
        }
        let message = extension::read::<v3::FilterConfig>(any, at)?;
        open! { at, v3::FilterConfig = message; implemented { config, is_optional, disabled } }
        if disabled {
            return Some(FilterConfig::Disabled);
        }
        let Some(config) = config else {
            at.error(format!("Empty route/virtual host per filter configuration for {name} filter"));
            return None;
        };
        if config.type_url.is_empty() {
            return Some(FilterConfig::Default);
        }
        if is_optional && extension_of(&extension::contained_type(&config), at).is_none() {
            at.note(format!("ignored: no filter is known for '{name}', which is optional"));
            return None;
        }
        own(name, config, &mut at.field("config")).map(FilterConfig::Enabled)
    }
}

/// The message of the filter itself; it has to be one that filters have for routes.
fn own(name: &str, any: pb::Any, at: &mut Scope<'_>) -> Option<ExtensionConfig> {
    let type_name = extension::contained_type(&any);
    let Some(extension) = extension_of(&type_name, at) else {
        extension::unknown(name, &type_name, &[], at);
        return None;
    };
    let Some(per_route) = extension.per_route else {
        at.error(format!("The filter {name} doesn't support virtual host or route specific configurations"));
        return None;
    };
    if per_route.type_name != type_name {
        at.error(format!("expected a {}, not a {type_name}", per_route.type_name));
        return None;
    }
    let (_, bytes) = extension::unwrap(any, at)?;
    let value = (per_route.parse)(&bytes, at)?;
    Some(ExtensionConfig { name: name.to_owned(), type_name: per_route.type_name, value })
}

/// The filter that knows a message of this type, be it for a chain or for routes.
pub(super) fn extension_of(type_name: &str, at: &Scope<'_>) -> Option<&'static Extension> {
    at.extensions().http_filters.iter().find(|extension| {
        extension.type_name == type_name
            || extension.per_route.is_some_and(|per_route| per_route.type_name == type_name)
    })
}
