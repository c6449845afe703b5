//! Commands that take an argument.

use super::bare::{address, time_point};
use super::command::Operator;
use super::file;
use super::operand::{
    AddressOf, GrpcStatusFormat, HeaderSource, HostSource, MetadataOf, PathSource, Precision, ServerName,
    Side,
};
use super::part::ResponsePart;
use super::time::{TimeFormat, Zone};
use super::{FormatError, Formatters, HeaderName, coalesce, metadata};
use crate::config::cel::Expression;

pub(super) fn with_argument(
    name: &str,
    argument: &str,
    max_length: Option<usize>,
    formatters: &Formatters,
) -> Result<Operator, FormatError> {
    let zone = if name.ends_with("_LOCAL") { Zone::Local } else { Zone::Utc };
    Ok(match name {
        "REQ" | "REQUEST_HEADER" | "STREAM_INFO_REQ" => header(HeaderSource::Request, argument)?,
        "RESP" | "RESPONSE_HEADER" => header(HeaderSource::Response, argument)?,
        "TRAILER" | "RESPONSE_TRAILER" => header(HeaderSource::ResponseTrailers, argument)?,
        "ENVIRONMENT" => environment(argument, max_length),
        "QUERY_PARAM" => Operator::QueryParam(argument.to_owned()),
        "XFCC_VALUE" => forwarded_certificate(argument)?,
        "COALESCE" => Operator::Coalesce(coalesce::parse(argument)?),
        "PATH" => path(argument)?,
        "QUERY_PARAMS" => Operator::QueryParams {
            decoded: one_of(
                "QUERY_PARAMS",
                argument,
                "'ORIG'/'DECODED'",
                &[("", false), ("ORIG", false), ("DECODED", true)],
            )?,
        },
        "GRPC_STATUS" => Operator::GrpcStatus(grpc_status(argument)?),
        "REQUESTED_SERVER_NAME" => server_name(argument)?,
        "START_TIME" | "START_TIME_LOCAL" => Operator::StartTime(TimeFormat::parse(argument, zone)?),
        "EMIT_TIME" | "EMIT_TIME_LOCAL" => Operator::EmitTime(TimeFormat::parse(argument, zone)?),
        "COMMON_DURATION" => common_duration(argument)?,
        "RESPONSE_CODE_DETAILS" => {
            Operator::Response(ResponsePart::CodeDetails { white_space: argument == "ALLOW_WHITESPACES" })
        }
        "REQ_WITHOUT_QUERY" => match header(HeaderSource::Request, argument)? {
            Operator::Header { name, alternative, .. } => Operator::WithoutQuery { name, alternative },
            operator => operator,
        },
        "FILE_CONTENT" => Operator::FileContent(Box::new(file::parse(argument)?)),
        "SECRET" => Operator::Secret(formatters.secret(argument)?),
        "FILTER_STATE" => metadata::filter_state(Side::Downstream, argument)?,
        "UPSTREAM_FILTER_STATE" => metadata::filter_state(Side::Upstream, argument)?,
        "METADATA" => metadata::of_kind(argument)?,
        "DYNAMIC_METADATA" => metadata::of(MetadataOf::Dynamic, argument),
        "CLUSTER_METADATA" => metadata::of(MetadataOf::Cluster, argument),
        "UPSTREAM_METADATA" => metadata::of(MetadataOf::UpstreamHost, argument),
        "CEL" | "TYPED_CEL" => {
            let expression = Expression::parse(argument, formatters.cel.unwrap_or_default())?;
            Operator::Cel { expression: Box::new(expression), typed: name == "TYPED_CEL" }
        }
        _ => match address(name) {
            Some((AddressOf::WithoutPort(_), end)) => {
                // What is no number does not mask, as in Envoy.
                let bits = argument.trim_ascii().parse::<i32>().ok();
                Operator::Address(bits.map_or(AddressOf::WithoutPort(None), AddressOf::network), end)
            }
            _ => {
                let side = if name.starts_with("DOWNSTREAM_") { Side::Downstream } else { Side::Upstream };
                let format = TimeFormat::parse(argument, Zone::Utc)?;
                Operator::CertificateValidity { side, end: name.ends_with("_V_END"), format }
            }
        },
    })
}

fn header(source: HeaderSource, argument: &str) -> Result<Operator, String> {
    let (name, alternative) = argument.split_once('?').unwrap_or((argument, ""));
    if alternative.contains('?') {
        return Err(format!("More than 1 alternative header specified in token: {argument}"));
    }
    if !is_name(name) || !is_name(alternative) {
        return Err("Invalid header configuration. Format string contains invalid characters.".to_owned());
    }
    let alternative = (!alternative.is_empty()).then(|| HeaderName::new(alternative));
    Ok(Operator::Header { source, name: HeaderName::new(name), alternative })
}

