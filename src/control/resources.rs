//! What came of each resource: what `/config_dump` shows.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;

use super::verdict::Problem;
use crate::config::field::Notes;

/// A resource as it came.
#[derive(Clone, PartialEq)]
pub struct Record {
    /// Its version: that of the response, or with incremental xDS its own.
    pub version: String,
    /// The message, encoded.
    pub value: Bytes,
    /// When it came.
    pub last_updated: SystemTime,
    /// What of it has no effect.
    pub notes: Notes,
}

/// Without the message: it may be a secret.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("version", &self.version).finish_non_exhaustive()
    }
}

/// A resource that was rejected: `envoy.admin.v3.UpdateFailureState`.
#[derive(Clone, PartialEq)]
pub struct ErrorState {
    /// The message, encoded.
    pub failed_configuration: Bytes,
    /// When it came.
    pub last_update_attempt: SystemTime,
    /// Every error of it.
    pub details: String,
    /// The version that it came with.
    pub version: String,
}

/// Without the message: it may be a secret.
impl fmt::Debug for ErrorState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ErrorState { version, details, .. } = self;
        f.debug_struct("ErrorState")
            .field("version", version)
            .field("details", details)
            .finish_non_exhaustive()
    }
}

impl ErrorState {
    fn new(record: Record, details: String) -> Self {
        ErrorState {
            failed_configuration: record.value,
            last_update_attempt: record.last_updated,
            details,
            version: record.version,
        }
    }
}

/// What there is under one name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct States {
    /// In force.
    pub active: Option<Record>,
    /// Will be in force once what it refers to is there.
    pub warming: Option<Record>,
    /// The last version, if it was rejected.
    pub error: Option<ErrorState>,
}

/// All resources of one type that came over xDS.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    /// Version of the last response that was taken.
    pub version: String,
    by_name: BTreeMap<String, States>,
}

impl Resources {
    /// All names with what there is of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &States)> {
        self.by_name.iter().map(|(name, states)| (name.as_str(), states))
    }

    /// What there is under this name.
    pub fn find(&self, name: &str) -> Option<&States> {
        self.by_name.get(name)
    }

    /// Whether `value` is what was last taken under this name.
    pub fn is_current(&self, name: &str, value: &[u8]) -> bool {
        let current = self.find(name).and_then(|states| states.warming.as_ref().or(states.active.as_ref()));
        current.is_some_and(|record| record.value == value)
    }

    /// Names with something in force or warming.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let taken = |states: &States| states.active.is_some() || states.warming.is_some();
        self.by_name.iter().filter(move |(_, states)| taken(states)).map(|(name, _)| name.as_str())
    }

    /// A new version warms.
    pub(super) fn warm(&mut self, name: &str, record: Record) {
        let states = self.entry(name);
        (states.warming, states.error) = (Some(record), None);
    }

    /// What warmed is in force.
    pub(super) fn activate(&mut self, name: &str) {
        if let Some(states) = self.by_name.get_mut(name)
            && let Some(record) = states.warming.take()
        {
            states.active = Some(record);
        }
    }

    /// What warmed cannot be put in force after all; what is in force stays.
    pub(super) fn give_up(&mut self, name: &str, details: String) {
        if let Some(states) = self.by_name.get_mut(name)
            && let Some(record) = states.warming.take()
        {
            states.error = Some(ErrorState::new(record, details));
        }
    }

    /// What warmed was given up: the version in force came again as `record`.
    pub(super) fn revert(&mut self, name: &str, record: Record) {
        let states = self.entry(name);
        *states = States { active: Some(record), ..States::default() };
    }

    /// The version in force came again.
    pub(super) fn confirm(&mut self, name: &str) {
        if let Some(states) = self.by_name.get_mut(name) {
            states.error = None;
        }
    }

    /// A version was rejected; what is in force stays.
    pub(super) fn reject(&mut self, problem: &Problem, record: Record) {
        self.entry(&problem.name).error = Some(ErrorState::new(record, problem.text()));
    }

    /// There is nothing under this name any more.
    pub(super) fn remove(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    fn entry(&mut self, name: &str) -> &mut States {
        if !self.by_name.contains_key(name) {
            self.by_name.insert(name.to_owned(), States::default());
        }
        self.by_name.get_mut(name).expect("inserted above")
    }
}
