//! What everything above uses and what uses nothing of it: headers, random numbers, dates, the version.

pub mod headers;
pub mod random;
pub mod version;
