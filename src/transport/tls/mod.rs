//! TLS: contexts made from configuration, and the handshakes that they make with clients and hosts.
//!
//! - [`server`] and [`client`]: the contexts of either side, shared by all workers;
//! - `verify`, `chain`: whether a peer's certificate is the one that is asked for; `witness`: what one handshake saw of it;
//!   [`certificate`]: what certificates say;
//! - [`client_hello`]: what clients say of themselves first;
//! - `failure`: why a handshake failed, in Envoy's words; `names`: what BoringSSL calls what `rustls` agreed on;
//! - `record`: what is counted and kept of a handshake;
//! - [`secrets`]: secrets in use, which come and change while contexts are there; `materials`: what contexts are made of; [`shown`]: their certificates, for people.

pub mod certificate;
mod chain;
pub mod client;
pub mod client_hello;
mod failure;
mod materials;
mod names;
mod provider;
mod record;
pub mod secrets;
pub mod server;
pub mod shown;
mod spiffe;
mod verify;
mod witness;

pub use client::{ClientContext, Greeting};
pub use failure::HandshakeError;
pub use record::Record;
pub use secrets::Secrets;
pub use server::ServerContext;
