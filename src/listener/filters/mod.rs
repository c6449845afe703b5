//! Listener filters: what looks at a connection before its filter chain is chosen. One file each.
//!
//! - `seam`: what a filter is asked and when; `compiled`: those of a listener; `run`: a connection's way through all of
//!   them.
//!
//! A file holds all of its filter: `EXTENSION`, the row by which `config` finds how its configuration is read; `Config`,
//! what that becomes; and `make`, which compiles it for the connections of a listener.

mod compiled;
mod run;
mod seam;

use std::sync::Arc;

use crate::config::extension::{Extension, ExtensionConfig, read_value as read};
use crate::observability::stats::Registry;

pub use compiled::Filters;
pub use run::Refused;
pub(super) use seam::Accepted;
use seam::ListenerFilter;

/// What filters are compiled with.
#[derive(Debug)]
struct Context<'a> {
    registry: &'a Registry,
}

/// Lists the filters.
macro_rules! filters {
    ($($module:ident,)*) => {
        $(mod $module;)*

        /// The listener filters of this build.
        pub const EXTENSIONS: &[Extension] = &[$($module::EXTENSION,)*];

        /// Compiles a filter; `None` if it is none of these.
        fn make(config: &ExtensionConfig, context: &Context<'_>) -> Option<Arc<dyn ListenerFilter>> {
            $(if let Some(config) = config.downcast::<$module::Config>() {
                return Some($module::make(config, context).into());
            })*
            None
        }
    };
}

filters! {
    http_inspector,
    local_ratelimit,
    original_dst,
    original_src,
    proxy_protocol,
    set_filter_state,
    tls_inspector,
}
