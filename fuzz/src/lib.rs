//! Fuzz targets: functions that take any bytes and must neither panic nor hang, and the driver that feeds
//! them.
//!
//! A target has the signature that libFuzzer expects, so it can be attached where a nightly compiler is at
//! hand. The driver here needs none: it mutates a corpus with a seeded generator, so that a run can be
//! repeated from its seed, and leaves the input that failed in `fuzz/artifacts/`.
//!
//! ```text
//! cargo run -p dragoman-fuzz -- all --seconds 5
//! cargo run -p dragoman-fuzz -- bootstrap --seconds 3600 --seed 7
//! cargo run -p dragoman-fuzz -- bootstrap --input fuzz/artifacts/bootstrap
//! ```

pub mod corpus;
pub mod driver;
pub mod mutate;
pub mod random;
pub mod targets;
