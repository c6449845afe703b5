//! Network filters: what a connection goes through once its filter chain is chosen. One file each.
//!
//! - `filter`: what a filter is asked and when; `chain`: those of a filter chain, compiled; `chains`: the same where
//!   configurations are discovered;
//! - `guest`: a connection on its way through those before the last one;
//! - `asking`: services that are asked about connections;
//! - `way`: bytes from one side to the other.
//!
//! A file holds all of its filter: `EXTENSION`, the row by which `config` finds how its configuration is read; `Config`,
//! what that becomes; and `make`, which compiles it for the connections of a chain.

mod asking;
mod chain;
mod chains;
pub mod filter;
mod guest;
mod way;

use crate::config::extension::{Extension, ExtensionConfig, read_value as read};
use crate::config::http_connection_manager;
use crate::observability::access_log::Sinks;
use crate::observability::stats::Registry;

use filter::{Context, Made};

pub use chain::{End, MakeManager, Setting};
pub use chains::Chains;
pub use guest::{Filters, Guest};
pub use local_ratelimit::SharedBuckets;

/// Lists the filters.
macro_rules! filters {
    ($($module:ident,)*) => {
        $(mod $module;)*

        /// The network filters of this build, the HTTP connection manager among them.
        pub const EXTENSIONS: &[Extension] = &[http_connection_manager::EXTENSION, $($module::EXTENSION,)*];

        /// Compiles a filter; `None` if it is none of these.
        fn make(config: &ExtensionConfig, context: &Context<'_>) -> Option<Result<Made, String>> {
            $(if let Some(config) = config.downcast::<$module::Config>() {
                return Some($module::make(config, context));
            })*
            None
        }
    };
}

filters! {
    connection_limit,
    direct_response,
    echo,
    ext_authz,
    local_ratelimit,
    ratelimit,
    rbac,
    set_filter_state,
    sni_cluster,
    sni_dynamic_forward_proxy,
    tcp_proxy,
}

/// Whether the configuration of a filter that came over ECDS can be in force; it is, if it is none of a network filter.
///
/// # Errors
/// Why not: a log that cannot be opened.
pub fn check_discovered(config: &ExtensionConfig, sinks: &Sinks) -> Result<(), String> {
    // What is counted of a filter that is tried is counted nowhere.
    let (registry, shared_buckets) = (&Registry::new(1), &SharedBuckets::default());
    let context = Context { registry, sinks, shared_buckets, buffer_limit_bytes: None };
    make(config, &context).map_or(Ok(()), |made| made.map(drop))
}
