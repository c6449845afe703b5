//! The files in `recorded/`: what Envoy showed in each case. Written by `DIFFERENTIAL_RECORD=1`, read otherwise.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::observation::Observation;

/// Expectations by the name of the case.
pub(crate) type Recorded = BTreeMap<String, Observation>;

/// Reads the file at `path`; one that is not there holds nothing.
pub(crate) fn read(path: &Path) -> Result<Recorded, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Recorded::new()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// Writes `observations` in the order of the cases.
pub(crate) fn write(path: &Path, observations: &[(String, Observation)]) -> Result<(), String> {
    let mut text = "# Written by DIFFERENTIAL_RECORD=1 from what Envoy did; do not edit.\n".to_owned();
    for (name, observation) in observations {
        emit(&mut text, name, observation).map_err(|error| error.to_string())?;
    }
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn emit(text: &mut String, name: &str, observation: &Observation) -> std::fmt::Result {
    let nothing = if *observation == Observation::default() { " {}" } else { "" };
    writeln!(text, "\n{}:{nothing}", quoted(name))?;
    emit_list(text, "client", &observation.client)?;
    emit_list(text, "upstream", &observation.upstream)?;
    emit_list(text, "log", &observation.log)?;
    if !observation.stats.is_empty() {
        writeln!(text, "  stats:")?;
        for (name, value) in &observation.stats {
            writeln!(text, "    {name}: {value}")?;
        }
    }
    Ok(())
}

fn emit_list(text: &mut String, name: &str, items: &[String]) -> std::fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(text, "  {name}:")?;
    for item in items {
        emit_text(text, item)?;
    }
    Ok(())
}

/// A block scalar where YAML allows it, so that transcripts can be read; a quoted string otherwise.
fn emit_text(text: &mut String, item: &str) -> std::fmt::Result {
    let shows = |c: char| c == '\n' || c == '\t' || !is_unreadable(c);
    let block = item.contains('\n')
        && !item.starts_with([' ', '\n'])
        && !item.ends_with('\n')
        && item.chars().all(shows);
    if !block {
        return writeln!(text, "    - {}", quoted(item));
    }
    writeln!(text, "    - |-")?;
    for line in item.split('\n') {
        if line.is_empty() { writeln!(text)? } else { writeln!(text, "      {line}")? }
    }
    Ok(())
}

/// Whether YAML wants a character escaped, be it that it is none of its own, or that it ends a line in some readers.
fn is_unreadable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A double-quoted YAML string; JSON's escapes are a part of YAML's, which wants more of them than JSON does.
fn quoted(item: &str) -> String {
    let mut quoted = String::new();
    for c in serde_json::Value::from(item).to_string().chars() {
        if is_unreadable(c) {
            quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            quoted.push(c);
        }
    }
    quoted
}
