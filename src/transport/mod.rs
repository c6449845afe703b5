//! Sockets below the protocols: made, bound and set up as configured.

pub mod socket;
