//! TLS: contexts made from configuration, and the handshakes that they make with clients and hosts.
//!
//! - [`server`] and [`client`]: the contexts of either side, shared by all workers;
//! - `verify`, `chain`, `wrong`: whether a peer's certificate is the one that is asked for; `witness`: what one handshake saw of it;
//!   [`certificate`]: what certificates say;
//! - [`client_hello`], `greeting`: what clients say of themselves first; `own`: which certificate they are shown;
//!   `on_demand`: those that handshakes ask for;
//! - `failure`: why a handshake failed, in Envoy's words; `names`: what BoringSSL calls what `rustls` agreed on;
//! - `spoken`: how the protocol is spoken with clients; `signing`: how own keys sign; `san`, `other_names`: names in certificates;
//! - `resumption`, `tickets`: how clients resume sessions;
//! - `key_log`: the keys of connections, where they are asked for;
//! - `record`: what is counted and kept of a handshake;
//! - [`secrets`]: secrets in use, which come and change while contexts are there; `materials`: what contexts are made of; `ready`: what those of listeners are then; [`shown`]: their certificates, for people.

pub mod certificate;
mod chain;
pub mod client;
pub mod client_hello;
mod failure;
mod fingerprint;
mod greeting;
mod key_log;
mod lasting;
mod materials;
mod names;
mod on_demand;
mod other_names;
mod own;
mod progress;
mod provider;
mod ready;
mod record;
mod resumption;
mod san;
pub mod secrets;
pub mod server;
pub mod shown;
mod signing;
mod spiffe;
mod spoken;
mod text;
mod tickets;
mod verify;
mod witness;
mod wrong;

pub use client::{ClientContext, Greeting};
pub use failure::HandshakeError;
pub use key_log::Ends;
pub use on_demand::Ask;
pub use record::Record;
pub use secrets::Secrets;
pub use server::ServerContext;
