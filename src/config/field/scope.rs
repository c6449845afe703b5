//! The place that is being converted.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::known::{Extensions, RegexLevels};
use super::place::{Place, Step};
use super::{Error, ErrorKind, Findings, MAX_ERRORS, MAX_NOTES, Note, NoteKind, Support};
use crate::config::dns_cache::DnsCache;
use crate::config::format::FormatSecret;

/// The place now converted, and what was found so far.
#[derive(Debug)]
pub struct Scope<'a> {
    pub(super) place: Place<'a>,
    pub(super) found: &'a mut Findings,
}

impl Scope<'_> {
    /// The extensions that may be used.
    pub fn extensions(&self) -> &Extensions {
        &self.found.extensions
    }

    /// Says whether there is a local cluster, before what may refer to it is read.
    pub(in crate::config) fn know_local_cluster(&mut self, is_there: bool) {
        self.found.extensions.local_cluster = Some(is_there);
    }

    /// Says which clusters may be management servers, before what may refer to one is read.
    pub(in crate::config) fn know_management_servers(&mut self, names: Arc<BTreeSet<String>>) {
        self.found.extensions.management_servers = Some(names);
    }

    /// Says how large programs of regular expressions may be, before what may have some is read.
    pub(in crate::config) fn know_regex_levels(&mut self, levels: RegexLevels) {
        self.found.extensions.regex_levels = levels;
    }

    /// Takes note of a secret that formats here write, for whoever owns the resource.
    pub(in crate::config) fn refer_to_secret(&mut self, secret: Arc<FormatSecret>) {
        self.found.secrets.push(secret);
    }

    /// The secrets that formats write, of what has been read since the last call.
    pub(in crate::config) fn take_secrets(&mut self) -> Vec<Arc<FormatSecret>> {
        std::mem::take(&mut self.found.secrets)
    }

    /// Takes note of a format here that writes how long looking for routes takes.
    pub(in crate::config) fn time_routes(&mut self) {
        self.found.times_routes = true;
    }

    /// Whether a format does, of what has been read since the last call.
    pub(in crate::config) fn take_route_timing(&mut self) -> bool {
        std::mem::take(&mut self.found.times_routes)
    }

    /// Takes note of a cache of names; an error where one of its name was configured with other settings before.
    pub(in crate::config) fn share_cache(&mut self, cache: &DnsCache) {
        let known = self.found.caches.entry(cache.name.clone()).or_insert_with(|| cache.clone());
        if known != cache {
            self.error(cache.disagreement());
        }
        self.found.named_caches.push(cache.clone());
    }

    /// The caches that are named by what has been read since the last call.
    pub(in crate::config) fn take_caches(&mut self) -> Vec<DnsCache> {
        std::mem::take(&mut self.found.named_caches)
    }

    /// The path of this place.
    pub fn path(&self) -> String {
        self.place.to_string()
    }

    /// The scope of a field.
    pub fn field<'s>(&'s mut self, name: &'s str) -> Scope<'s> {
        self.step(Step::Field(name))
    }

    /// The scope of an element of a list.
    pub fn index<'s>(&'s mut self, name: &'s str, index: usize) -> Scope<'s> {
        self.step(Step::Index(name, index))
    }

    /// The scope of an entry of a map.
    pub fn key<'s>(&'s mut self, name: &'s str, key: &'s str) -> Scope<'s> {
        self.step(Step::Key(name, key))
    }

    fn step<'s>(&'s mut self, step: Step<'s>) -> Scope<'s> {
        Scope { place: Place { parent: Some(&self.place), step }, found: &mut *self.found }
    }

    /// Notes that the value here cannot be put in force.
    pub fn error(&mut self, message: impl Into<String>) {
        self.push(message.into(), ErrorKind::Apply);
    }

    /// Notes that the value here cannot be put in force although Envoy's could.
    pub fn unsupported(&mut self, message: impl Into<String>) {
        self.push(message.into(), ErrorKind::Unsupported);
    }

    /// Notes that the value here violates a constraint of the API.
    pub fn violation(&mut self, message: impl Into<String>) {
        self.push(message.into(), ErrorKind::Decode);
    }

    fn push(&mut self, message: String, kind: ErrorKind) {
        if self.found.errors.len() >= MAX_ERRORS {
            self.found.left_out += 1;
            return;
        }
        let path = self.path();
        // What the inspection of the bytes noted before is not noted again by the conversion.
        let noted = |error: &Error| error.kind == ErrorKind::Decode && error.path == path;
        if kind != ErrorKind::Decode || !self.found.errors.iter().any(noted) {
            self.found.errors.push(Error { path, message, kind });
        }
    }

    /// How many errors there are so far, here and elsewhere.
    pub(in crate::config) fn errors(&self) -> usize {
        self.found.errors.len() + self.found.left_out
    }

    /// Notes that a field is set that is not supported.
    pub fn reject(&mut self, field: &str, why: &str) {
        self.field(field).push(format!("not supported: {why}"), ErrorKind::Unsupported);
    }

    /// Notes that a field is set that has no effect.
    pub fn ignore(&mut self, field: &str, why: &str) {
        let mut at = self.field(field);
        at.pass_over();
        at.note(format!("ignored: {why}"));
    }

    /// Notes something without effect at this place.
    pub fn note(&mut self, message: impl Into<String>) {
        self.note_of(NoteKind::Ignored, message.into());
    }

    fn note_of(&mut self, kind: NoteKind, message: String) {
        if self.found.notes.len() < MAX_NOTES {
            let note = Note { path: self.path(), message, kind };
            self.found.notes.push(note);
        }
    }

    /// Records how a message's fields are answered.
    pub fn opened(&mut self, support: &'static Support) {
        if !self.found.support.iter().any(|known| std::ptr::eq(*known, support)) {
            self.found.support.push(support);
        }
    }

    /// Looks for what decoding does not tell: constraints of the API that the message of this full name
    /// violates, fields that the API does not have, and those that it is about to lose.
    pub fn inspect(&mut self, bytes: &[u8], message: &str) {
        let found = match dragoman_proto::inspect(bytes, message) {
            Ok(found) => found,
            // `decode` would not note this of what stands in an `Any` that nobody takes out.
            Err(error) => return self.violation(error.to_string()),
        };
        for violation in found.violations {
            self.below(&violation.path).violation(violation.reason);
        }
        for unknown in found.unknown_fields {
            let text = format!("{} has no field with number {}", unknown.message, unknown.number);
            self.below(&unknown.path).unknown(text);
        }
        for deprecated in found.deprecated {
            self.below(&deprecated.path).deprecated(&deprecated.field, deprecated.disallowed_by_default);
        }
        for newer in found.newer {
            self.keep_newer(newer);
        }
    }

    /// The scope of a path below this place; this place itself when the path is empty.
    pub(in crate::config) fn below<'s>(&'s mut self, path: &'s str) -> Scope<'s> {
        if path.is_empty() { self.step(Step::Here) } else { self.step(Step::Field(path)) }
    }

    /// Notes something that the API does not have: an error or not, as wished.
    fn unknown(&mut self, message: String) {
        if self.found.extensions.reject_unknown_fields {
            self.violation(message);
        } else {
            self.note_of(NoteKind::Unknown, format!("ignored: {message}"));
        }
    }

    /// Notes a deprecated field: an error where Envoy refuses it unless the runtime allows all of them.
    fn deprecated(&mut self, field: &str, disallowed: bool) {
        if disallowed && !self.found.extensions.allow_disallowed_features {
            self.violation(format!(
                "the deprecated field `{field}` is not allowed, unless the runtime says \
                 `envoy.features.enable_all_deprecated_features: true`"
            ));
        } else {
            self.note_of(NoteKind::Deprecated, format!("deprecated field `{field}`"));
        }
    }

    /// Decodes the bytes of a message.
    pub fn decode<M: prost::Message + prost::Name + Default>(&mut self, bytes: &[u8]) -> Option<M> {
        match M::decode(bytes) {
            Ok(message) => Some(message),
            Err(error) => {
                self.violation(format!("not a valid {}: {error}", M::full_name()));
                None
            }
        }
    }
}
