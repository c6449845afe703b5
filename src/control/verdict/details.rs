//! The details of a NACK: what is wrong with which resource, for programs.

use dragoman_proto::print_at;
use dragoman_proto::rejected::{ErrorKind, FieldError, RejectedResource, RejectedResources};

use super::{MAX_ERROR_BYTES, Problem, cut};
use crate::config::field;

/// Errors that are told; the others are counted.
const MAX_ERRORS: usize = 100;

/// Bytes of a value's JSON. What is longer is a message or a list, of which the path says enough.
const MAX_VALUE_BYTES: usize = 256;

/// Bytes of resources that are searched for values: the control thread has other things to do.
const MAX_SEARCHED_BYTES: usize = 256 * 1024;

/// The errors of these resources, the first of them with what their fields are set to.
pub(super) fn of(problems: &[Problem]) -> RejectedResources {
    let mut left = MAX_ERRORS;
    let mut searchable = MAX_SEARCHED_BYTES;
    let mut details = RejectedResources::default();
    for problem in problems {
        let told = problem.errors.len().min(left);
        left -= told;
        details.omitted_errors += (problem.errors.len() - told) as u64;
        if told > 0 {
            let errors = problem.errors.iter().take(told);
            let errors = errors.map(|error| field_error(error, problem, &mut searchable)).collect();
            details.resources.push(RejectedResource { name: problem.name.clone(), errors });
        }
    }
    details
}

fn field_error(error: &field::Error, problem: &Problem, searchable: &mut usize) -> FieldError {
    let (reason, hint) = error.parts();
    let kind = match error.kind {
        field::ErrorKind::Decode | field::ErrorKind::Apply => ErrorKind::Invalid,
        field::ErrorKind::Unsupported => ErrorKind::Unsupported,
    };
    FieldError {
        path: error.path.clone(),
        value: value(error, problem, searchable).unwrap_or_default(),
        reason: cut(reason, MAX_ERROR_BYTES).to_owned(),
        hint: cut(hint.unwrap_or_default(), MAX_ERROR_BYTES).to_owned(),
        kind: kind.into(),
    }
}

/// What the field is set to.
fn value(error: &field::Error, problem: &Problem, searchable: &mut usize) -> Option<String> {
    if error.path.is_empty() {
        return None;
    }
    *searchable = searchable.checked_sub(problem.value.len())?;
    // What cannot be decoded has no values.
    let value = print_at(&problem.value, problem.message, &error.path).ok()??.to_string();
    (value.len() <= MAX_VALUE_BYTES).then_some(value)
}
