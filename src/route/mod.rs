//! Routing: from a request's headers to the route that takes it, and what a route does to a request.
//!
//! - [`scopes`]: which table, where a request's scope decides; [`table`]: the virtual host and the route; `domains`,
//!   `path_index` and `header_index` make that quick;
//! - [`matcher`]: whether one route takes a request;
//! - [`cluster`]: which cluster; [`timeouts`]: how long; [`hash_policy`]: by what its host is chosen;
//! - [`retry`]: whether it is tried again;
//! - [`statistics`]: what its requests are counted in beside their cluster;
//! - [`rate_limit`]: what filters look up its limits by;
//! - [`internal_redirect`]: whether a redirect is followed, and what the request becomes then;
//! - [`redirect`], [`rewrite`], [`mutation`], [`header_mutation`]: new locations, paths, hosts and headers.
//!
//! **Invariant:** no I/O and no clock; random numbers are handed in.

pub mod cluster;
pub mod domains;
pub mod grpc_timeout;
pub mod hash_policy;
mod header_index;
pub mod header_mutation;
pub mod internal_redirect;
pub mod matcher;
pub mod mutation;
mod path_index;
pub mod rate_limit;
pub mod redirect;
pub mod retry;
pub mod rewrite;
pub mod scopes;
pub mod statistics;
pub mod table;
#[cfg(test)]
mod testing;
pub mod timeouts;

pub use table::{Found, Matched, Table};

use crate::base::headers::{Headers, Name};

/// A header that has one value, a decimal number; spaces around it and a plus are allowed.
fn number(headers: &Headers, name: Name<'_>) -> Option<u64> {
    let mut values = headers.get_all(name);
    let (value, None) = (values.next()?, values.next()) else { return None };
    std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}
