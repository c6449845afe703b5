//! Protocol options: `envoy.config.core.v3.Http1ProtocolOptions` and `Http2ProtocolOptions`.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::envoy::extensions::http::header_formatters::preserve_case::v3 as preserve_case;
use envoy_types::pb::envoy::r#type::v3 as type_v3;
use envoy_types::pb::google::protobuf as pb;

use super::extension::{Extension, ExtensionConfig};
use super::field::{Scope, open};
use super::http2_settings::{self, Named};
use super::matcher::StringMatcher;
use crate::base::headers::Others;

/// Idle time after which a connection without requests closes when nothing else is configured.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_hours(1);

/// Headers of a message accepted when nothing else is configured.
pub const DEFAULT_MAX_HEADERS_COUNT: u32 = 100;

/// Kibibytes of a message's headers accepted when nothing else is configured.
pub const DEFAULT_MAX_HEADERS_KB: u32 = 60;

/// The most kibibytes of headers that may be configured.
pub const MAX_HEADERS_KB: u32 = 8192;

/// How long a connection may live: `HttpProtocolOptions.max_connection_duration` and its jitter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LongestLife {
    /// At least so long.
    pub duration: Duration,
    /// Percent by which it is made longer at random; 0 to 100, 0 by default.
    pub jitter: f64,
}

/// `envoy.config.core.v3.Http1ProtocolOptions`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Http1Options {
    /// Accept requests whose target is an absolute URL; true when absent. Without effect upstream.
    pub allow_absolute_url: Option<bool>,
    /// Serve HTTP/1.0.
    pub accept_http_10: bool,
    /// `Host` of HTTP/1.0 requests without one.
    pub default_host_for_http_10: String,
    /// Forward trailers.
    pub enable_trailers: bool,
    /// Accept `Transfer-Encoding` with `Content-Length` by removing the latter.
    pub allow_chunked_length: bool,
    /// How names of headers are written.
    pub header_key_format: HeaderKeyFormat,
    /// Send the whole URL in request lines; without effect downstream.
    pub send_fully_qualified_url: bool,
    /// Accept methods that nobody knows; without effect upstream.
    pub allow_custom_methods: bool,
    /// Protocols that a request cannot ask to upgrade to: it is served as if it did not; without effect upstream.
    pub ignore_http_11_upgrade: Vec<StringMatcher>,
    /// Whether the connection stays open after a 400 of the proxy's own; `None` leaves it to the connection manager.
    /// Without effect upstream.
    pub override_stream_error_on_invalid_http_message: Option<bool>,
}

/// `Http1ProtocolOptions.HeaderKeyFormat`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderKeyFormat {
    /// In lower case.
    #[default]
    LowerCase,
    /// Like `Content-Type`: `proper_case_words`.
    TitleCase,
    /// As they came: `envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig`. It
    /// concerns the messages that come in, wherever they are then written.
    Preserve {
        /// Pass the reason phrase of responses on, too.
        forward_reason_phrase: bool,
        /// How names are written that did not come with the message.
        others: Others,
    },
}

/// `envoy.config.core.v3.Http2ProtocolOptions`, with Envoy's defaults put in.
#[derive(Clone, Debug, PartialEq)]
pub struct Http2Options {
    /// 4,096 by default; 0 switches HPACK's dynamic table off.
    pub hpack_table_size: u32,
    /// Streams at once, 1 to 2^31-1; 1,024 by default.
    pub max_concurrent_streams: u32,
    /// Bytes, 65,535 to 2^31-1; 16 MiB by default.
    pub initial_stream_window_size: u32,
    /// Bytes, 65,535 to 2^31-1; 24 MiB by default.
    pub initial_connection_window_size: u32,
    /// Accept extended CONNECT (RFC 8441).
    pub allow_connect: bool,
    /// Frames without payload accepted in a row; 1 by default.
    pub max_consecutive_inbound_frames_with_empty_payload: u32,
    /// Answers to PING and SETTINGS that may wait to be written; 1,000 by default.
    pub max_outbound_control_frames: u32,
    /// PRIORITY frames accepted for each stream begun, and one more; 100 by default.
    pub max_inbound_priority_frames_per_stream: u32,
    /// WINDOW_UPDATE frames accepted for each DATA frame sent, half of them; 10 by default.
    pub max_inbound_window_update_frames_per_data_frame_sent: u32,
    /// Pings to find dead connections.
    pub connection_keepalive: Option<KeepaliveSettings>,
    /// Further settings that the peer is told: identifiers and values.
    pub custom_settings_parameters: Vec<(u16, u32)>,
    /// Bytes of METADATA accepted on a stream, 1 MiB by default; `None` does not let it pass (`allow_metadata`).
    pub metadata: Option<u64>,
}

