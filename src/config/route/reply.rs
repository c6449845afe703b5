//! Routes that answer by themselves: `RedirectAction` and `DirectResponseAction`.

use bytes::Bytes;
use envoy_types::pb::envoy::config::route::v3;

use super::{PathMatch, PathRewrite};
use crate::config::data_source;
use crate::config::field::{Scope, open};
use crate::config::format::{BodyFormat, Format, Formatters};
use crate::config::matcher::Substitution;
use crate::config::watched::WatchedFile;

/// `envoy.config.route.v3.RedirectAction`
#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// How the scheme changes.
    pub scheme: SchemeRedirect,
    /// Host to put in.
    pub host_redirect: Option<String>,
    /// Port to put in.
    pub port_redirect: Option<u16>,
    /// How the path changes.
    pub path: Option<PathRedirect>,
    /// 301, 302, 303, 307 or 308.
    pub response_code: u16,
    /// Drop the query.
    pub strip_query: bool,
}

/// `RedirectAction.scheme_rewrite_specifier`
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SchemeRedirect {
    /// Stays.
    #[default]
    Keep,
    /// `https_redirect`
    Https,
    /// `scheme_redirect`
    Scheme(String),
}

/// `RedirectAction.path_rewrite_specifier`
#[derive(Clone, Debug, PartialEq)]
pub enum PathRedirect {
    /// The whole path.
    Path(String),
    /// Only what the match took, or by regular expression.
    Rewrite(PathRewrite),
    /// `path_rewrite`: the whole path, unless what this renders is empty.
    Format(Format),
}

/// `envoy.config.route.v3.DirectResponseAction`
#[derive(Clone, Debug, PartialEq)]
pub struct DirectResponse {
    /// 200 to 599.
    pub status: u16,
    /// The body; files are read when the configuration is.
    pub body: Bytes,
    /// The file that the body is in from then on: `body.watched_directory`. It has the one above while it cannot be read.
    pub body_file: Option<Box<WatchedFile>>,
    /// Makes the body that is sent; in it the one above is `%LOCAL_REPLY_BODY%`. `None` sends that as it is.
    pub body_format: Option<Box<BodyFormat>>,
}

impl Redirect {
    /// Of a route that matches by `matcher`.
    pub(super) fn from_proto(
        message: v3::RedirectAction,
        matcher: Option<&PathMatch>,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        use v3::redirect_action::{PathRewriteSpecifier, SchemeRewriteSpecifier};
        open! { at, v3::RedirectAction = message;
            implemented {
                host_redirect, port_redirect, response_code, strip_query, scheme_rewrite_specifier,
                path_rewrite_specifier,
            }
        }
        let path = match path_rewrite_specifier {
            None => None,
            Some(PathRewriteSpecifier::PathRedirect(path)) => Some(PathRedirect::Path(path)),
            Some(PathRewriteSpecifier::PrefixRewrite(prefix)) => {
                if matches!(matcher, Some(PathMatch::UriTemplate(_))) {
                    at.error("Cannot use redirect.prefix_rewrite with path_match_policy");
                }
                Some(PathRedirect::Rewrite(PathRewrite::Prefix(prefix)))
            }
            Some(PathRewriteSpecifier::RegexRewrite(rewrite)) => {
                let substitution = Substitution::from_proto(rewrite, &mut at.field("regex_rewrite"))?;
                Some(PathRedirect::Rewrite(PathRewrite::Regex(substitution)))
            }
            Some(PathRewriteSpecifier::PathRewrite(format)) => {
                let format = Format::read(&format, &Formatters::default(), &mut at.field("path_rewrite"))?;
                Some(PathRedirect::Format(format))
            }
        };
        if port_redirect > u32::from(u16::MAX) {
            at.field("port_redirect").violation("value must be less than or equal to 65535");
        }
        Some(Redirect {
            scheme: match scheme_rewrite_specifier {
                Some(SchemeRewriteSpecifier::HttpsRedirect(true)) => SchemeRedirect::Https,
                Some(SchemeRewriteSpecifier::SchemeRedirect(scheme)) => SchemeRedirect::Scheme(scheme),
                Some(SchemeRewriteSpecifier::HttpsRedirect(false)) | None => SchemeRedirect::Keep,
            },
            host_redirect: Some(host_redirect).filter(|host| !host.is_empty()),
            port_redirect: u16::try_from(port_redirect).ok().filter(|port| *port != 0),
            path,
            response_code: status(response_code, at),
            strip_query,
        })
    }
}

fn status(response_code: i32, at: &mut Scope<'_>) -> u16 {
    use v3::redirect_action::RedirectResponseCode as Code;
    match at.enumeration("response_code", response_code) {
        Code::MovedPermanently => 301,
        Code::Found => 302,
        Code::SeeOther => 303,
        Code::TemporaryRedirect => 307,
        Code::PermanentRedirect => 308,
    }
}

impl DirectResponse {
    pub(super) fn from_proto(
        message: v3::DirectResponseAction,
        max_body: u32,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, v3::DirectResponseAction = message;
            implemented { status, body, body_format }
        }
        if !(200..600).contains(&status) {
            at.field("status").violation("value must be inside range [200, 600)");
        }
        let body = at.message("body", body, |source, at| data_source::follow(source, Some(max_body), at));
        let (body, body_file) = body.unwrap_or_default();
        Some(DirectResponse {
            status: u16::try_from(status).ok()?,
            body: body.into(),
            body_file: body_file.map(Box::new),
            body_format: at.message("body_format", body_format, BodyFormat::from_proto).map(Box::new),
        })
    }
}
