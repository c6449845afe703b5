//! The argument of `COALESCE`: a JSON object that lists commands.

use serde_json::Value;

use super::command::Command;
use super::parse::command;
use super::{FormatError, Formatters};

/// Parses `{"operators": ["NAME", {"command": "NAME", "param": "…", "max_length": 7}]}`.
pub(super) fn parse(argument: &str) -> Result<Vec<Command>, FormatError> {
    let json: Value = serde_json::from_str(argument)
        .map_err(|error| format!("COALESCE: failed to parse JSON configuration: {error}"))?;
    let operators = json
        .get("operators")
        .ok_or("COALESCE: JSON configuration must contain 'operators' array")?
        .as_array()
        .ok_or("COALESCE: 'operators' must be an array")?;
    if operators.is_empty() {
        return Err("COALESCE: 'operators' array must not be empty".into());
    }
    let numbered = operators.iter().enumerate();
    numbered
        .map(|(index, entry)| {
            let at_index = |error| format!("COALESCE: failed to parse operator at index {index}: {error}");
            operator(entry).map_err(|error| error.map(at_index))
        })
        .collect()
}

fn operator(entry: &Value) -> Result<Command, FormatError> {
    let (name, argument, max_length) = match entry {
        Value::String(name) => (name.as_str(), "", None),
        Value::Object(object) => {
            let name = object.get("command").and_then(Value::as_str);
            let name = name.ok_or("operator object must have 'command' field")?;
            let argument = object.get("param").and_then(Value::as_str).unwrap_or_default();
            let max_length = match object.get("max_length") {
                None => None,
                Some(number) => Some(
                    number
                        .as_u64()
                        .filter(|number| *number > 0)
                        .and_then(|number| usize::try_from(number).ok())
                        .ok_or("'max_length' must be a positive integer")?,
                ),
            };
            (name, argument, max_length)
        }
        _ => {
            return Err(
                "operator entry must be either a string (command name) or an object with 'command' field"
                    .into(),
            );
        }
    };
    let in_other_words = |message: String| {
        let unknown = message.strip_prefix("Not supported field in StreamInfo: ");
        unknown.map_or(message.clone(), |name| format!("unknown command: '{name}'"))
    };
    let command = command(name, argument, max_length, Formatters::default());
    command.map_err(|error| error.map(in_other_words))
}
