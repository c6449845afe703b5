//! What everything above uses and what uses nothing of it: headers, streams, timers, random numbers.

pub mod back_off;
pub mod connection_id;
pub mod crypto;
pub mod headers;
pub mod io;
pub mod local;
pub mod mersenne_twister;
pub mod metered;
pub mod murmur_hash2;
pub mod percent;
pub mod random;
pub mod timer;
pub mod token_bucket;
pub mod uuid;
pub mod version;
pub mod xxhash;
