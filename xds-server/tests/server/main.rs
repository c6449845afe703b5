//! The server as its clients see it, over loopback.

mod command;
mod directory;
mod envoy;
mod protocol;
mod support;
