//! Configurations of filters that come over ECDS.

use std::collections::HashMap;
use std::sync::Arc;

use super::discovered_config::DiscoveredConfig;
use super::extension::ExtensionConfig;
use super::extension_source::ExtensionConfigSource;
use super::source::SourceKind;

/// The configurations of a source that are asked for, by name; `None` where none has come, or was removed.
pub type ConfigsByName = HashMap<String, Option<Arc<DiscoveredConfig>>>;

/// What is known of the configurations that are asked for, by their source.
#[derive(Clone, Debug, Default)]
pub struct ExtensionConfigs(Vec<(SourceKind, ConfigsByName)>);

impl ExtensionConfigs {
    /// From what each source has.
    pub fn new(sources: Vec<(SourceKind, ConfigsByName)>) -> Self {
        ExtensionConfigs(sources)
    }

    /// The configuration of this name from this source; `None` where nobody asks for it, or no longer.
    pub fn find(&self, source: &SourceKind, name: &str) -> Option<Option<&DiscoveredConfig>> {
        let (_, configs) = self.0.iter().find(|(known, _)| known == source)?;
        configs.get(name).map(Option::as_deref)
    }

    /// What a filter of this name is to be told: what has come for it, if that suits, or else its default; `None` where
    /// nobody asks for it any more.
    pub fn of<'c>(
        &'c self,
        name: &str,
        source: &'c ExtensionConfigSource,
    ) -> Option<Option<&'c ExtensionConfig>> {
        let found = self.find(&source.source.from, name)?;
        let found = found.and_then(|config| config.of(source.kind).ok());
        let fitting = found.filter(|config| source.check(config).is_ok());
        Some(fitting.or(source.default_config.as_ref()))
    }
}
