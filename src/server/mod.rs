//! The process: from its command line to its end.

mod admin;
mod affinity;
pub mod command;
pub mod demo;
mod dump;
mod hosts;
mod live;
pub mod log;
mod memory;
pub mod options;
mod priority;
mod program;
pub mod ready;
pub mod run;
mod runtime;
mod setup;
pub mod signal;
mod statistics;
mod sweep;
mod unsupported;
mod watchdog;
pub mod worker;
