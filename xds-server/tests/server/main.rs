//! The server as its clients see it, over loopback.

#![expect(clippy::unwrap_used, reason = "a test fails where its setup does")]

mod command;
mod directory;
mod envoy;
mod grpc;
mod protocol;
mod support;
