//! What an operator sees of the running process.

pub mod access_log;
pub mod attributes;
pub mod format;
pub mod logging;
pub mod stats;
pub mod stream_info;
pub mod timestamp;
pub mod watched_file;
