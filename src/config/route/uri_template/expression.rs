//! From a template to the regular expression that it stands for.

use std::collections::HashSet;

/// Variables that a template may have at most.
const MAX_VARIABLES: usize = 5;

/// Characters of a variable's name at most.
const MAX_NAME: usize = 16;

/// What `*` stands for: the characters of a segment (RFC 3986 §3.3), at least one.
const SEGMENT: &str = r"[a-zA-Z0-9\-._~%!$\&'()*+,;=:@]+";

/// What `**` stands for: segments and the slashes between them, or nothing.
const SEGMENTS: &str = r"[a-zA-Z0-9\-._~%!$\&'()*+,;=:@/]*";

/// The regular expression of a template.
pub(super) fn expression(template: &str) -> Result<String, String> {
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
pub(super) fn is_literal(byte: u8) -> bool {
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

pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
