//! Network filters: what a connection goes through once its filter chain is chosen. One file each.
//!
//! - `filter`: what a filter is asked and when; `chain`: those of a filter chain, compiled once;
//! - `guest`: a connection on its way through those before the last one;
//! - `asking`: services that are asked about connections;
//! - `way`: bytes from one side to the other.
//!
//! A file holds all of its filter: `EXTENSION`, the row by which `config` finds how its configuration is read; `Config`,
//! what that becomes; and `make`, which compiles it for the connections of a chain.

mod asking;
mod chain;
pub mod filter;
mod guest;
mod way;

use std::sync::Arc;

use crate::config::extension::{Extension, ExtensionConfig, ExtensionValue};
use crate::config::field::Scope;
use crate::config::http_connection_manager;

use filter::{Context, Made};

pub use chain::{Chain, End};
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

/// Reads the configuration of a filter.
fn read<M, T>(
    bytes: &[u8],
    at: &mut Scope<'_>,
    convert: impl FnOnce(M, &mut Scope<'_>) -> Option<T>,
) -> Option<Arc<dyn ExtensionValue>>
where
    M: prost::Message + prost::Name + Default,
    T: ExtensionValue,
{
    let value = at.decode(bytes).and_then(|message| convert(message, at))?;
    Some(Arc::new(value))
}
