//! `envoy.config.accesslog.v3.AccessLog` to [`AccessLog`].

use envoy_types::pb::envoy::config::accesslog::v3;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::access_loggers::file::v3 as file_v3;
use envoy_types::pb::envoy::extensions::access_loggers::stream::v3 as stream_v3;
use envoy_types::pb::google::protobuf as pb;

use super::{AccessLog, AccessLogFilter, AccessLogSink};
use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::format::{DEFAULT_ACCESS_LOG_FORMAT, SubstitutionFormat};

/// The types of loggers that are served.
const FILE: &str = "envoy.extensions.access_loggers.file.v3.FileAccessLog";
const STDOUT: &str = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog";
const STDERR: &str = "envoy.extensions.access_loggers.stream.v3.StderrAccessLog";

impl AccessLog {
    /// From its proto.
    pub fn from_proto(message: v3::AccessLog, at: &mut Scope<'_>) -> Option<Self> {
        use v3::access_log::ConfigType;
        open! { at, v3::AccessLog = message; implemented { name, filter, config_type } }
        let filter_set = filter.is_some();
        let filter = at.message("filter", filter, AccessLogFilter::from_proto);
        let any = config_type.map(|ConfigType::TypedConfig(any)| any).unwrap_or_default();
        let (sink, format) = logger(&name, any, &mut at.field("typed_config"))?;
        // A filter that cannot be read has been noted; without it all would be logged.
        (!filter_set || filter.is_some()).then_some(AccessLog { sink, format, filter })
    }
}

fn logger(name: &str, any: pb::Any, at: &mut Scope<'_>) -> Option<(AccessLogSink, SubstitutionFormat)> {
    match extension::contained_type(&any).as_str() {
        FILE => file(extension::read(any, at)?, at),
        STDOUT => stdout(extension::read(any, at)?, at),
        STDERR => stderr(extension::read(any, at)?, at),
        type_name => {
            at.unsupported(format!(
                "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'; \
                 known: {FILE}, {STDOUT}, {STDERR}"
            ));
            None
        }
    }
}

fn file(message: file_v3::FileAccessLog, at: &mut Scope<'_>) -> Option<(AccessLogSink, SubstitutionFormat)> {
    use file_v3::file_access_log::AccessLogFormat as Message;
    open! { at, file_v3::FileAccessLog = message; implemented { path, access_log_format } }
    let path = at.required_string("path", path);
    #[expect(deprecated, reason = "older forms are still accepted, as by Envoy")]
    let format = match access_log_format {
        None => log_format(None, at),
        Some(Message::LogFormat(format)) => log_format(Some(format), at),
        // An empty text is the default format.
        Some(Message::Format(text)) if text.is_empty() => log_format(None, at),
        Some(Message::Format(text)) => SubstitutionFormat::text(&text, false, &mut at.field("format")),
        Some(Message::JsonFormat(fields)) => {
            SubstitutionFormat::json(fields, false, &mut at.field("json_format"))
        }
        Some(Message::TypedJsonFormat(fields)) => {
            SubstitutionFormat::json(fields, false, &mut at.field("typed_json_format"))
        }
    };
    Some((AccessLogSink::File(path.into()), format?))
}

fn stdout(
    message: stream_v3::StdoutAccessLog,
    at: &mut Scope<'_>,
) -> Option<(AccessLogSink, SubstitutionFormat)> {
    use stream_v3::stdout_access_log::AccessLogFormat as Message;
    open! { at, stream_v3::StdoutAccessLog = message; implemented { access_log_format } }
    let format = access_log_format.map(|Message::LogFormat(format)| format);
    Some((AccessLogSink::Stdout, log_format(format, at)?))
}

fn stderr(
    message: stream_v3::StderrAccessLog,
    at: &mut Scope<'_>,
) -> Option<(AccessLogSink, SubstitutionFormat)> {
    use stream_v3::stderr_access_log::AccessLogFormat as Message;
    open! { at, stream_v3::StderrAccessLog = message; implemented { access_log_format } }
    let format = access_log_format.map(|Message::LogFormat(format)| format);
    Some((AccessLogSink::Stderr, log_format(format, at)?))
}

fn log_format(
    format: Option<core::SubstitutionFormatString>,
    at: &mut Scope<'_>,
) -> Option<SubstitutionFormat> {
    match format {
        Some(format) => SubstitutionFormat::from_proto(format, &mut at.field("log_format")),
        None => SubstitutionFormat::text(DEFAULT_ACCESS_LOG_FORMAT, false, at),
    }
}
