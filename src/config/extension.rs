//! Extensions: configuration in an `Any` whose type decides who reads it.
//!
//! `config` knows extensions only as a table of type URL and parse function, handed in at start-up, so that a
//! filter's configuration can live in the filter's own file above this module.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use super::field::Scope;

/// The parsed configuration of an extension. Implemented for every comparable value by a blanket impl.
pub trait ExtensionValue: Any + Debug + Send + Sync {
    /// Whether `other` is of the same type and equal.
    fn equals(&self, other: &dyn ExtensionValue) -> bool;
    /// For downcasting.
    fn as_any(&self) -> &dyn Any;
}

impl<T: Any + Debug + PartialEq + Send + Sync> ExtensionValue for T {
    fn equals(&self, other: &dyn ExtensionValue) -> bool {
        other.as_any().downcast_ref::<T>().is_some_and(|other| self == other)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// One configured extension: its name as configured and its parsed configuration.
#[derive(Clone, Debug)]
pub struct ExtensionConfig {
    /// The name in the configuration, for example `envoy.filters.http.router`.
    pub name: String,
    /// Full message name of the configuration.
    pub type_name: &'static str,
    /// What the extension's parser made of it.
    pub value: Arc<dyn ExtensionValue>,
}

impl PartialEq for ExtensionConfig {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.type_name == other.type_name && self.value.equals(&*other.value)
    }
}

impl ExtensionConfig {
    /// The value as `T`, if it is one.
    pub fn downcast<T: 'static>(&self) -> Option<&T> {
        self.value.as_any().downcast_ref()
    }
}

/// One extension that this build knows.
#[derive(Clone, Copy, Debug)]
pub struct Extension {
    /// Envoy's canonical name, for example `envoy.filters.http.router`.
    pub name: &'static str,
    /// Full name of the configuration's message, for example
    /// `envoy.extensions.filters.http.router.v3.Router`.
    pub type_name: &'static str,
    /// Turns the message's bytes into its value; problems go into the scope, `None` then.
    pub parse: fn(&[u8], &mut Scope<'_>) -> Option<Arc<dyn ExtensionValue>>,
}

/// The extensions known, by category.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extensions {
    /// Network filters.
    pub network_filters: &'static [Extension],
    /// HTTP filters.
    pub http_filters: &'static [Extension],
}
