//! Laying one configuration over another, as `--config-yaml` over `--config-path`.

use super::{Node, Value};

/// Lays `over` over `base`, as protobuf's `MergeFrom` does with the messages they stand for.
///
/// Mappings are merged key by key, lists are appended, everything else is replaced.
pub fn merge(base: &mut Node, over: Node) {
    match (&mut base.value, over.value) {
        (_, Value::Null) => {}
        (Value::Map(base), Value::Map(over)) => {
            for entry in over {
                match base.iter_mut().find(|earlier| earlier.key == entry.key) {
                    Some(earlier) => merge(&mut earlier.value, entry.value),
                    None => base.push(entry),
                }
            }
        }
        (Value::List(base), Value::List(over)) => base.extend(over),
        (base_value, value) => {
            *base_value = value;
            base.at = over.at;
        }
    }
}
