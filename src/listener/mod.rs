//! Listeners: sockets bound by the control thread, connections accepted by the workers.
//!
//! - [`manager`]: the control thread's side, what listeners there are;
//! - [`sockets`]: making, binding and listening; `pipe`: Unix sockets;
//! - [`accept`]: a worker's side: its listeners; `slot`: what comes in on a set of `listening` sockets; `slots`: all of
//!   them, by address; `connection`: one connection; `ends`: between whom it is; `handing`: those that another listener gets; `lineage`: a listener through updates of its filter chains; `contain`: panics end no more than that; `open` and `open_connections`: how many are open, at a worker and of a listener;
//! - `balance`: spreading connections over the workers;
//! - [`filters`]: listener filters, which see connections first;
//! - `filter_chain`: what connections go through; `choosing`: which one; `greeting`: the handshake before it;
//! - `udp`: a worker's side of listeners over UDP;
//! - [`connection_limit`]: how many connections there may be in all.

pub mod accept;
mod balance;
mod choosing;
mod connection;
pub mod connection_limit;
mod contain;
mod ends;
pub mod entrance;
mod filter_chain;
pub mod filters;
mod greeting;
mod handing;
mod lineage;
mod listening;
pub mod manager;
mod open;
mod open_connections;
mod pipe;
mod slot;
mod slots;
pub mod sockets;
mod udp;

pub use manager::{Listener, Manager};