/// `envoy.config.core.v3.KeepaliveSettings`
#[derive(Clone, Debug, PartialEq)]
pub struct KeepaliveSettings {
    /// Time between pings; `None` leaves them off.
    pub interval: Option<Duration>,
    /// Time for the answer.
    pub timeout: Duration,
    /// Percent of the interval by which it is made longer at random; 0 to 100, 15 by default.
    pub interval_jitter: f64,
    /// A connection from which nothing came for this long is pinged before a stream begins on it; upstream only.
    pub connection_idle_interval: Option<Duration>,
}

/// Bytes of METADATA that a stream may have when nothing is configured.
const DEFAULT_MAX_METADATA_SIZE: u64 = 1024 * 1024;

/// Percent of an interval when nothing is configured.
const DEFAULT_INTERVAL_JITTER: f64 = 15.0;

impl Default for Http2Options {
    fn default() -> Self {
        Http2Options {
            hpack_table_size: 4096,
            max_concurrent_streams: 1024,
            initial_stream_window_size: 16 * 1024 * 1024,
            initial_connection_window_size: 24 * 1024 * 1024,
            allow_connect: false,
            max_consecutive_inbound_frames_with_empty_payload: 1,
            max_outbound_control_frames: 1_000,
            max_inbound_priority_frames_per_stream: 100,
            max_inbound_window_update_frames_per_data_frame_sent: 10,
            connection_keepalive: None,
            custom_settings_parameters: Vec::new(),
            metadata: None,
        }
    }
}

/// The largest number of HTTP/2 streams and the largest window, 2^31 - 1 (RFC 9113 §5.1.1, §6.9.1).
const MAX_31_BITS: u32 = (1 << 31) - 1;

/// The smallest window, the one that every connection begins with (RFC 9113 §6.9.2).
const MIN_WINDOW: u32 = 65_535;

/// Why limits on what waits to be written have no effect.
const NEVER_SO_MANY: &str = "so many never wait: frames of messages are made when the connection takes them, and \
                             answers to PING and SETTINGS have a limit of their own";

/// Why settings of a codec that is not Envoy's usual one have no effect.
const ONLY_NGHTTP2: &str = "as in Envoy it has no effect with the codec that it uses (oghttp2)";

impl LongestLife {
    /// From the two fields; `None` means no limit.
    pub fn from_proto(
        duration: Option<pb::Duration>,
        jitter: Option<type_v3::Percent>,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        let duration = at.timeout("max_connection_duration", duration, None)?;
        Some(LongestLife { duration, jitter: jitter.map_or(0.0, |jitter| jitter.value) })
    }

    /// The life of one connection. `random` gives random bits, and is asked only where it matters.
    pub fn drawn(&self, random: impl FnOnce() -> u64) -> Duration {
        if self.jitter <= 0.0 {
            return self.duration;
        }
        let share = random() as f64 / u64::MAX as f64;
        self.duration.saturating_add(self.duration.mul_f64(self.jitter.min(100.0) / 100.0 * share))
    }
}

