//! Listeners: sockets bound by the control thread, connections accepted by the workers.
//!
//! - [`manager`]: the control thread's side, what listeners there are;
//! - [`sockets`]: making and binding; [`accept`]: a worker's side;
//! - [`connection_limit`]: how many connections there may be in all.

pub mod accept;
pub mod connection_limit;
mod contain;
pub mod manager;
pub mod sockets;

pub use manager::{Listener, Manager};
