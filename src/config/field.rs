//! Where a value stands in the configuration, and what was found there.
//!
//! A conversion gets a [`Scope`]: it knows the path of the message at hand, collects every error and note under
//! it, and hands out the scopes of the fields below. The macro [`open!`](open) takes a message apart
//! so that every one of its fields has an answer.

use std::fmt;
use std::time::Duration;

use envoy_types::pb::envoy::r#type::v3 as type_v3;
use envoy_types::pb::google::protobuf as pb;

use super::extension::Extensions;

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

/// Something accepted but without effect: a field that is set and ignored, an optional filter left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The field, as in [`Error::path`].
    pub path: String,
    /// Why it has no effect.
    pub message: String,
}

/// The notes of one resource, in the order of its fields.
pub type Notes = Vec<Note>;

/// How each field of one message is answered: what [`open!`](open) was told.
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

/// What the conversion of one resource found.
#[derive(Debug)]
pub struct Findings {
    errors: Vec<Error>,
    notes: Notes,
    support: Vec<&'static Support>,
    extensions: Extensions,
}

impl Findings {
    /// Nothing found yet.
    pub fn new(extensions: &Extensions) -> Self {
        Findings { errors: Vec::new(), notes: Vec::new(), support: Vec::new(), extensions: *extensions }
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
        match value {
            Some(value) if self.errors.is_empty() => Ok((value, self.notes)),
            _ => {
                if self.errors.is_empty() {
                    self.scope().error("cannot be used");
                }
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
    let mut findings = Findings::new(extensions);
    let mut at = findings.scope();
    at.inspect(bytes, &M::full_name());
    let value = at.decode(bytes).and_then(|message| convert(message, &mut at));
    findings.finish(value)
}

/// A place in a resource: a step from another place.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
}

/// The last part of a path.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    /// The same place again.
    Here,
    Field(&'a str),
    Index(&'a str, usize),
    Key(&'a str, &'a str),
}

impl Place<'_> {
    /// Whether this is the whole resource.
    fn is_whole(&self) -> bool {
        match self.step {
            Step::Root => true,
            Step::Here => self.parent.is_none_or(Place::is_whole),
            Step::Field(_) | Step::Index(..) | Step::Key(..) => false,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
            if !matches!(self.step, Step::Here) && !parent.is_whole() {
                f.write_str(".")?;
            }
        }
        match self.step {
            Step::Root | Step::Here => Ok(()),
            Step::Field(name) => f.write_str(plain(name)),
            Step::Index(name, index) => write!(f, "{}[{index}]", plain(name)),
            Step::Key(name, key) => write!(f, "{}[\"{key}\"]", plain(name)),
        }
    }
}

/// A field's name as in its proto: without Rust's mark of an identifier that is a keyword too.
fn plain(name: &str) -> &str {
    name.strip_prefix("r#").unwrap_or(name)
}

/// The place now converted, and what was found so far.
#[derive(Debug)]
pub struct Scope<'a> {
    place: Place<'a>,
    found: &'a mut Findings,
}

impl Scope<'_> {
    /// The extensions that may be used.
    pub fn extensions(&self) -> Extensions {
        self.found.extensions
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

    /// Notes that the value here violates a constraint of the API.
    pub fn violation(&mut self, message: impl Into<String>) {
        self.push(message.into(), ErrorKind::Decode);
    }

    fn push(&mut self, message: String, kind: ErrorKind) {
        let path = self.path();
        // What the inspection of the bytes noted before is not noted again by the conversion.
        let noted = |error: &Error| error.kind == ErrorKind::Decode && error.path == path;
        if kind == ErrorKind::Apply || !self.found.errors.iter().any(noted) {
            self.found.errors.push(Error { path, message, kind });
        }
    }

    /// Notes that a field is set that is not supported.
    pub fn reject(&mut self, field: &str, why: &str) {
        self.field(field).error(format!("not supported: {why}"));
    }

    /// Notes that a field is set that has no effect.
    pub fn ignore(&mut self, field: &str, why: &str) {
        self.field(field).note(format!("ignored: {why}"));
    }

    /// Notes something without effect at this place.
    pub fn note(&mut self, message: impl Into<String>) {
        let note = Note { path: self.path(), message: message.into() };
        self.found.notes.push(note);
    }

    /// Records how a message's fields are answered.
    pub fn opened(&mut self, support: &'static Support) {
        if !self.found.support.iter().any(|known| std::ptr::eq(*known, support)) {
            self.found.support.push(support);
        }
    }

    /// Looks for what decoding does not tell: constraints of the API that the message of this full name
    /// violates, and fields that the API does not have.
    pub fn inspect(&mut self, bytes: &[u8], message: &str) {
        // Bytes that are no message are for `decode` to note.
        let Ok(found) = dragoman_proto::inspect(bytes, message) else { return };
        for violation in found.violations {
            self.below(&violation.path).violation(violation.reason);
        }
        for unknown in found.unknown_fields {
            let text = format!("{} has no field with number {}", unknown.message, unknown.number);
            self.below(&unknown.path).unknown(text);
        }
    }

    /// The scope of a path below this place; this place itself when the path is empty.
    pub(super) fn below<'s>(&'s mut self, path: &'s str) -> Scope<'s> {
        if path.is_empty() { self.step(Step::Here) } else { self.step(Step::Field(path)) }
    }

    /// Notes something that the API does not have: an error or not, as wished.
    fn unknown(&mut self, message: String) {
        if self.found.extensions.reject_unknown_fields {
            self.violation(message);
        } else {
            self.note(format!("ignored: {message}"));
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

    /// Takes a field that must be set.
    pub fn required<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.field(name).violation("value is required");
        }
        value
    }

    /// Takes a string that must not be empty.
    pub fn required_string(&mut self, name: &str, value: String) -> String {
        if value.is_empty() {
            self.field(name).violation("value length must be at least 1 characters");
        }
        value
    }

    /// Converts a message if it is set.
    pub fn message<M, T>(
        &mut self,
        name: &str,
        message: Option<M>,
        convert: impl FnOnce(M, &mut Scope<'_>) -> Option<T>,
    ) -> Option<T> {
        message.and_then(|message| convert(message, &mut self.field(name)))
    }

    /// Converts the elements of a list.
    pub fn list<M, T>(
        &mut self,
        name: &str,
        messages: Vec<M>,
        mut convert: impl FnMut(M, &mut Scope<'_>) -> Option<T>,
    ) -> Vec<T> {
        let converted = messages.into_iter().enumerate();
        converted.filter_map(|(index, message)| convert(message, &mut self.index(name, index))).collect()
    }

    /// Takes an enumeration's value, which must be one of those that the API defines.
    pub fn enumeration<E: TryFrom<i32> + Default>(&mut self, name: &str, value: i32) -> E {
        E::try_from(value).unwrap_or_else(|_| {
            self.field(name).violation(format!("value must be one of the defined enum values, not {value}"));
            E::default()
        })
    }

    /// Takes a duration if it is set.
    pub fn duration(&mut self, name: &str, value: Option<pb::Duration>) -> Option<Duration> {
        let value = value?;
        let duration = to_duration(&value);
        if duration.is_none() {
            let pb::Duration { seconds, nanos } = value;
            let problem =
                if seconds < 0 || nanos < 0 { "Expected positive duration" } else { "Duration out-of-range" };
            self.field(name).error(format!("Invalid duration: {problem}: seconds: {seconds} nanos: {nanos}"));
        }
        duration
    }

    /// Takes a duration that must be greater than zero if it is set.
    pub fn positive_duration(&mut self, name: &str, value: Option<pb::Duration>) -> Option<Duration> {
        let duration = self.duration(name, value)?;
        if duration.is_zero() {
            self.field(name).violation("value must be greater than 0s");
            return None;
        }
        Some(duration)
    }

    /// Takes a duration of which zero means that there is no limit; `default` when it is not set.
    pub fn timeout(
        &mut self,
        name: &str,
        value: Option<pb::Duration>,
        default: Option<Duration>,
    ) -> Option<Duration> {
        if value.is_none() {
            return default;
        }
        self.duration(name, value).filter(|timeout| !timeout.is_zero())
    }

    /// Takes a number that must lie in a range if it is set.
    pub fn within(
        &mut self,
        name: &str,
        value: Option<pb::UInt32Value>,
        range: std::ops::RangeInclusive<u32>,
    ) -> Option<u32> {
        let value = value?.value;
        if !range.contains(&value) {
            let (start, end) = range.into_inner();
            let bounds = match end {
                u32::MAX => format!("value must be greater than or equal to {start}"),
                _ => format!("value must be inside range [{start}, {end}]"),
            };
            self.field(name).violation(bounds);
            return None;
        }
        Some(value)
    }

    /// Takes a percentage, 0 to 100, if it is set.
    pub fn percent(&mut self, name: &str, value: Option<type_v3::Percent>) -> Option<f64> {
        let value = value?.value;
        if !(0.0..=100.0).contains(&value) {
            self.field(name).field("value").violation("value must be inside range [0, 100]");
            return None;
        }
        Some(value)
    }
}

/// A duration of zero or more that fits Envoy's clock, nanoseconds in 64 bits.
fn to_duration(value: &pb::Duration) -> Option<Duration> {
    const MAX_SECONDS: u64 = i64::MAX as u64 / 1_000_000_000;
    let seconds = u64::try_from(value.seconds).ok()?;
    let nanos = u32::try_from(value.nanos).ok()?;
    (seconds < MAX_SECONDS && nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))
}

/// Whether a field of a message differs from its default.
pub fn is_set<T: Default + PartialEq>(value: &T) -> bool {
    *value != T::default()
}

/// Takes a message apart so that each of its fields has an answer.
///
/// The pattern is exhaustive: a message with a field that stands in none of the lists does not compile.
/// `implemented` fields are bound to variables of their name; `rejected` ones are errors when set, `ignored`
/// ones notes, each with its reason. Only what nobody can notice in traffic, security or statistics may be ignored.
#[macro_export]
#[doc(hidden)]
macro_rules! __open {
    ($at:ident, $message:path = $value:expr;
     implemented { $($implemented:ident),* $(,)? }
     $(rejected { $($rejected:ident: $why:expr),* $(,)? })?
     $(ignored { $($ignored:ident: $because:expr),* $(,)? })?
    ) => {
        #[allow(deprecated, reason = "deprecated fields are answered too")]
        let $message { $($implemented,)* $($($rejected,)*)? $($($ignored,)*)? } = $value;
        {
            static SUPPORT: $crate::config::field::Support = $crate::config::field::Support {
                message: <$message as ::prost::Name>::full_name,
                implemented: &[$(stringify!($implemented)),*],
                rejected: &[$($((stringify!($rejected), $why)),*)?],
                ignored: &[$($((stringify!($ignored), $because)),*)?],
            };
            $at.opened(&SUPPORT);
        }
        $($(if $crate::config::field::is_set(&$rejected) {
            $at.reject(stringify!($rejected), $why);
        })*)?
        $($(if $crate::config::field::is_set(&$ignored) {
            $at.ignore(stringify!($ignored), $because);
        })*)?
    };
}

pub use crate::__open as open;
