//! The tasks as functions, so that tests can run them.

pub mod descriptors;
pub mod support;
