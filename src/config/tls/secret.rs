//! What contexts use and do not hold themselves: `Secret`, and how it is referred to: `SdsSecretConfig`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3;
use prost::Message as _;
use v3::secret::Type;

use super::{Certificate, TicketKeys, Validation, spiffe};
use crate::config::data_source;
use crate::config::extension::Extensions;
use crate::config::field::{Error, Notes, Scope, open, parse, read};
use crate::config::source::ConfigSource;
use crate::config::watched::WatchedDirectory;

/// A reference to a secret: `SdsSecretConfig`.
#[derive(Clone, Debug, PartialEq)]
pub struct SecretRef {
    /// Its name.
    pub name: String,
    /// Where it comes from; `None` where it stands in the bootstrap.
    pub source: Option<ConfigSource>,
    /// What it is used as.
    pub purpose: Purpose,
}

/// What a secret is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A `tls_certificate`.
    Certificate,
    /// A `validation_context`.
    Validation,
    /// `session_ticket_keys`
    TicketKeys,
    /// A `generic_secret`, in formats.
    Generic,
}

impl Purpose {
    /// Whether this is what is wanted.
    pub fn suits(self, content: &SecretContent) -> bool {
        self == content.purpose()
    }

    /// The field of a secret.
    pub fn field(self) -> &'static str {
        match self {
            Purpose::Certificate => "tls_certificate",
            Purpose::Validation => "validation_context",
            Purpose::TicketKeys => "session_ticket_keys",
            Purpose::Generic => "generic_secret",
        }
    }
}

impl SecretRef {
    pub(in crate::config) fn from_proto(
        message: v3::SdsSecretConfig,
        purpose: Purpose,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, v3::SdsSecretConfig = message; implemented { name, sds_config } }
        let name = at.required_string("name", name);
        let is_given = sds_config.is_some();
        let source = at.message("sds_config", sds_config, ConfigSource::from_proto);
        (source.is_some() == is_given).then_some(SecretRef { name, source, purpose })
    }

    /// Whether this is the secret that is referred to.
    pub fn is_for(&self, secret: &Secret) -> bool {
        secret.name == self.name && self.purpose.suits(&secret.content)
    }

    /// What is said where the bootstrap has no such secret among its own, with what may help.
    pub fn unknown<'s>(&self, secrets: impl Iterator<Item = &'s Secret> + Clone) -> String {
        let (wanted, reason) = (self.purpose, self.refusal());
        if let Some(other) = secrets.clone().find(|secret| secret.name == self.name) {
            let found = other.content.purpose().field();
            return format!("{reason} (it has {found}, and is used for its {})", wanted.field());
        }
        let fit = secrets.filter(|secret| wanted.suits(&secret.content));
        let nearest = dragoman_proto::nearest(&self.name, fit.map(|secret| secret.name.as_str()));
        let hint = nearest.map(|nearest| format!("; did you mean '{nearest}'?")).unwrap_or_default();
        reason + &hint
    }

    /// Envoy's words where there is none.
    fn refusal(&self) -> String {
        if self.purpose == Purpose::Generic {
            let name = &self.name;
            return format!(
                "envoy.formatter.generic_secret: secret '{name}' not found in static bootstrap resources"
            );
        }
        let what = match self.purpose {
            Purpose::Certificate | Purpose::Generic => "static secret",
            Purpose::Validation => "static certificate validation context",
            Purpose::TicketKeys => "tls session ticket keys",
        };
        format!("Unknown {what}: {}", self.name)
    }
}

/// A secret: `envoy.extensions.transport_sockets.tls.v3.Secret`. What it says is never shown.
#[derive(Clone, PartialEq)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// What it is.
    pub content: SecretContent,
    /// The message, with what stood in files where it came over SDS.
    pub message: Bytes,
    /// Directories in which something new means that the files have to be read again.
    pub watched: Vec<WatchedDirectory>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Secret { name, content, message: _, watched } = self;
        f.debug_struct("Secret")
            .field("name", name)
            .field("content", content)
            .field("watched", watched)
            .finish_non_exhaustive()
    }
}

