//! dragoman: an Envoy-compatible xDS proxy.
//!
//! Modules from top to bottom; each uses the ones below it, never one above.

pub mod base;
pub mod config;
pub mod observability;
pub mod route;
pub mod server;
pub mod upstream;
pub mod xds;
