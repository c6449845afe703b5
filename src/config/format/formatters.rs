//! Formatter extensions: commands that formats have beside those that are always there.

use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::envoy::extensions::formatter::cel::v3::Cel;
use envoy_types::pb::envoy::extensions::formatter::file_content::v3::FileContent;
use envoy_types::pb::envoy::extensions::formatter::metadata::v3::Metadata;
use envoy_types::pb::envoy::extensions::formatter::req_without_query::v3::ReqWithoutQuery;

use crate::config::cel::Options;
use crate::config::extension::{self, contained_type};
use crate::config::field::{Scope, open};

/// The formatter extensions that are configured beside a format and make a difference.
#[derive(Clone, Copy, Debug, Default)]
pub struct Formatters {
    /// `envoy.formatter.req_without_query`
    pub(super) req_without_query: bool,
    /// `envoy.formatter.file_content`
    pub(super) file_content: bool,
    /// `envoy.formatter.cel`: what expressions may do.
    pub(super) cel: Option<Options>,
}

impl Formatters {
    /// From the field `formatters`.
    pub fn from_protos(messages: Vec<v3::TypedExtensionConfig>, at: &mut Scope<'_>) -> Self {
        let all = at.list("formatters", messages, formatter);
        all.into_iter().fold(Formatters::default(), |all, one| Formatters {
            req_without_query: all.req_without_query || one.req_without_query,
            file_content: all.file_content || one.file_content,
            cel: all.cel.or(one.cel),
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
        _ => {
            at.error(format!(
                "Formatter not found: {name}; known are envoy.formatter.cel, envoy.formatter.file_content, \
                 envoy.formatter.metadata and envoy.formatter.req_without_query"
            ));
            None
        }
    }
}
