//! Which messages configuration can bring, and what becomes of those that nothing takes apart.

use std::collections::{BTreeMap, BTreeSet};

use dragoman_proto::descriptor::{self, Field, Message};

use super::declarations::{Answer, Declaration};

/// What management servers get as it was configured.
const PASSED_ON: [&str; 3] =
    ["envoy.config.core.v3.BuildVersion", "envoy.config.core.v3.Extension", "xds.core.v3.ContextParams"];

/// What a typed configuration may name though a field of another message holds it, too.
const EXTENSIONS_TOO: [&str; 1] = ["envoy.extensions.clusters.dns.v3.DnsCluster"];

/// The resources that come by themselves only because of a field that is refused, and that field.
const RESOURCES: [(&str, &str); 2] = [
    ("envoy.service.runtime.v3.Runtime", "envoy.config.bootstrap.v3.RuntimeLayer.rtds_layer"),
    ("envoy.extensions.transport_sockets.tls.v3.Secret", "envoy.config.core.v3.TransportSocket.typed_config"),
];

/// Messages that are values rather than sets of fields: they are read, or passed on, as a whole.
fn is_value(message: &str) -> bool {
    // The trees of CEL are expressions, read as a whole.
    let packages = ["google.protobuf.", "cel.expr.", "google.api.expr.v1alpha1."];
    packages.iter().any(|package| message.starts_with(package)) || PASSED_ON.contains(&message)
}

/// What implemented fields hold and no `open!` takes apart field by field, each with a field that holds it.
pub(super) fn unlisted(declarations: &[Declaration]) -> BTreeMap<&'static str, String> {
    let known = opened(declarations);
    let mut unlisted = BTreeMap::new();
    for declaration in declarations {
        for (field, message) in held(declaration) {
            if !known.contains(message.full_name()) && !is_value(message.full_name()) {
                unlisted.entry(message.full_name()).or_insert(format!("{}.{field}", declaration.message));
            }
        }
    }
    unlisted
}

fn opened(declarations: &[Declaration]) -> BTreeSet<&str> {
    declarations.iter().map(|declaration| declaration.message.as_str()).collect()
}

/// The messages that a message's fields may bring, each with the field.
pub(super) fn held(declaration: &Declaration) -> impl Iterator<Item = (&'static str, &'static Message)> + '_ {
    let read = |(_, answer): &&(_, Answer)| matches!(answer, Answer::Implemented | Answer::InPart(_));
    declaration.fields.iter().filter(read).filter_map(|(field, _)| Some((field.name(), value(field)?)))
}

/// The message that a field holds; for a map, that of its values.
fn value(field: &'static Field) -> Option<&'static Message> {
    let message = field.message()?;
    if field.is_map() { message.field(2)?.message() } else { Some(message) }
}

/// Why a message is never looked into.
pub(super) struct Unread {
    /// The field that holds it, with that of which message it is.
    pub(super) field: String,
    /// What becomes of that field; `None` where the field's own message is unread too.
    pub(super) answer: Option<Answer>,
}

/// The messages that stand only below fields that are rejected or ignored, by name, each with the nearest such field.
pub(super) fn unread(declarations: &[Declaration]) -> BTreeMap<&'static str, Unread> {
    let opened = opened(declarations);
    let mut unread = BTreeMap::new();
    let mut below = Vec::new();
    let mut add = |message: &'static Message, reason: Unread, below: &mut Vec<&'static Message>| {
        let name = message.full_name();
        if !opened.contains(name) && !is_value(name) && !unread.contains_key(name) {
            unread.insert(name, reason);
            below.push(message);
        }
    };
    for declaration in declarations {
        for (field, answer) in &declaration.fields {
            if let (Some(message), Answer::Rejected(_) | Answer::Ignored(_)) = (value(field), answer) {
                let field = format!("{}.{}", declaration.message, field.name());
                add(message, Unread { field, answer: Some(answer.clone()) }, &mut below);
            }
        }
    }
    for (message, field) in RESOURCES {
        if let Some(message) = descriptor::message(message) {
            add(message, Unread { field: field.to_owned(), answer: None }, &mut below);
        }
    }
    while let Some(message) = below.pop() {
        for field in message.fields() {
            if let Some(held) = value(field) {
                let field = format!("{}.{}", message.full_name(), field.name());
                add(held, Unread { field, answer: None }, &mut below);
            }
        }
    }
    unread
}

/// The messages of `envoy.extensions` that a typed configuration may name, by the category that the package says: those
/// that no message of the package holds beside fields of its own, and those that are served.
pub(super) fn extension_types(declarations: &[Declaration]) -> BTreeMap<String, Vec<String>> {
    const PACKAGE: &str = "envoy.extensions.";
    let names: Vec<String> = descriptor::message_names().collect();
    let package = |name: &str| name.rsplit_once('.').map(|(package, _)| package.to_owned());
    let mut held: BTreeSet<&str> = BTreeSet::new();
    for holder in names.iter().filter_map(|name| descriptor::message(name)).filter(|it| it.fields().len() > 1)
    {
        let values = holder.fields().iter().filter_map(value).map(Message::full_name);
        held.extend(values.filter(|value| package(value) == package(holder.full_name())));
    }
    let mut read: BTreeSet<&str> =
        declarations.iter().flat_map(self::held).map(|(_, message)| message.full_name()).collect();
    read.retain(|name| !EXTENSIONS_TOO.contains(name));
    let opened = opened(declarations);
    let is_named =
        |name: &str| if opened.contains(name) { !read.contains(name) } else { !held.contains(name) };
    let mut categories: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in names.iter().filter(|name| is_named(name)) {
        if let Some((package, _)) = name.strip_prefix(PACKAGE).and_then(|rest| rest.split_once(".v3.")) {
            let category = package.rsplit_once('.').map_or(package, |(category, _)| category);
            categories.entry(category.to_owned()).or_default().push(name.clone());
        }
    }
    categories.values_mut().for_each(|types| types.sort());
    categories
}
