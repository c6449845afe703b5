//! Peers that mean harm, and peers that are broken: the raw bytes they send, against the real binary.
//!
//! After each attack the proxy serves others at once, has given back what it took (its gauges are zero), and has not
//! grown. [`rig`] holds the proxy and asks it, [`wire`] and [`frames`] write what no client library would.

#![expect(clippy::unwrap_used, reason = "a test fails where its setup does")]

mod admin;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "other tests of the program use the rest")]
mod common;
mod downgrade;
mod floods;
mod frames;
mod limits;
mod rig;
mod shutdown;
mod slow;
mod upstream;
mod upstream_floods;
mod upstream_framing;
mod upstream_loss;
mod windows;
mod wire;
