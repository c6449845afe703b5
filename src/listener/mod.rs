//! Listeners: sockets bound by the control thread, connections accepted by the workers.
//!
//! - [`manager`]: the control thread's side, what listeners there are;
//! - [`sockets`]: making and binding; [`accept`]: a worker's side.

pub mod accept;
pub mod manager;
pub mod sockets;

pub use manager::{Listener, Manager};