/// A header's name or none; a colon begins the names of HTTP/2's own (RFC 9113 §8.3).
fn is_name(text: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let bare = text.strip_prefix(':');
    bare != Some("") && bare.unwrap_or(text).bytes().all(is_valid)
}

fn forwarded_certificate(argument: &str) -> Result<Operator, String> {
    const KEYS: [&str; 7] = ["by", "hash", "cert", "chain", "subject", "uri", "dns"];
    let key = argument.to_ascii_lowercase();
    match &*key {
        "" => Err("XFCC_VALUE command requires a subcommand".to_owned()),
        known if KEYS.contains(&known) => Ok(Operator::ForwardedCertificate(key)),
        _ => Err(format!("XFCC_VALUE command does not support subcommand: {key}")),
    }
}

/// Variables do not change while the process runs, so they are read here, as Envoy does.
fn environment(name: &str, max_length: Option<usize>) -> Operator {
    // As in Envoy what is not there is a text, in JSON too and where what is not there is left out.
    let value = std::env::var(name);
    Operator::Constant(value.map_or_else(
        |_| "-".to_owned(),
        |value| {
            let length = max_length.unwrap_or(value.len());
            value[..value.floor_char_boundary(length)].to_owned()
        },
    ))
}

/// The option of this name; the error lists those that exist.
fn one_of<T: Copy>(command: &str, option: &str, allowed: &str, table: &[(&str, T)]) -> Result<T, String> {
    let found = table.iter().find(|(name, _)| *name == option).map(|(_, value)| *value);
    found.ok_or_else(|| format!("Invalid {command} option: '{option}', only {allowed} are allowed"))
}

fn path(argument: &str) -> Result<Operator, String> {
    let mut options = argument.split(':');
    let mut option = || options.next().unwrap_or_default();
    let query = one_of("PATH", option(), "'WQ'/'NQ'", &[("", true), ("WQ", true), ("NQ", false)])?;
    let sources = [
        ("", PathSource::OriginalOrPath),
        ("ORIG_OR_PATH", PathSource::OriginalOrPath),
        ("ORIG", PathSource::Original),
        ("PATH", PathSource::Path),
    ];
    let source = one_of("PATH", option(), "'ORIG'/'PATH'/'ORIG_OR_PATH'", &sources)?;
    Ok(Operator::Path { query, source })
}

fn grpc_status(argument: &str) -> Result<GrpcStatusFormat, String> {
    match argument {
        "" | "CAMEL_STRING" => Ok(GrpcStatusFormat::CamelString),
        "SNAKE_STRING" => Ok(GrpcStatusFormat::SnakeString),
        "NUMBER" => Ok(GrpcStatusFormat::Number),
        other => Err(format!(
            "GrpcStatusFormatter only supports CAMEL_STRING, SNAKE_STRING or NUMBER. Got: {other}"
        )),
    }
}

fn server_name(argument: &str) -> Result<Operator, String> {
    let mut options = argument.split(':');
    let mut option = || options.next().unwrap_or_default();
    let names = [
        ("", ServerName::SniOnly),
        ("SNI_ONLY", ServerName::SniOnly),
        ("SNI_FIRST", ServerName::SniFirst),
        ("HOST_FIRST", ServerName::HostFirst),
    ];
    let name = one_of("REQUESTED_SERVER_NAME", option(), "'SNI_ONLY'/'SNI_FIRST'/'HOST_FIRST'", &names)?;
    let sources = [
        ("", HostSource::OriginalOrHost),
        ("ORIG_OR_HOST", HostSource::OriginalOrHost),
        ("ORIG", HostSource::Original),
        ("HOST", HostSource::Host),
    ];
    let host = one_of("REQUESTED_SERVER_NAME", option(), "'ORIG_OR_HOST'/'HOST'/'ORIG'", &sources)?;
    Ok(Operator::RequestedServerName { name, host })
}

fn common_duration(argument: &str) -> Result<Operator, String> {
    let parts: Vec<&str> = argument.split(':').collect();
    let (from, to, precision) = match parts[..] {
        [from, to] => (from, to, "ms"),
        [from, to, precision] => (from, to, precision),
        _ => return Err(format!("Invalid common duration configuration: {argument}.")),
    };
    let precision = match precision {
        "ms" => Precision::Milliseconds,
        "us" => Precision::Microseconds,
        "ns" => Precision::Nanoseconds,
        other => return Err(format!("Invalid common duration precision: {other}.")),
    };
    Ok(Operator::Duration { from: time_point(from), to: time_point(to), precision })
}
