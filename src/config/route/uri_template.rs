//! Paths with variables: `envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig`, which routes match by,
//! and `envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig`, which makes new paths of what the
//! variables stand for.
//!
//! A template is `/`-separated segments: literals, `*` (one segment), `**` (all the rest) and variables, `{name}` or
//! `{name=a/*/b}`, with or without literals around them. It becomes a regular expression when the configuration is read.

use std::collections::HashSet;

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::extensions::path;

use super::PathMatch;
use crate::config::extension;
use crate::config::field::{Scope, open};

/// Variables that a template may have at most.
const MAX_VARIABLES: usize = 5;

/// Characters of a variable's name at most.
const MAX_NAME: usize = 16;

/// What `*` stands for: the characters of a segment (RFC 3986 §3.3), at least one.
const SEGMENT: &str = r"[a-zA-Z0-9\-._~%!$\&'()*+,;=:@]+";

/// What `**` stands for: segments and the slashes between them, or nothing.
const SEGMENTS: &str = r"[a-zA-Z0-9\-._~%!$\&'()*+,;=:@/]*";

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

    pub(super) fn from_policy(policy: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Self> {
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

/// The regular expression of a template.
fn expression(template: &str) -> Result<String, String> {
    let printable = template.bytes().all(|byte| byte.is_ascii_graphic());
    let Some(mut rest) = template.strip_prefix('/').filter(|_| printable) else {
        return Err(format!("Invalid pattern: \"{template}\""));
    };
    let mut expression = String::from("/");
    let mut names = HashSet::new();
    let mut globs = Globs::default();
    while !rest.is_empty() {
        rest = match rest.starts_with('*') {
            true => glob_segment(rest, &mut expression, &mut globs)?,
            false => mixed_segment(rest, &mut expression, &mut globs, &mut names)?,
        };
        if let Some(next) = rest.strip_prefix('/') {
            expression.push('/');
            rest = next;
        }
    }
    Ok(expression)
}

/// Takes a segment that begins with a glob. What stands behind the glob in it ends the template.
fn glob_segment<'t>(rest: &'t str, expression: &mut String, globs: &mut Globs) -> Result<&'t str, String> {
    let rest = glob(rest, expression, globs)?;
    if rest.is_empty() || rest.starts_with('/') {
        return Ok(rest);
    }
    match literal(rest, expression)? {
        "" => Ok(""),
        _ => Err("Prefix match not supported.".to_owned()),
    }
}

/// Takes a segment of a literal, a variable, or a variable between literals.
fn mixed_segment<'t>(
    rest: &'t str,
    expression: &mut String,
    globs: &mut Globs,
    names: &mut HashSet<&'t str>,
) -> Result<&'t str, String> {
    let segment = &rest[..rest.find('/').unwrap_or(rest.len())];
    let variable_at = match rest.find('{') {
        Some(0) => 0,
        Some(at) if segment.get(at..).is_some_and(|rest| rest.contains('}')) => at,
        _ => return literal(rest, expression),
    };
    let (before, rest) = rest.split_at(variable_at);
    if !before.is_empty() {
        literal(before, expression)?;
    }
    let rest = variable(rest, expression, globs, names)?;
    if rest.is_empty() || rest.starts_with('/') {
        return Ok(rest);
    }
    literal(rest, expression).map_err(|problem| problem.replace("literal", "suffix literal"))
}

/// Whether there was a `**`: after it no other glob can be.
#[derive(Default)]
struct Globs {
    text: bool,
}

impl Globs {
    fn meet(&mut self, text: bool, problem: &str) -> Result<(), String> {
        if self.text {
            return Err(problem.to_owned());
        }
        self.text = text;
        Ok(())
    }
}

/// Takes a glob off the beginning and gives the rest.
fn glob<'t>(rest: &'t str, expression: &mut String, globs: &mut Globs) -> Result<&'t str, String> {
    let (text, after) = match rest.strip_prefix("**") {
        Some(after) => (true, after),
        None => (false, rest.strip_prefix('*').unwrap_or(rest)),
    };
    globs.meet(text, "Glob after text glob.")?;
    expression.push_str(if text { SEGMENTS } else { SEGMENT });
    Ok(after)
}

/// Takes a literal off the beginning, up to the next slash, and gives the rest.
fn literal<'t>(rest: &'t str, expression: &mut String) -> Result<&'t str, String> {
    let (literal, after) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if literal.is_empty() || !literal.bytes().all(is_literal) {
        return Err(format!("Invalid literal: \"{literal}\""));
    }
    expression.push_str(&regex::escape(literal));
    Ok(after)
}

/// The characters of a segment (RFC 3986 §3.3) but `*`: in Envoy's literals it is an operator of regular expressions.
fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()+,;=:@".contains(&byte)
}

/// Takes a variable off the beginning and gives the rest.
fn variable<'t>(
    rest: &'t str,
    expression: &mut String,
    globs: &mut Globs,
    names: &mut HashSet<&'t str>,
) -> Result<&'t str, String> {
    let Some((inside, after)) = rest[1..].split_once('}') else {
        return Err(format!("Unmatched variable bracket in mixed pattern: \"{rest}\""));
    };
    let (name, parts) = match inside.split_once('=') {
        Some((name, parts)) => (name, Some(parts)),
        None => (inside, None),
    };
    if !is_name(name) {
        return Err(format!("Invalid variable name: \"{name}\""));
    }
    if names.len() == MAX_VARIABLES {
        return Err(format!("Exceeded variable count limit ({MAX_VARIABLES})"));
    }
    if name.len() > MAX_NAME {
        return Err(format!(
            "Invalid variable name length (length of \"{name}\" should be at least 1 and no more than {MAX_NAME})"
        ));
    }
    if !names.insert(name) {
        return Err(format!("Repeated variable name: \"{name}\""));
    }
    expression.push_str(&format!("(?P<{name}>"));
    match parts {
        None => {
            globs.meet(false, "Implicit variable path glob after text glob.")?;
            expression.push_str(SEGMENT);
        }
        Some("") => return Err("Empty variable match".to_owned()),
        Some(parts) => variable_parts(parts, expression, globs)?,
    }
    expression.push(')');
    Ok(after)
}

/// What a variable stands for: literals and globs with slashes between them.
fn variable_parts(mut rest: &str, expression: &mut String, globs: &mut Globs) -> Result<(), String> {
    while !rest.is_empty() {
        rest = match rest.starts_with('*') {
            true => glob(rest, expression, globs)?,
            false => literal(rest, expression)?,
        };
        if rest.is_empty() {
            break;
        }
        rest = match rest.strip_prefix('/') {
            Some(next) if !next.is_empty() => next,
            _ => return Err(format!("Invalid variable match: \"{rest}\"")),
        };
        expression.push('/');
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
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
