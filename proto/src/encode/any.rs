//! `google.protobuf.Any`: an object whose `@type` says what the rest of it is.

use super::{Encoder, well_known::is_well_known};
use crate::{
    descriptor::{self, Message},
    tree::{Entry, Node, Value},
    wire::put_bytes,
};

/// The key that names the type.
const TYPE: &str = "@type";

impl Encoder {
    /// Appends the fields of an `Any`.
    pub(super) fn any(&mut self, node: &Node, out: &mut Vec<u8>) {
        let Value::Map(entries) = &node.value else {
            return self.expected(node, "an object with `@type`");
        };
        let Some(type_entry) = entries.iter().find(|entry| entry.key == TYPE) else {
            // Envoy takes an empty object for an empty Any.
            return match entries.is_empty() {
                true => {}
                false => self.error(node.at, "expected `@type`, the type of this object, among its keys"),
            };
        };
        let Some((type_url, message)) = self.any_type(type_entry) else { return };
        let mut value = Vec::new();
        let mut others = entries.iter().filter(|entry| !std::ptr::eq(*entry, type_entry));
        if let Some(again) = others.clone().find(|entry| entry.key == TYPE) {
            self.error(again.at, "`@type` stands twice");
        } else if !is_well_known(message) {
            self.fields(others, message, &mut value);
        } else if let Some(entry) = others.next() {
            self.well_known_any(entry, message, &mut value);
            others.for_each(|other| self.only_value(other, message));
        }
        put_bytes(out, 1, type_url.as_bytes());
        if !value.is_empty() {
            put_bytes(out, 2, &value);
        }
    }

    /// The type URL and what it names.
    fn any_type<'a>(&mut self, entry: &'a Entry) -> Option<(&'a str, &'static Message)> {
        let mark = self.path.field(TYPE);
        let found = match entry.value.as_str().map(|url| (url, url.rsplit_once('/'))) {
            Some((url, Some((host, _)))) if !host.is_empty() => match descriptor::message_of_url(url) {
                Some(message) => Some((url, message)),
                None => {
                    let hint = self.type_hint(url);
                    self.error(entry.value.at, format!("there is no message type `{url}`{hint}"));
                    None
                }
            },
            _ => {
                self.expected(
                    &entry.value,
                    "a type URL such as `type.googleapis.com/google.protobuf.Struct`",
                );
                None
            }
        };
        self.path.back_to(mark);
        found
    }

    /// A type with a notation of its own stands under `value`.
    fn well_known_any(&mut self, entry: &Entry, message: &'static Message, out: &mut Vec<u8>) {
        if entry.key != "value" {
            return self.only_value(entry, message);
        }
        let mark = self.path.field("value");
        self.message(&entry.value, message, out);
        self.path.back_to(mark);
    }

    fn only_value(&mut self, entry: &Entry, message: &Message) {
        let text =
            format!("a {} stands under the key `value`, there is no `{}`", message.full_name(), entry.key);
        self.error(entry.at, text);
    }
}
