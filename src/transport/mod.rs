//! What is below the protocols: sockets, made, bound and set up as configured, and TLS over them, and what stands for them
//! within the process.

pub mod internal;
pub mod proxy_protocol;
pub mod socket;
pub mod tls;
