//! The process: from its command line to its end.

pub mod options;
pub mod ready;
pub mod signal;