impl Http1Options {
    /// From its proto.
    pub fn from_proto(message: v3::Http1ProtocolOptions, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Http1ProtocolOptions = message;
            implemented {
                allow_absolute_url, accept_http_10, default_host_for_http_10, enable_trailers,
                allow_chunked_length, header_key_format, override_stream_error_on_invalid_http_message,
                send_fully_qualified_url, allow_custom_methods, ignore_http_11_upgrade,
            }
            ignored { use_balsa_parser: "there is one parser" }
        }
        Some(Http1Options {
            allow_absolute_url: allow_absolute_url.map(|allow| allow.value),
            accept_http_10,
            default_host_for_http_10,
            enable_trailers,
            allow_chunked_length,
            header_key_format: at
                .message("header_key_format", header_key_format, HeaderKeyFormat::from_proto)
                .unwrap_or_default(),
            send_fully_qualified_url,
            allow_custom_methods,
            ignore_http_11_upgrade: at.list(
                "ignore_http_11_upgrade",
                ignore_http_11_upgrade,
                StringMatcher::from_proto,
            ),
            override_stream_error_on_invalid_http_message: override_stream_error_on_invalid_http_message
                .map(|keep| keep.value),
        })
    }
}

/// The formatter of names that keeps them.
const PRESERVE_CASE: Extension = Extension {
    name: "envoy.http.stateful_header_formatters.preserve_case",
    type_name: "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig",
    terminal: false,
    parse: |bytes, at| {
        let message = at.decode(bytes)?;
        Some(Arc::new(HeaderKeyFormat::preserve(message, at)?))
    },
    per_route: None,
};

impl HeaderKeyFormat {
    fn from_proto(message: v3::http1_protocol_options::HeaderKeyFormat, at: &mut Scope<'_>) -> Option<Self> {
        use v3::http1_protocol_options::HeaderKeyFormat as Message;
        use v3::http1_protocol_options::header_key_format::{HeaderFormat, ProperCaseWords};
        open! { at, Message = message; implemented { header_format } }
        match at.required("header_format", header_format)? {
            HeaderFormat::ProperCaseWords(message) => {
                open! { at, ProperCaseWords = message; implemented {} }
                Some(HeaderKeyFormat::TitleCase)
            }
            HeaderFormat::StatefulFormatter(message) => {
                let at = &mut at.field("stateful_formatter");
                ExtensionConfig::from_typed(message, &[PRESERVE_CASE], at)?.downcast().copied()
            }
        }
    }

    fn preserve(message: preserve_case::PreserveCaseFormatterConfig, at: &mut Scope<'_>) -> Option<Self> {
        use preserve_case::PreserveCaseFormatterConfig;
        use preserve_case::preserve_case_formatter_config::FormatterTypeOnEnvoyHeaders as Type;
        open! { at, PreserveCaseFormatterConfig = message;
            implemented { forward_reason_phrase, formatter_type_on_envoy_headers }
        }
        let others = match at.enumeration("formatter_type_on_envoy_headers", formatter_type_on_envoy_headers)
        {
            Type::Default => Others::LowerCase,
            Type::ProperCase => Others::TitleCase,
        };
        Some(HeaderKeyFormat::Preserve { forward_reason_phrase, others })
    }
}

