//! What an operator sees of the running process.

pub mod logging;
