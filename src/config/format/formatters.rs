//! Formatter extensions: commands that formats have beside those that are always there.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::envoy::extensions::formatter::cel::v3::Cel;
use envoy_types::pb::envoy::extensions::formatter::file_content::v3::FileContent;
use envoy_types::pb::envoy::extensions::formatter::generic_secret::v3::GenericSecret;
use envoy_types::pb::envoy::extensions::formatter::metadata::v3::Metadata;
use envoy_types::pb::envoy::extensions::formatter::req_without_query::v3::ReqWithoutQuery;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::SdsSecretConfig;

use crate::config::cel::Options;
use crate::config::extension::{self, contained_type};
use crate::config::field::{Scope, open};
use crate::config::tls::{Purpose, SecretRef};

use super::secret::FormatSecret;

/// The formatter extensions that are configured beside a format and make a difference.
#[derive(Clone, Debug, Default)]
pub struct Formatters {
    /// `envoy.formatter.req_without_query`
    pub(super) req_without_query: bool,
    /// `envoy.formatter.file_content`
    pub(super) file_content: bool,
    /// `envoy.formatter.cel`: what expressions may do.
    pub(super) cel: Option<Options>,
    /// `envoy.formatter.generic_secret`: secrets by the names that commands have for them.
    pub(super) secrets: Option<Arc<BTreeMap<String, Arc<FormatSecret>>>>,
}

impl Formatters {
    /// From the field `formatters`.
    pub fn from_protos(messages: Vec<v3::TypedExtensionConfig>, at: &mut Scope<'_>) -> Self {
        let all = at.list("formatters", messages, formatter);
        all.into_iter().fold(Formatters::default(), |all, one| Formatters {
            req_without_query: all.req_without_query || one.req_without_query,
            file_content: all.file_content || one.file_content,
            cel: all.cel.or(one.cel),
            secrets: all.secrets.or(one.secrets),
        })
    }

    /// The secret that commands call so. As in Envoy the first formatter of secrets has to know it.
    pub(super) fn secret(&self, name: &str) -> Result<Arc<FormatSecret>, String> {
        let known = self.secrets.as_ref().and_then(|secrets| secrets.get(name));
        known.cloned().ok_or_else(|| {
            format!("envoy.formatter.generic_secret: secret '{name}' is not configured in secret_configs")
        })
    }
}

/// What a formatter extension adds. The commands of most are there without it.
fn formatter(message: v3::TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Formatters> {
    open! { at, v3::TypedExtensionConfig = message; implemented { name, typed_config } }
    let any = at.required("typed_config", typed_config)?;
    let kind = contained_type(&any);
    match kind.strip_prefix("envoy.extensions.formatter.").unwrap_or_default() {
        "metadata.v3.Metadata" => {
            let at = &mut at.field("typed_config");
            open! { at, Metadata = extension::read(any, at)?; implemented {} }
            Some(Formatters::default())
        }
        "req_without_query.v3.ReqWithoutQuery" => {
            let at = &mut at.field("typed_config");
            open! { at, ReqWithoutQuery = extension::read(any, at)?; implemented {} }
            Some(Formatters { req_without_query: true, ..Formatters::default() })
        }
        "file_content.v3.FileContent" => {
            let at = &mut at.field("typed_config");
            open! { at, FileContent = extension::read(any, at)?; implemented {} }
            Some(Formatters { file_content: true, ..Formatters::default() })
        }
        "cel.v3.Cel" => {
            let at = &mut at.field("typed_config");
            open! { at, Cel = extension::read(any, at)?; implemented { cel_config } }
            let options =
                at.message("cel_config", cel_config, |message, at| Some(Options::from_proto(message, at)));
            Some(Formatters { cel: Some(options.unwrap_or_default()), ..Formatters::default() })
        }
        "generic_secret.v3.GenericSecret" => {
            let at = &mut at.field("typed_config");
            open! { at, GenericSecret = extension::read(any, at)?; implemented { secret_configs } }
            let secrets = Some(Arc::new(secrets(secret_configs, at)));
            Some(Formatters { secrets, ..Formatters::default() })
        }
        _ => {
            at.error(format!(
                "Formatter not found: {name}; known are envoy.formatter.cel, envoy.formatter.file_content, \
                 envoy.formatter.generic_secret, envoy.formatter.metadata and envoy.formatter.req_without_query"
            ));
            None
        }
    }
}

/// The secrets of a formatter. All are wanted, be there a command for them or not.
fn secrets(
    messages: HashMap<String, SdsSecretConfig>,
    at: &mut Scope<'_>,
) -> BTreeMap<String, Arc<FormatSecret>> {
    let messages: BTreeMap<String, SdsSecretConfig> = messages.into_iter().collect();
    let secrets = messages.into_iter().filter_map(|(name, message)| {
        let reference =
            SecretRef::from_proto(message, Purpose::Generic, &mut at.key("secret_configs", &name))?;
        let secret = Arc::new(FormatSecret::new(reference));
        at.refer_to_secret(Arc::clone(&secret));
        Some((name, secret))
    });
    secrets.collect()
}
