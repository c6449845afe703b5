//! How paths and hosts are changed before a request is forwarded.

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::config::route::v3;
use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;

use super::headers::Header;
use super::{PathMatch, UriRewrite};
use crate::config::field::Scope;
use crate::config::format::{Format, Formatters};
use crate::config::matcher::Substitution;

/// How a path is changed before it is forwarded.
#[derive(Clone, Debug, PartialEq)]
pub enum PathRewrite {
    /// What the match took is replaced by this.
    Prefix(String),
    /// What matches in the path without its query is replaced.
    Regex(Substitution),
    /// The path without its query is replaced by what this renders, unless that is empty.
    Format(Format),
    /// The path without its query is made of the variables of the template that matched.
    Template(UriRewrite),
}

/// How the host is changed before a request is forwarded.
#[derive(Clone, Debug, PartialEq)]
pub enum HostRewrite {
    /// `host_rewrite_literal`
    Literal(String),
    /// `auto_host_rewrite`: the chosen host's name.
    Auto,
    /// `host_rewrite_header`: the value of this request header.
    Header(String),
    /// `host_rewrite_path_regex`: the host becomes the path without its query, what matches in it replaced.
    PathRegex(Substitution),
    /// `host_rewrite`: what this renders, unless that is empty; what is not there leaves a dash.
    Format(Format),
}

/// The fields of `RouteAction` that change the path; one of them may be set.
pub(super) struct PathRewriteFields {
    pub(super) prefix_rewrite: String,
    pub(super) regex_rewrite: Option<RegexMatchAndSubstitute>,
    pub(super) path_rewrite: String,
    pub(super) path_rewrite_policy: Option<TypedExtensionConfig>,
}

impl PathRewriteFields {
    /// The rewrite of a route that matches by `matcher`; `None` when there is none.
    pub(super) fn read(self, matcher: Option<&PathMatch>, at: &mut Scope<'_>) -> Option<PathRewrite> {
        let set = [
            !self.prefix_rewrite.is_empty(),
            self.regex_rewrite.is_some(),
            !self.path_rewrite.is_empty(),
            self.path_rewrite_policy.is_some(),
        ];
        if set.into_iter().filter(|set| *set).count() > 1 {
            at.error("Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy");
            return None;
        }
        if !self.prefix_rewrite.is_empty() {
            if matches!(matcher, Some(PathMatch::UriTemplate(_))) {
                at.field("prefix_rewrite").error("Cannot use prefix_rewrite with matcher extension");
            }
            return Some(PathRewrite::Prefix(self.prefix_rewrite));
        }
        if !self.path_rewrite.is_empty() {
            return format(&self.path_rewrite, &mut at.field("path_rewrite")).map(PathRewrite::Format);
        }
        let policy = at.message("path_rewrite_policy", self.path_rewrite_policy, |policy, at| {
            UriRewrite::from_policy(policy, matcher, at)
        });
        policy.map(PathRewrite::Template).or_else(|| {
            at.message("regex_rewrite", self.regex_rewrite, Substitution::from_proto).map(PathRewrite::Regex)
        })
    }
}

/// `RouteAction.host_rewrite_specifier`
pub(super) fn host_rewrite(
    specifier: v3::route_action::HostRewriteSpecifier,
    at: &mut Scope<'_>,
) -> Option<HostRewrite> {
    use v3::route_action::HostRewriteSpecifier as Message;
    match specifier {
        Message::HostRewriteLiteral(host) => Some(HostRewrite::Literal(host)),
        Message::AutoHostRewrite(auto) => auto.value.then_some(HostRewrite::Auto),
        Message::HostRewriteHeader(name) => {
            Header::name(name, &mut at.field("host_rewrite_header")).map(HostRewrite::Header)
        }
        Message::HostRewritePathRegex(rewrite) => {
            Substitution::from_proto(rewrite, &mut at.field("host_rewrite_path_regex"))
                .map(HostRewrite::PathRegex)
        }
        Message::HostRewrite(host) => format(&host, &mut at.field("host_rewrite")).map(HostRewrite::Format),
    }
}

fn format(text: &str, at: &mut Scope<'_>) -> Option<Format> {
    Format::read(text, &Formatters::default(), at)
}
