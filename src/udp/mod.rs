//! Datagrams: what listeners over UDP give them to.
//!
//! - `config`: how the proxy is configured; `proxy`: what all workers share of it;
//! - [`datagrams`]: one worker's side of a listener; `sessions`: those there are; `balance`: where they go;
//! - `session`: what belongs together; `clock`: its life; `session_filters`: what it passes, one file each;
//! - `direct`: its way to a host over a socket; `tunnel`: that over a stream of HTTP, asked for as `tunneling` says;
//! - `contain`: what becomes of a panic; `held`: datagrams that wait; `log`: lines of access logs; `socket`: receiving and sending.

mod balance;
mod clock;
mod config;
mod contain;
pub mod datagrams;
mod direct;
mod held;
mod log;
mod proxy;
mod session;
mod session_filters;
mod sessions;
mod socket;
mod tunnel;
mod tunneling;

use crate::config::extension::Extension;

pub use datagrams::{Datagrams, Origin};
pub use proxy::{Proxy, discovered_filters};
pub use socket::prepare;

/// The UDP listener filters of this build.
pub const EXTENSIONS: &[Extension] = &[config::EXTENSION];

/// The filters of sessions of this build.
pub const SESSION_EXTENSIONS: &[Extension] = session_filters::EXTENSIONS;
