//! `/logging`: from which level on each component logs.

use std::fmt::Write;

use super::{Query, Reply, Request};
use crate::observability::logging::{Level, Levels};

/// Shows the levels, after changing them if asked to.
pub(super) fn logging(request: &Request<'_>) -> Reply {
    let levels = &request.admin.levels;
    match change(&request.query, levels) {
        Ok(()) => Reply::text(200, listed(levels)),
        Err(error) => Reply::text(400, format!("error: {error}\n\n{}{}", usage(), listed(levels))),
    }
}

/// Envoy takes one parameter.
fn change(query: &Query, levels: &Levels) -> Result<(), String> {
    let [(name, value)] = query.all() else {
        return if query.all().is_empty() { Ok(()) } else { Err("invalid number of parameters".to_owned()) };
    };
    match name.as_str() {
        _ if value.is_empty() => {}
        "level" => levels.set_all(level(value)?),
        "paths" => {
            let pairs: Vec<_> = value.split(',').filter(|pair| !pair.is_empty()).collect();
            if pairs.is_empty() {
                return Err("empty logger name or empty logger level".to_owned());
            }
            for pair in pairs {
                set_pair(pair, levels)?;
            }
        }
        "group" => return Err("group parameter requires fine-grain logging to be enabled".to_owned()),
        component => set(component, value, levels)?,
    }
    Ok(())
}

fn set_pair(pair: &str, levels: &Levels) -> Result<(), String> {
    match pair.split_once(':') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => set(name, value, levels),
        _ => Err("empty logger name or empty logger level".to_owned()),
    }
}

fn set(component: &str, value: &str, levels: &Levels) -> Result<(), String> {
    let level = level(value)?;
    levels.set(component, level).map_err(|_| "unknown logger name".to_owned())
}

fn level(name: &str) -> Result<Level, String> {
    let found = Level::ALL.into_iter().find(|level| level.name() == name);
    found.ok_or_else(|| "unknown logger level".to_owned())
}

fn usage() -> String {
    let levels: String = Level::ALL.into_iter().map(|level| format!("{} ", level.name())).collect();
    format!(
        "usage: /logging?<name>=<level> (change single level)\n\
         usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)\n\
         usage: /logging?level=<level> (change all levels)\n\
         usage: /logging?group=<group_name>:<level> (change group of loggers)\n\
         levels: {levels}\n"
    )
}

fn listed(levels: &Levels) -> String {
    let mut text = "active loggers:\n".to_owned();
    for (component, level) in levels.levels() {
        // Writing to a string does not fail.
        writeln!(text, "  {component}: {}", level.name()).unwrap_or_default();
    }
    text.push('\n');
    text
}
