//! Datagrams: what listeners over UDP give them to.
//!
//! - `config`: how the proxy is configured; `proxy`: what all workers share of it;
//! - [`datagrams`]: one worker's side of a listener; `session`: what belongs together; `sessions`: those there are;
//! - `log`: lines of access logs; `socket`: receiving and sending.

mod config;
pub mod datagrams;
mod log;
mod proxy;
mod session;
mod sessions;
mod socket;

use crate::config::extension::Extension;

pub use datagrams::{Datagrams, Origin};
pub use proxy::Proxy;
pub use socket::prepare;

/// The UDP listener filters of this build.
pub const EXTENSIONS: &[Extension] = &[config::EXTENSION];
