//! Certificates that handshakes ask for: `custom_tls_certificate_selector`, of which there is one kind,
//! `envoy.extensions.transport_sockets.tls.cert_selectors.on_demand_secret.v3.Config`.

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::{cert_mappers, cert_selectors};
use envoy_types::pb::google::protobuf::Any;
use prost::Name as _;

use super::{Purpose, SecretRef};
use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::source::ConfigSource;
use cert_mappers::sni::v3::Sni;
use cert_mappers::static_name::v3::StaticName;
use cert_selectors::on_demand_secret::v3::Config;

/// Where certificates come from that handshakes ask for, and by which names.
#[derive(Clone, Debug, PartialEq)]
pub struct OnDemandSecrets {
    /// `config_source`
    pub source: ConfigSource,
    /// `certificate_mapper`
    pub mapper: Mapper,
    /// `prefetch_secret_names`: what is asked for before anybody wants it; nobody waits for that.
    pub prefetch: Vec<String>,
}

/// What the secret of a handshake is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapper {
    /// `SNI`: as the host that the client asks for; as `default_value` says where it asks for none.
    Sni {
        /// `default_value`
        default: String,
    },
    /// `StaticName`: always the same.
    Static(String),
}

impl OnDemandSecrets {
    /// From its proto.
    pub(super) fn from_proto(message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Self> {
        let (any, mut at) = typed(message, &[&Config::full_name()], at)?;
        let at = &mut at;
        let message: Config = extension::read(any, at)?;
        open! { at, Config = message;
            implemented { config_source, certificate_mapper, prefetch_secret_names }
        }
        let source = at.required("config_source", config_source)?;
        let source = at.message("config_source", Some(source), ConfigSource::from_proto);
        let mapper = at.required("certificate_mapper", certificate_mapper)?;
        let mapper = Mapper::from_proto(mapper, &mut at.field("certificate_mapper"));
        Some(OnDemandSecrets { source: source?, mapper: mapper?, prefetch: prefetch_secret_names })
    }

    /// The name of the secret for a client that asks for this host; an empty one where it asks for none.
    pub fn name<'n>(&'n self, sni: &'n str) -> &'n str {
        match &self.mapper {
            Mapper::Sni { default } if sni.is_empty() => default,
            Mapper::Sni { .. } => sni,
            Mapper::Static(name) => name,
        }
    }

    /// The secret of this name.
    pub fn secret(&self, name: &str) -> SecretRef {
        SecretRef { name: name.to_owned(), source: Some(self.source.clone()), purpose: Purpose::Certificate }
    }
}

impl Mapper {
    fn from_proto(message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Self> {
        let (sni, fixed) = (Sni::full_name(), StaticName::full_name());
        let (any, mut at) = typed(message, &[&sni, &fixed], at)?;
        let at = &mut at;
        if extension::contained_type(&any) == sni {
            let message: Sni = extension::read(any, at)?;
            open! { at, Sni = message; implemented { default_value } }
            return Some(Mapper::Sni { default: at.required_string("default_value", default_value) });
        }
        let message: StaticName = extension::read(any, at)?;
        open! { at, StaticName = message; implemented { name } }
        Some(Mapper::Static(at.required_string("name", name)))
    }
}

/// What an extension is told, which has to be one of these types.
fn typed<'s>(
    message: TypedExtensionConfig,
    known: &[&str],
    at: &'s mut Scope<'_>,
) -> Option<(Any, Scope<'s>)> {
    open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
    let name = at.required_string("name", name);
    let any = typed_config.unwrap_or_default();
    let kind = extension::contained_type(&any);
    let mut at = at.field("typed_config");
    if !known.contains(&&*kind) {
        at.unsupported(format!(
            "Didn't find a registered implementation for '{name}' with type URL: '{kind}'; known: {}",
            known.join(", ")
        ));
        return None;
    }
    Some((any, at))
}