/// `Secret.type`
#[derive(Clone, PartialEq)]
pub enum SecretContent {
    /// `tls_certificate`
    Certificate(Arc<Certificate>),
    /// `validation_context`: the message. What it asks for may be but a part, so it is read with the rest.
    Validation(Bytes),
    /// `session_ticket_keys`
    TicketKeys(Arc<TicketKeys>),
    /// `generic_secret`: its `secret`; empty where there is none. Nothing refers to `secrets`.
    Generic(Bytes),
}

impl SecretContent {
    /// What it can be used as.
    pub fn purpose(&self) -> Purpose {
        match self {
            SecretContent::Certificate(_) => Purpose::Certificate,
            SecretContent::Validation(_) => Purpose::Validation,
            SecretContent::TicketKeys(_) => Purpose::TicketKeys,
            SecretContent::Generic(_) => Purpose::Generic,
        }
    }
}

/// Only what kind it is.
impl fmt::Debug for SecretContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.purpose().field())
    }
}

impl Secret {
    /// Full name of its message.
    pub const MESSAGE: &'static str = "envoy.extensions.transport_sockets.tls.v3.Secret";

    /// Reads a secret that came over SDS: what stands in files is read now, and again when they change.
    ///
    /// # Errors
    /// Every error of the resource.
    pub fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<Error>> {
        parse(bytes, extensions, |message: v3::Secret, at| {
            let mut files = Files::default();
            let message = files.take_in(message, at)?;
            Some(Secret { watched: files.watched, ..Self::from_proto(message, at)? })
        })
    }

    /// From its proto, for what can be said of it before it is used: of what it asks of peers too, which may be but a part.
    pub fn read_closely(message: v3::Secret, at: &mut Scope<'_>) -> Option<Self> {
        if let Some(Type::ValidationContext(context)) = &message.r#type {
            Validation::from_part(context.clone(), &mut at.field("validation_context"));
        }
        Self::from_proto(message, at)
    }

    /// From its proto. Files are read now and not again.
    pub(in crate::config) fn from_proto(message: v3::Secret, at: &mut Scope<'_>) -> Option<Self> {
        let bytes = message.encode_to_vec().into();
        open! { at, v3::Secret = message; implemented { name, r#type } }
        let content = match r#type {
            Some(Type::TlsCertificate(certificate)) => SecretContent::Certificate(Arc::new(
                Certificate::from_proto(certificate, &mut at.field("tls_certificate"))?,
            )),
            Some(Type::ValidationContext(context)) => {
                SecretContent::Validation(context.encode_to_vec().into())
            }
            Some(Type::GenericSecret(secret)) => generic(secret, &mut at.field("generic_secret"))?,
            Some(Type::SessionTicketKeys(keys)) => SecretContent::TicketKeys(Arc::new(
                TicketKeys::from_proto(keys, &mut at.field("session_ticket_keys"))?,
            )),
            None => {
                at.error("a secret is a tls_certificate, a validation_context, session_ticket_keys or a generic_secret");
                return None;
            }
        };
        Some(Secret { name, content, message: bytes, watched: Vec::new() })
    }
}

fn generic(message: v3::GenericSecret, at: &mut Scope<'_>) -> Option<SecretContent> {
    open! { at, v3::GenericSecret = message; implemented { secret, secrets } }
    let secret = match secret {
        Some(secret) => data_source::read(secret, None, &mut at.field("secret"))?,
        None => Vec::new(),
    };
    for (key, secret) in secrets {
        data_source::read(secret, None, &mut at.key("secrets", &key))?;
    }
    Some(SecretContent::Generic(secret.into()))
}

impl Validation {
    /// What a secret asks for, over what is asked for by `default`: lists are joined, what the secret sets counts.
    ///
    /// # Errors
    /// Every error of the two together.
    pub fn merged(default: &[u8], secret: &[u8]) -> Result<Self, Vec<Error>> {
        // Messages that are written one after the other are one message, merged (as protobuf defines it).
        let bytes = [default, secret].concat();
        let context = v3::CertificateValidationContext::decode(&*bytes);
        let context = context.map_err(|error| vec![Error::of_resource(error.to_string())])?;
        read(&Extensions::BUILT_IN, |at| Validation::from_proto(context, at))
            .map(|(validation, _)| validation)
    }
}

