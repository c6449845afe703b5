//! What an operator sees of the running process.

pub mod logging;
pub mod stats;
pub mod stream_info;
