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

fn max_length(number: &Value) -> Result<usize, &'static str> {
    let number = number.as_i64().ok_or("'max_length' field must be an integer")?;
    usize::try_from(number).ok().filter(|number| *number > 0).ok_or("'max_length' must be a positive integer")
}

fn operator(entry: &Value) -> Result<Command, FormatError> {
    let (name, argument, max_length) = match entry {
        Value::String(name) => (name.as_str(), "", None),
        Value::Object(object) => {
            let name = object.get("command").and_then(Value::as_str);
            let name = name.ok_or("operator object must have 'command' field")?;
            let argument = match object.get("param") {
                None => "",
                Some(argument) => argument.as_str().ok_or("'param' field must be a string")?,
            };
            (name, argument, object.get("max_length").map(max_length).transpose()?)
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
    let command = command(name, argument, max_length, &Formatters::default());
    command.map_err(|error| error.map(in_other_words))
}