impl Http2Options {
    /// From its proto.
    pub fn from_proto(message: v3::Http2ProtocolOptions, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Http2ProtocolOptions = message;
            implemented {
                hpack_table_size, max_concurrent_streams, initial_stream_window_size,
                initial_connection_window_size, allow_connect, max_consecutive_inbound_frames_with_empty_payload,
                max_inbound_priority_frames_per_stream, max_inbound_window_update_frames_per_data_frame_sent,
                stream_error_on_invalid_http_messaging, override_stream_error_on_invalid_http_message,
                connection_keepalive, custom_settings_parameters, allow_metadata, max_metadata_size,
                max_outbound_control_frames,
            }
            ignored {
                max_outbound_frames: NEVER_SO_MANY,
                use_oghttp2_codec: "there is one codec",
                max_header_field_size_kb: ONLY_NGHTTP2,
                stream_reset_burst: ONLY_NGHTTP2,
                stream_reset_rate: ONLY_NGHTTP2,
                disallow_obs_text: "as in Envoy it has no effect",
                enable_huffman_encoding: "fields mean the same in either encoding",
            }
        }
        // A malformed message always ends its stream alone, so `true` is what is served, in either field.
        let _: bool = stream_error_on_invalid_http_messaging;
        if override_stream_error_on_invalid_http_message.is_some_and(|alone| !alone.value) {
            at.ignore(
                "override_stream_error_on_invalid_http_message",
                "a malformed message of HTTP/2 ends its stream, not the connection",
            );
        }
        let named = Named {
            hpack_table_size: hpack_table_size.is_some(),
            max_concurrent_streams: max_concurrent_streams.is_some(),
            initial_stream_window_size: initial_stream_window_size.is_some(),
        };
        let default = Http2Options::default();
        let mut ranged = |name, value, default, range| at.within(name, value, range).unwrap_or(default);
        Some(Http2Options {
            hpack_table_size: hpack_table_size.map_or(default.hpack_table_size, |size| size.value),
            max_concurrent_streams: ranged(
                "max_concurrent_streams",
                max_concurrent_streams,
                default.max_concurrent_streams,
                1..=MAX_31_BITS,
            ),
            initial_stream_window_size: ranged(
                "initial_stream_window_size",
                initial_stream_window_size,
                default.initial_stream_window_size,
                MIN_WINDOW..=MAX_31_BITS,
            ),
            initial_connection_window_size: ranged(
                "initial_connection_window_size",
                initial_connection_window_size,
                default.initial_connection_window_size,
                MIN_WINDOW..=MAX_31_BITS,
            ),
            max_consecutive_inbound_frames_with_empty_payload:
                max_consecutive_inbound_frames_with_empty_payload
                    .map_or(default.max_consecutive_inbound_frames_with_empty_payload, |max| max.value),
            max_inbound_priority_frames_per_stream: max_inbound_priority_frames_per_stream
                .map_or(default.max_inbound_priority_frames_per_stream, |max| max.value),
            max_inbound_window_update_frames_per_data_frame_sent: ranged(
                "max_inbound_window_update_frames_per_data_frame_sent",
                max_inbound_window_update_frames_per_data_frame_sent,
                default.max_inbound_window_update_frames_per_data_frame_sent,
                1..=u32::MAX,
            ),
            max_outbound_control_frames: ranged(
                "max_outbound_control_frames",
                max_outbound_control_frames,
                default.max_outbound_control_frames,
                1..=u32::MAX,
            ),
            allow_connect,
            metadata: allow_metadata
                .then(|| max_metadata_size.map_or(DEFAULT_MAX_METADATA_SIZE, |size| size.value)),
            custom_settings_parameters: http2_settings::read(custom_settings_parameters, named, at),
            connection_keepalive: at.message(
                "connection_keepalive",
                connection_keepalive,
                KeepaliveSettings::from_proto,
            ),
        })
    }
}

impl KeepaliveSettings {
    /// From its proto.
    pub fn from_proto(message: v3::KeepaliveSettings, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::KeepaliveSettings = message;
            implemented { interval, timeout, interval_jitter, connection_idle_interval }
            rejected {}
            ignored {}
        }
        let timeout = at.required("timeout", timeout);
        Some(KeepaliveSettings {
            interval: at.positive_duration("interval", interval),
            timeout: at.positive_duration("timeout", timeout)?,
            interval_jitter: interval_jitter.map_or(DEFAULT_INTERVAL_JITTER, |jitter| jitter.value),
            connection_idle_interval: at
                .positive_duration("connection_idle_interval", connection_idle_interval),
        })
    }
}
