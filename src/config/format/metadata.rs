//! The arguments of commands that ask for metadata and filter state.

use super::command::Operator;
use super::operand::{MetadataOf, Side, StateForm};

/// `METADATA(KIND:NAME:KEY…)`
pub(super) fn of_kind(argument: &str) -> Result<Operator, String> {
    let (kind, path) = argument.split_once(':').unwrap_or((argument, ""));
    let of_whom = match kind {
        "DYNAMIC" => MetadataOf::Dynamic,
        "CLUSTER" => MetadataOf::Cluster,
        "ROUTE" => MetadataOf::Route,
        "UPSTREAM_HOST" => MetadataOf::UpstreamHost,
        "LISTENER" => MetadataOf::Listener,
        "VIRTUAL_HOST" => MetadataOf::VirtualHost,
        "LISTENER_FILTER_CHAIN" => MetadataOf::FilterChain,
        other => return Err(format!("{other} is not supported type of metadata")),
    };
    Ok(of(of_whom, path))
}

/// `NAME:KEY…`
pub(super) fn of(of: MetadataOf, path: &str) -> Operator {
    Operator::Metadata { of, path: path.split(':').map(str::to_owned).collect() }
}

/// `NAME:FORM:FIELD`, of the request or of the connection to its host; what follows that is passed over, as in Envoy.
pub(super) fn filter_state(side: Side, argument: &str) -> Result<Operator, String> {
    let mut parts = argument.split(':');
    let name = parts.next().unwrap_or_default();
    if name.is_empty() {
        return Err("Invalid filter state configuration, key cannot be empty.".to_owned());
    }
    let form = match (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) {
        ("" | "TYPED", "") => StateForm::Typed,
        ("PLAIN", "") => StateForm::Plain,
        ("FIELD", field) if !field.is_empty() => StateForm::Field(field.to_owned()),
        ("FIELD" | "" | "PLAIN" | "TYPED", _) => {
            return Err(
                "Invalid filter state serialize type, FIELD should be used with the field name.".to_owned()
            );
        }
        _ => return Err("Invalid filter state serialize type, only support PLAIN/TYPED/FIELD.".to_owned()),
    };
    Ok(Operator::FilterState { side, name: name.to_owned(), form })
}
