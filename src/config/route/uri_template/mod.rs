//! Paths with variables: `envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig`, which routes match by,
//! and `envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig`, which makes new paths of what the
//! variables stand for.
//!
//! A template is `/`-separated segments: literals, `*` (one segment), `**` (all the rest) and variables, `{name}` or
//! `{name=a/*/b}`, with or without literals around them. It becomes a regular expression when the configuration is read.

mod expression;

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::extensions::path;

use super::PathMatch;
use crate::config::extension;
use crate::config::field::{Scope, open};

use expression::{expression, is_literal, is_name};

/// A template that paths match.
#[derive(Clone, Debug)]
pub struct UriTemplate {
    template: String,
    regex: regex::bytes::Regex,
}

impl PartialEq for UriTemplate {
    fn eq(&self, other: &Self) -> bool {
        self.template == other.template
    }
}

/// A path made of what the variables of a template stand for.
#[derive(Clone, Debug, PartialEq)]
pub struct UriRewrite {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Literal(String),
    /// The number of a group of the template's expression.
    Variable(usize),
}

impl UriTemplate {
    /// Compiles a template.
    ///
    /// # Errors
    /// What is wrong with it, in Envoy's words.
    pub fn new(template: &str) -> Result<Self, String> {
        let expression = expression(template)?;
        let regex = regex::bytes::Regex::new(&format!(r"\A(?:{expression})\z"));
        let regex = regex.map_err(|error| error.to_string())?;
        Ok(UriTemplate { template: template.to_owned(), regex })
    }

    /// Whether a path without its query matches.
    pub fn matches(&self, path: &[u8]) -> bool {
        self.regex.is_match(path)
    }

    /// What every path that matches begins with, up to what may be a path parameter.
    pub fn literal_prefix(&self) -> &str {
        let end = self.template.find(['*', '{', ';']).unwrap_or(self.template.len());
        &self.template[..end]
    }

    pub(in crate::config) fn from_policy(policy: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Self> {
        use path::r#match::uri_template::v3::UriTemplateMatchConfig as Message;
        let message = typed::<Message>(policy, "path matcher", at)?;
        open! { at, Message = message; implemented { path_template } }
        let problem = match UriTemplate::new(&path_template) {
            Ok(template) => return Some(template),
            Err(problem) => problem,
        };
        at.field("path_template")
            .error(format!("path_match_policy.path_template {path_template} is invalid: {problem}"));
        None
    }
}

impl UriRewrite {
    /// The path for one that matches the template; `None` for one that does not.
    pub fn apply(&self, template: &UriTemplate, path: &[u8]) -> Option<Vec<u8>> {
        let found = template.regex.captures(path)?;
        let mut new = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => new.extend_from_slice(literal.as_bytes()),
                Piece::Variable(group) => {
                    new.extend_from_slice(found.get(*group).map_or(b"", |group| group.as_bytes()));
                }
            }
        }
        Some(new)
    }

    /// Of a route that matches by `matcher`.
    pub(super) fn from_policy(
        policy: TypedExtensionConfig,
        matcher: Option<&PathMatch>,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        use path::rewrite::uri_template::v3::UriTemplateRewriteConfig as Message;
        let message = typed::<Message>(policy, "path rewriter", at)?;
        open! { at, Message = message; implemented { path_template_rewrite } }
        let pieces = match pieces(&path_template_rewrite) {
            Ok(pieces) => pieces,
            Err(problem) => {
                at.field("path_template_rewrite").error(format!(
                    "path_rewrite_policy.path_template_rewrite {path_template_rewrite} is invalid: {problem}"
                ));
                return None;
            }
        };
        // Without a matcher there is an error of its own.
        let PathMatch::UriTemplate(template) = matcher? else {
            at.error(
                "unable to use envoy.path.rewrite.uri_template.uri_template_rewriter extension without \
                 envoy.path.match.uri_template.uri_template_matcher extension",
            );
            return None;
        };
        let pieces = pieces.into_iter().map(|piece| numbered(piece, template)).collect();
        let Some(pieces) = pieces else {
            at.error(format!(
                "mismatch between variables in path_match_policy {} and path_rewrite_policy {path_template_rewrite}",
                template.template
            ));
            return None;
        };
        Some(UriRewrite { pieces })
    }
}

