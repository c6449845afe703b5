//! Discovery: how a cluster's hosts become known.
//!
//! Static endpoints are there from the start; names are resolved again and again by one task a cluster on the
//! control thread ([`dns`]); EDS comes from the control plane through
//! [`Cluster::update_endpoints`](super::Cluster::update_endpoints).

pub mod dns;
pub mod logical_dns;
pub mod refresh;
pub mod resolver;
mod routes;
pub mod static_;
pub mod strict_dns;

pub use resolver::{Answer, Resolve, SystemResolver};
