//! What everything above uses and what uses nothing of it: headers, random numbers, dates.

pub mod headers;
