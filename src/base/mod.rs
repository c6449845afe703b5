//! What everything above uses and what uses nothing of it: headers, random numbers, dates, the version.

pub mod back_off;
pub mod headers;
pub mod random;
pub mod version;
