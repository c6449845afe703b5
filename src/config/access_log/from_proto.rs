//! `envoy.config.accesslog.v3.AccessLog` to [`AccessLog`].

use envoy_types::pb::envoy::config::accesslog::v3;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::access_loggers::file::v3 as file_v3;
use envoy_types::pb::envoy::extensions::access_loggers::stream::v3 as stream_v3;
use envoy_types::pb::google::protobuf as pb;

use super::{AccessLog, AccessLogFilter, AccessLogFormat, AccessLogSink};
use crate::config::data_source;
use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::format::Format;

/// Envoy's format of a line when nothing else is configured.
pub const DEFAULT_FORMAT: &str = "[%START_TIME%] \"%REQUEST_HEADER(:METHOD)% \
    %REQUEST_HEADER(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% \
    %BYTES_SENT% %DURATION% %RESPONSE_HEADER(X-ENVOY-UPSTREAM-SERVICE-TIME)% \
    \"%REQUEST_HEADER(X-FORWARDED-FOR)%\" \"%REQUEST_HEADER(USER-AGENT)%\" \"%REQUEST_HEADER(X-REQUEST-ID)%\" \
    \"%REQUEST_HEADER(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n";

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

fn logger(name: &str, any: pb::Any, at: &mut Scope<'_>) -> Option<(AccessLogSink, AccessLogFormat)> {
    match extension::contained_type(&any).as_str() {
        FILE => file(extension::read(any, at)?, at),
        STDOUT => {
            use stream_v3::stdout_access_log::AccessLogFormat as Message;
            let message: stream_v3::StdoutAccessLog = extension::read(any, at)?;
            let format = message.access_log_format.map(|Message::LogFormat(format)| format);
            Some((AccessLogSink::Stdout, log_format(format, at)?))
        }
        STDERR => {
            use stream_v3::stderr_access_log::AccessLogFormat as Message;
            let message: stream_v3::StderrAccessLog = extension::read(any, at)?;
            let format = message.access_log_format.map(|Message::LogFormat(format)| format);
            Some((AccessLogSink::Stderr, log_format(format, at)?))
        }
        type_name => {
            at.error(format!(
                "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'; \
                 known: {FILE}, {STDOUT}, {STDERR}"
            ));
            None
        }
    }
}

fn file(message: file_v3::FileAccessLog, at: &mut Scope<'_>) -> Option<(AccessLogSink, AccessLogFormat)> {
    use file_v3::file_access_log::AccessLogFormat as Message;
    open! { at, file_v3::FileAccessLog = message; implemented { path, access_log_format } }
    let path = at.required_string("path", path);
    #[expect(deprecated, reason = "older forms are still accepted, as by Envoy")]
    let format = match access_log_format {
        None => log_format(None, at),
        Some(Message::LogFormat(format)) => log_format(Some(format), at),
        // An empty text is the default format.
        Some(Message::Format(text)) if text.is_empty() => log_format(None, at),
        Some(Message::Format(text)) => text_format(&text, &mut at.field("format")),
        Some(Message::JsonFormat(fields)) => json_format(fields, false, true, &mut at.field("json_format")),
        Some(Message::TypedJsonFormat(fields)) => {
            json_format(fields, false, true, &mut at.field("typed_json_format"))
        }
    };
    Some((AccessLogSink::File(path.into()), format?))
}

fn log_format(format: Option<core::SubstitutionFormatString>, at: &mut Scope<'_>) -> Option<AccessLogFormat> {
    match format {
        Some(format) => substitution_format(format, &mut at.field("log_format")),
        None => text_format(DEFAULT_FORMAT, at),
    }
}

fn substitution_format(
    message: core::SubstitutionFormatString,
    at: &mut Scope<'_>,
) -> Option<AccessLogFormat> {
    use core::substitution_format_string::Format as Message;
    open! { at, core::SubstitutionFormatString = message;
        implemented { omit_empty_values, format, json_format_options }
        rejected { formatters: "no formatter extensions are known" }
        ignored { content_type: "log lines have no content type" }
    }
    #[expect(deprecated, reason = "still accepted, as by Envoy")]
    let sort = json_format_options.is_some_and(|options| options.sort_properties);
    #[expect(deprecated, reason = "the older form is still accepted, as by Envoy")]
    match at.required("format", format)? {
        Message::TextFormat(text) => text_format(&text, &mut at.field("text_format")),
        Message::TextFormatSource(source) => {
            let mut at = at.field("text_format_source");
            let bytes = data_source::read(source, None, &mut at)?;
            let text = String::from_utf8(bytes).map_err(|_| at.error("the format must be UTF-8")).ok()?;
            text_format(&text, &mut at)
        }
        Message::JsonFormat(fields) => {
            json_format(fields, omit_empty_values, sort, &mut at.field("json_format"))
        }
    }
}

fn text_format(text: &str, at: &mut Scope<'_>) -> Option<AccessLogFormat> {
    parse_format(text).map_err(|problem| at.error(problem)).map(AccessLogFormat::Text).ok()
}

/// A format string. Commands come with `config::format`.
pub(in crate::config) fn parse_format(text: &str) -> Result<Format, String> {
    use crate::config::format::Part;
    if text == DEFAULT_FORMAT {
        return Ok(Format::default());
    }
    if text.contains('%') {
        return Err("format commands are not served yet".to_owned());
    }
    Ok(Format { parts: vec![Part::Literal(text.to_owned())] })
}

fn json_format(_: pb::Struct, _: bool, _: bool, at: &mut Scope<'_>) -> Option<AccessLogFormat> {
    at.error("JSON formats are not served yet");
    None
}
