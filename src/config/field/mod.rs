//! Where a value stands in the configuration, and what was found there.
//!
//! A conversion gets a [`Scope`]: it knows the path of the message at hand, collects every error and note under
//! it, and hands out the scopes of the fields below. The macro `open!` takes a message apart
//! so that every one of its fields has an answer:
//!
//! ```compile_fail,E0027
//! use dragoman::config::field::{Scope, open};
//! use envoy_types::pb::envoy::config::core::v3::Locality;
//!
//! fn region(message: Locality, at: &mut Scope<'_>) -> String {
//!     // Does not compile: nobody has decided what becomes of `sub_zone`.
//!     open! { at, Locality = message; implemented { region } ignored { zone: "nobody looks" } }
//!     region
//! }
//! ```

pub mod known;
mod newer;
mod open;
mod place;
mod scope;
mod take;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use known::Extensions;
use newer::Newer;
pub use open::{is_set, open};
use place::{Place, Step};
pub use scope::Scope;

use super::dns_cache::DnsCache;
use super::format::FormatSecret;

/// One thing wrong with a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The field, for example `filter_chains[0].filters[1]`; empty for the resource itself.
    pub path: String,
    /// What is wrong and what would be accepted.
    pub message: String,
    /// What follows from it.
    pub kind: ErrorKind,
}

/// What follows from an [`Error`] in a response of a management server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Bytes that are no message, or a violated constraint of the API: the whole response is rejected.
    Decode,
    /// The resource cannot be put in force: it is rejected, others of the response are not.
    Apply,
    /// As [`Apply`](Self::Apply), for what Envoy takes and is not served here.
    Unsupported,
}

impl Error {
    /// That a resource as a whole cannot be put in force.
    pub fn of_resource(message: String) -> Self {
        Error { path: String::new(), message, kind: ErrorKind::Apply }
    }

    /// What is wrong, and what may help; often nothing.
    pub fn parts(&self) -> (&str, Option<&str>) {
        split_hint(&self.message)
    }
}

/// A message without its hint, which stands last in it, and the hint.
pub fn split_hint(message: &str) -> (&str, Option<&str>) {
    let leads = ["; did you mean ", "; known: "].into_iter();
    // The hint is what stands behind the semicolon and the space.
    let found = leads.filter_map(|lead| message.find(lead)).min();
    found.map_or((message, None), |at| (&message[..at], Some(&message[at + 2..])))
}

/// `path: message`, or only the message where it is about the whole resource.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Something accepted that has no effect, or will have none: a field that is set and ignored, an optional filter left
/// out, a field that the API does not have or is about to lose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The field, as in [`Error::path`].
    pub path: String,
    /// Why it has no effect, or why it will have none some day.
    pub message: String,
    /// What was noted.
    pub kind: NoteKind,
}

/// What a [`Note`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoteKind {
    /// Set, known, and without effect.
    Ignored,
    /// The API does not have it.
    Unknown,
    /// In force, but about to leave the API.
    Deprecated,
}

/// The notes of one resource, in the order of its fields.
pub type Notes = Vec<Note>;

/// How each field of one message is answered: what `open!` was told.
#[derive(Debug)]
pub struct Support {
    /// Gives the full name of the message.
    pub message: fn() -> String,
    /// Fields that have their effect.
    pub implemented: &'static [&'static str],
    /// Fields that are refused when set, and why.
    pub rejected: &'static [(&'static str, &'static str)],
    /// Fields without effect, and why nobody can notice.
    pub ignored: &'static [(&'static str, &'static str)],
}

/// Errors of one resource that are kept. Whoever sends a million of them shall not fill the memory with their paths.
const MAX_ERRORS: usize = 1000;

/// Why formats of other resources have no secrets.
const SECRETS_ELSEWHERE: &str =
    "envoy.formatter.generic_secret: secrets are in formats of listeners and of route tables over RDS only";

/// Notes of one resource that are kept.
const MAX_NOTES: usize = 10_000;

