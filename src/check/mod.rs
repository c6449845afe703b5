//! `dragoman check`: what would become of a configuration, said of every field at once, without starting anything.
//!
//! What is read (`input`) is searched for resources of Envoy's API (`shape`); each goes through the conversion
//! that serves traffic (`resource`), so what is said here is what the proxy does. Beyond single fields, `rules` look at
//! what the resources of one set mean together: references, shadowed routes, trust. A report prints the findings as
//! text, JSON or SARIF; a summary counts what stands in the way of how many sources.
//!
//! **Invariant:** opens no socket and reads no file but those named and those that a `DataSource` names.

mod command;
mod finding;
mod input;
mod report;
mod resource;
mod rules;
mod shape;
mod summary;

pub use command::{Options, OptionsError, report_of, run};

#[cfg(test)]
mod tests;
