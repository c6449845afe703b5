//! dragoman: an Envoy-compatible xDS proxy.
//!
//! Modules from top to bottom; each uses the ones below it, never one above.

pub mod admin;
pub mod base;
pub mod bootstrap;
pub mod check;
pub mod codec;
pub mod config;
pub mod control;
pub mod http;
pub mod listener;
pub mod network;
pub mod observability;
pub mod route;
pub mod server;
pub mod snapshot;
pub mod transport;
pub mod udp;
pub mod upstream;
pub mod xds;