/// What the conversion of one resource found.
#[derive(Debug)]
pub struct Findings {
    errors: Vec<Error>,
    /// Errors that are not kept, there being too many.
    left_out: usize,
    notes: Notes,
    support: Vec<&'static Support>,
    extensions: Extensions,
    /// Secrets that formats write, and that nobody has taken yet.
    secrets: Vec<Arc<FormatSecret>>,
    /// Whether a format writes how long looking for routes takes, and nobody has taken that yet.
    times_routes: bool,
    /// Caches of names, by their own.
    caches: HashMap<String, DnsCache>,
    /// What decoding has dropped.
    newer: Newer,
    /// Those that were named, and that nobody has taken yet.
    named_caches: Vec<DnsCache>,
}

impl Findings {
    /// Nothing found yet.
    pub fn new(extensions: &Extensions) -> Self {
        Findings {
            errors: Vec::new(),
            left_out: 0,
            notes: Vec::new(),
            support: Vec::new(),
            extensions: extensions.clone(),
            secrets: Vec::new(),
            times_routes: false,
            caches: HashMap::new(),
            newer: Newer::default(),
            named_caches: Vec::new(),
        }
    }

    /// What is wrong: the first 1,000 errors.
    pub fn errors(&self) -> &[Error] {
        &self.errors
    }

    /// That there are more errors than these.
    pub fn more(&self) -> Option<Error> {
        let more = self.left_out;
        (more > 0).then(|| Error::of_resource(format!("{more} more errors are left out")))
    }

    /// What has no effect.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The scope of the whole resource.
    pub fn scope(&mut self) -> Scope<'_> {
        Scope { place: Place { parent: None, step: Step::Root }, found: self }
    }

    /// How the messages that the conversion met are answered, each once, in the order met.
    pub fn support(&self) -> &[&'static Support] {
        &self.support
    }

    /// The value with its notes if no error was found.
    ///
    /// # Errors
    /// Every error found. One is made up should a conversion give nothing and not say why.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<(T, Notes), Vec<Error>> {
        if value.is_some() && !self.secrets.is_empty() {
            self.scope().unsupported(SECRETS_ELSEWHERE);
        }
        match value {
            Some(value) if self.errors.is_empty() => Ok((value, self.notes)),
            _ => {
                if self.errors.is_empty() {
                    self.scope().error("cannot be used");
                }
                let more = self.more();
                self.errors.extend(more);
                Err(self.errors)
            }
        }
    }
}

/// Runs a conversion in a scope of its own.
///
/// # Errors
/// Every error that the conversion found.
pub fn read<T>(
    extensions: &Extensions,
    convert: impl FnOnce(&mut Scope<'_>) -> Option<T>,
) -> Result<(T, Notes), Vec<Error>> {
    let mut findings = Findings::new(extensions);
    let value = convert(&mut findings.scope());
    findings.finish(value)
}

/// Decodes a resource and converts it.
///
/// # Errors
/// [`ErrorKind::Decode`] for bytes that are no such message and for violated constraints of the API, and every
/// error that the conversion found.
pub fn parse<M: prost::Message + prost::Name + Default, T>(
    bytes: &[u8],
    extensions: &Extensions,
    convert: impl FnOnce(M, &mut Scope<'_>) -> Option<T>,
) -> Result<(T, Notes), Vec<Error>> {
    let (value, findings) = examine(bytes, extensions, convert);
    findings.finish(value)
}

/// Decodes a resource and converts it, for what is found on the way: notes also where there are errors.
pub fn examine<M: prost::Message + prost::Name + Default, T>(
    bytes: &[u8],
    extensions: &Extensions,
    convert: impl FnOnce(M, &mut Scope<'_>) -> Option<T>,
) -> (Option<T>, Findings) {
    let mut findings = Findings::new(extensions);
    let mut at = findings.scope();
    let message = at.decode(bytes);
    if message.is_some() {
        at.inspect(bytes, &M::full_name());
        at.keep_what_has_newer_fields::<M>(bytes);
    }
    let value = message.and_then(|message| convert(message, &mut at));
    findings.refuse_unserved();
    (value, findings)
}