/// The files that a secret names, as they are read.
#[derive(Default)]
struct Files {
    watched: Vec<WatchedDirectory>,
}

impl Files {
    /// The secret with the content of its files.
    fn take_in(&mut self, mut message: v3::Secret, at: &mut Scope<'_>) -> Option<v3::Secret> {
        match &mut message.r#type {
            Some(Type::TlsCertificate(certificate)) => {
                let mut at = at.field("tls_certificate");
                let directory = certificate.watched_directory.take();
                let sources = [
                    ("certificate_chain", &mut certificate.certificate_chain),
                    ("private_key", &mut certificate.private_key),
                    ("ocsp_staple", &mut certificate.ocsp_staple),
                    ("password", &mut certificate.password),
                    ("pkcs12", &mut certificate.pkcs12),
                ];
                self.read(sources, directory, &mut at)?;
            }
            Some(Type::ValidationContext(context)) => {
                let mut at = at.field("validation_context");
                let directory = context.watched_directory.take();
                let sources = [("trusted_ca", &mut context.trusted_ca), ("crl", &mut context.crl)];
                self.read(sources, directory, &mut at)?;
                if let Some(config) = context.custom_validator_config.as_mut() {
                    let watched = spiffe::take_in(config, &mut at.field("custom_validator_config"))?;
                    self.watched.extend(watched);
                }
            }
            Some(Type::GenericSecret(_) | Type::SessionTicketKeys(_)) | None => {}
        }
        Some(message)
    }

    fn read<'s>(
        &mut self,
        sources: impl IntoIterator<Item = (&'static str, &'s mut Option<core::DataSource>)>,
        directory: Option<core::WatchedDirectory>,
        at: &mut Scope<'_>,
    ) -> Option<()> {
        use core::data_source::Specifier;
        let mut directories = Vec::new();
        for (field, source) in sources {
            let Some(core::DataSource { specifier: Some(Specifier::Filename(path)), .. }) = source else {
                continue;
            };
            directories.push(WatchedDirectory::around(Path::new(path)));
            let bytes = data_source::read(source.take()?, None, &mut at.field(field))?;
            let specifier = Some(Specifier::InlineBytes(bytes));
            *source = Some(core::DataSource { specifier, ..core::DataSource::default() });
        }
        if let Some(directory) = directory
            && !directories.is_empty()
        {
            directories = vec![WatchedDirectory::from_proto(directory, &mut at.field("watched_directory"))?];
        }
        directories.dedup();
        self.watched = directories;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUSH: &str = "hush";

    fn secret(name: &str, content: SecretContent) -> Secret {
        Secret { name: name.to_owned(), content, message: HUSH.into(), watched: Vec::new() }
    }

    fn wanted(name: &str) -> SecretRef {
        SecretRef { name: name.to_owned(), source: None, purpose: Purpose::Generic }
    }

    #[test]
    fn nothing_of_a_secret_but_its_name_and_kind_can_be_printed() {
        let contents = [SecretContent::Generic(HUSH.into()), SecretContent::Validation(HUSH.into())];
        for content in contents {
            let kind = content.purpose().field();
            let shown = format!("{:?}", secret("word", content));
            assert!(shown.contains("word") && shown.contains(kind) && !shown.contains(HUSH), "{shown}");
        }
    }

    #[test]
    fn a_hint_names_only_secrets_that_would_do() {
        let secrets = [
            secret("word", SecretContent::Generic(Bytes::new())),
            secret("wart", SecretContent::Validation(Bytes::new())),
        ];
        let unknown = |name: &str| wanted(name).unknown(secrets.iter());
        let refused = |name: &str, rest: &str| {
            format!(
                "envoy.formatter.generic_secret: secret '{name}' not found in static bootstrap resources{rest}"
            )
        };
        assert_eq!(unknown("wort"), refused("wort", "; did you mean 'word'?"));
        assert_eq!(
            unknown("wart"),
            refused("wart", " (it has validation_context, and is used for its generic_secret)")
        );
        assert_eq!(unknown("other"), refused("other", ""));
    }
}
