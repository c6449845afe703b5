//! `envoy.config.bootstrap.v3.Admin` to [`Admin`].

use envoy_types::pb::envoy::config::bootstrap::v3;

use super::Admin;
use crate::config::access_log::{AccessLog, AccessLogSink};
use crate::config::address::{Address, SocketOption};
use crate::config::field::{Scope, open};
use crate::config::format::{DEFAULT_ACCESS_LOG_FORMAT, Format, SubstitutionFormat};
use crate::config::matcher::StringMatcher;

impl Admin {
    pub(super) fn from_proto(message: v3::Admin, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Admin = message;
            implemented {
                access_log, access_log_path, address, socket_options, allow_paths,
            }
            ignored {
                profile_path: "there is no profiler",
                ignore_global_conn_limit: "connections to the admin interface do not count",
            }
        }
        let mut access_log = at.list("access_log", access_log, AccessLog::from_proto);
        if !access_log_path.is_empty() {
            access_log.extend(file_log(access_log_path, &mut at.field("access_log_path")));
        }
        Some(Admin {
            address: at.message("address", address, Address::literal_from_proto),
            access_log,
            socket_options: at.list("socket_options", socket_options, SocketOption::from_proto),
            allow_paths: at.list("allow_paths", allow_paths, StringMatcher::from_proto),
        })
    }
}

/// The older way to log into a file.
fn file_log(path: String, at: &mut Scope<'_>) -> Option<AccessLog> {
    let format = Format::parse(DEFAULT_ACCESS_LOG_FORMAT).map_err(|problem| problem.tell(at)).ok()?;
    let sink = AccessLogSink::File(path.into());
    let format = SubstitutionFormat::Text { format, omit_empty_values: false };
    Some(AccessLog { sink, format, filter: None })
}
