//! The process: from its command line to its end.

pub mod command;
pub mod demo;
pub mod log;
pub mod options;
pub mod ready;
pub mod run;
pub mod signal;
pub mod worker;