/// The message of the one extension of its kind that is known.
fn typed<M>(policy: TypedExtensionConfig, kind: &str, at: &mut Scope<'_>) -> Option<M>
where
    M: prost::Message + prost::Name + Default,
{
    open! { at, TypedExtensionConfig = policy; implemented { name, typed_config } }
    let any = at.required("typed_config", typed_config)?;
    let found = extension::contained_type(&any);
    if found != M::full_name() {
        at.unsupported(format!(
            "Didn't find a registered implementation for '{name}' with type URL: '{found}'; known as a {kind}: {}",
            M::full_name()
        ));
        return None;
    }
    extension::read(any, &mut at.field("typed_config"))
}

/// A part of a rewrite before its variables have numbers.
enum Named<'t> {
    Literal(&'t str),
    Variable(&'t str),
}

/// The parts of a rewrite.
fn pieces(rewrite: &str) -> Result<Vec<Named<'_>>, String> {
    if !rewrite.starts_with('/') {
        return Err("Invalid rewrite variable placement".to_owned());
    }
    if rewrite.contains("//") {
        return Err("Invalid rewrite literal".to_owned());
    }
    let mut pieces = Vec::new();
    let mut rest = rewrite;
    while !rest.is_empty() {
        let (literal, variable) = match rest.split_once('{') {
            Some((literal, variable)) => (literal, Some(variable)),
            None => (rest, None),
        };
        if !literal.bytes().all(|byte| is_literal(byte) || matches!(byte, b'/' | b'*')) {
            return Err("Invalid rewrite literal pattern".to_owned());
        }
        pieces.push(Named::Literal(literal));
        let Some(variable) = variable else { break };
        let Some((name, after)) = variable.split_once('}') else {
            return Err("Unmatched variable bracket".to_owned());
        };
        if !is_name(name) {
            return Err("Invalid variable name".to_owned());
        }
        pieces.push(Named::Variable(name));
        rest = after;
    }
    Ok(pieces)
}

/// The piece, where the template has its variable.
fn numbered(piece: Named<'_>, template: &UriTemplate) -> Option<Piece> {
    match piece {
        Named::Literal(literal) => Some(Piece::Literal(literal.to_owned())),
        Named::Variable(name) => {
            let group = template.regex.capture_names().position(|known| known == Some(name))?;
            Some(Piece::Variable(group))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_match_by_segments() {
        let cases = [
            ("/api/{id}/x", "/api/42/x", true),
            ("/api/{id}/x", "/api/4/2/x", false),
            ("/api/{id}/x", "/api//x", false),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/a/", true),
            ("/a/**", "/a", false),
            ("/a/*.png", "/a/b.png", true),
            ("/a/*.png", "/a/b.jpg", false),
            ("/{v=a/*/c}/d", "/a/b/c/d", true),
            ("/a/", "/a/", true),
            ("/a/", "/a", false),
            ("/", "/", true),
            ("/a.b", "/axb", false),
            ("/a{x}b/c", "/a1b/c", true),
            ("/a{x}b/c", "/ab/c", false),
            ("/{v=a/*}b/c", "/a/xb/c", true),
        ];
        for (template, path, expected) in cases {
            assert_eq!(
                UriTemplate::new(template).unwrap().matches(path.as_bytes()),
                expected,
                "{template} {path}"
            );
        }
    }

    #[test]
    fn what_is_no_template_is_refused_in_envoys_words() {
        let cases = [
            ("", "Invalid pattern: \"\""),
            ("a", "Invalid pattern: \"a\""),
            ("/a b", "Invalid pattern: \"/a b\""),
            ("/a//b", "Invalid literal: \"\""),
            ("/{a", "Unmatched variable bracket in mixed pattern: \"{a\""),
            ("/{1}", "Invalid variable name: \"1\""),
            ("/{a=}", "Empty variable match"),
            ("/{a=b/}", "Invalid variable match: \"/\""),
            ("/{a=*.x}", "Invalid variable match: \".x\""),
            ("/{a}{b}", "Invalid suffix literal: \"{b}\""),
            ("/a{b=c/*}", "Invalid literal: \"a{b=c\""),
            ("/a*b", "Invalid literal: \"a*b\""),
            ("/{a}/{a}", "Repeated variable name: \"a\""),
            (
                "/{abcdefghijklmnopq}",
                "Invalid variable name length (length of \"abcdefghijklmnopq\" should be at least 1 and no more than 16)",
            ),
            ("/{a}/{b}/{c}/{d}/{e}/{f}", "Exceeded variable count limit (5)"),
            ("/**/*", "Glob after text glob."),
            ("/**/{a}", "Implicit variable path glob after text glob."),
            ("/*.png/a", "Prefix match not supported."),
        ];
        for (template, expected) in cases {
            assert_eq!(UriTemplate::new(template).unwrap_err(), expected, "{template}");
        }
    }

    #[test]
    fn what_is_no_rewrite_is_refused() {
        let cases = [
            ("a", "Invalid rewrite variable placement"),
            ("{a}", "Invalid rewrite variable placement"),
            ("/a//b", "Invalid rewrite literal"),
            ("/a?", "Invalid rewrite literal pattern"),
            ("/{a", "Unmatched variable bracket"),
            ("/{1}", "Invalid variable name"),
        ];
        for (rewrite, expected) in cases {
            assert_eq!(pieces(rewrite).err().as_deref(), Some(expected), "{rewrite}");
        }
    }
}
