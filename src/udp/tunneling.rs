//! `UdpProxyConfig.tunneling_config`: sessions that go on as streams of HTTP, and how those are asked for.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::filters::udp::udp_proxy::v3::udp_proxy_config::UdpTunnelingConfig;
use envoy_types::pb::envoy::extensions::filters::udp::udp_proxy::v3::udp_proxy_config::udp_tunneling_config as parts;

use crate::base::back_off::BackOff;
use crate::base::headers::{Headers, Known, Name};
use crate::config::field::{Scope, open};
use crate::config::format::{Format, Formatters};
use crate::config::newer::envoy::extensions::filters::udp::udp_proxy::v3::udp_proxy_config as newer;
use crate::config::route::HeaderValueOption;
use crate::observability::format::{self, Absent, Context};
use crate::observability::stream_info::StreamInfo;
use crate::route::mutation::change_request;

use super::held::Room;

/// Headers that may be added at most.
const MAX_HEADERS_TO_ADD: usize = 1000;
/// The path of a POST where none is configured.
const DEFAULT_PATH: &str = "/";
/// How often a tunnel is asked for where nothing is configured.
const DEFAULT_ATTEMPTS: u32 = 1;
/// The shortest first pause between attempts.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// What a stream becomes that carries datagrams (RFC 9298 §3.2).
pub(super) const PROTOCOL: &[u8] = b"connect-udp";
/// Where a proxy is asked for a target (RFC 9298 §2).
const WELL_KNOWN: &[u8] = b"/.well-known/masque/udp/";

/// `UdpTunnelingConfig.RetryOptions`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Retries {
    /// How often a tunnel is asked for.
    pub(super) max_connect_attempts: u32,
    /// The pauses between; `None` for none.
    pub(super) back_off: Option<BackOff>,
}

/// `UdpTunnelingConfig`
///
/// The ports that `udp.connect.proxy_port` and `udp.connect.target_port` of the filter state would say are not looked
/// for: no filter of sessions sets them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tunneling {
    proxy_host: Format,
    proxy_port: Option<u16>,
    target_host: Format,
    default_target_port: u16,
    /// The path of a POST, which is asked for in place of CONNECT-UDP.
    post_path: Option<String>,
    headers_to_add: Vec<HeaderValueOption>,
    pub(super) retries: Retries,
    /// How many datagrams wait for a tunnel; `None` for none.
    pub(super) room: Option<Room>,
    /// Whether headers of answers are noted in the filter state.
    pub(super) propagates_headers: bool,
    /// Whether trailers are, likewise.
    pub(super) propagates_trailers: bool,
}

impl Tunneling {
    pub(super) fn from_proto(message: UdpTunnelingConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, UdpTunnelingConfig = message;
            implemented {
                proxy_host, proxy_port, target_host, default_target_port, use_post, post_path, retry_options,
                headers_to_add, buffer_options, propagate_response_headers, propagate_response_trailers,
            }
        }
        open! { at, newer::UdpTunnelingConfig = at.newer(); implemented { formatters } }
        // As in Envoy they are for headers, and not for the hosts.
        let formatters = Formatters::from_protos(formatters, at);
        if headers_to_add.len() > MAX_HEADERS_TO_ADD {
            let problem = format!("value must contain no more than {MAX_HEADERS_TO_ADD} item(s)");
            at.field("headers_to_add").violation(problem);
        }
        if !use_post && !post_path.is_empty() {
            at.error("Can't set a post path when POST method isn't used");
        } else if !post_path.is_empty() && !post_path.starts_with('/') {
            at.error("Path must start with '/'");
        }
        let proxy_host = host("proxy_host", proxy_host, at);
        let target_host = host("target_host", target_host, at);
        let retries = at.message("retry_options", retry_options, Retries::from_proto);
        let room = at.message("buffer_options", buffer_options, room);
        Some(Tunneling {
            proxy_port: proxy_port.and_then(|port| port_of(port.value, at)),
            default_target_port: target_port(default_target_port, at)?,
            proxy_host: proxy_host?,
            target_host: target_host?,
            post_path: use_post.then(|| or(post_path, DEFAULT_PATH)),
            headers_to_add: at.list("headers_to_add", headers_to_add, |message, at| {
                HeaderValueOption::with(&formatters, message, at)
            }),
            retries: retries.unwrap_or_default(),
            room,
            propagates_headers: propagate_response_headers,
            propagates_trailers: propagate_response_trailers,
        })
    }

    /// Whether it is CONNECT-UDP that is asked for, and no POST.
    pub(super) fn upgrades(&self) -> bool {
        self.post_path.is_none()
    }

    /// Whether an answer with this status and these headers lets datagrams pass.
    pub(super) fn is_granted_by(&self, status: u16, answer: &Headers) -> bool {
        match self.post_path {
            Some(_) => (200..300).contains(&status),
            None => answer.get(Known::Upgrade) == Some(PROTOCOL),
        }
    }

    /// The head of the request, of CONNECT-UDP in the form of HTTP/1.1; `None` where what was made of `proxy_host` is
    /// the name of no host.
    pub(super) fn request(&self, encrypted: bool, info: &StreamInfo) -> Option<Headers> {
        let context = Context::without_headers(info);
        let mut authority = Vec::new();
        format::render(&self.proxy_host, &context, Absent::Dash, &mut authority);
        if authority.is_empty() || !authority.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        if let Some(port) = self.proxy_port {
            authority.extend_from_slice(format!(":{port}").as_bytes());
        }
        let mut headers = Headers::new();
        headers.append(Known::Method, if self.upgrades() { b"GET" } else { b"POST" });
        headers.append(Known::Authority, &authority);
        headers.append(Known::Scheme, if encrypted { b"https" } else { b"http" });
        match &self.post_path {
            Some(path) => headers.append(Known::Path, path.as_bytes()),
            None => {
                headers.append(Known::Path, &self.target(&context));
                headers.append(Known::Connection, b"Upgrade");
                headers.append(Known::Upgrade, PROTOCOL);
                headers.append(Name::new(b"capsule-protocol"), b"?1");
            }
        }
        change_request(&mut headers, &[], &self.headers_to_add, &mut |format, _, out| {
            format::render(format, &context, Absent::Omit, out);
        });
        Some(headers)
    }

    /// The path that names where datagrams are to go.
    fn target(&self, context: &Context<'_>) -> Vec<u8> {
        let mut host = Vec::new();
        format::render(&self.target_host, context, Absent::Dash, &mut host);
        let mut path = WELL_KNOWN.to_vec();
        for byte in host {
            match byte {
                // More than Envoy, which leaves a space as it is.
                b':' | 0..=b' ' | b'~'.. => path.extend_from_slice(format!("%{byte:02X}").as_bytes()),
                _ => path.push(byte),
            }
        }
        path.extend_from_slice(format!("/{}/", self.default_target_port).as_bytes());
        path
    }
}

fn host(name: &str, text: String, at: &mut Scope<'_>) -> Option<Format> {
    let text = at.required_string(name, text);
    Format::parse(&text).map_err(|problem| problem.tell(&mut at.field(name))).ok()
}

fn target_port(port: u32, at: &mut Scope<'_>) -> Option<u16> {
    let valid = u16::try_from(port).ok().filter(|port| *port > 0);
    if valid.is_none() {
        at.field("default_target_port").violation("value must be inside range (0, 65535]");
    }
    valid
}

fn port_of(port: u32, at: &mut Scope<'_>) -> Option<u16> {
    let valid = u16::try_from(port).ok().filter(|port| *port > 0);
    if valid.is_none() {
        at.field("proxy_port").error("Port value not in range");
    }
    valid
}

impl Default for Retries {
    fn default() -> Self {
        Retries { max_connect_attempts: DEFAULT_ATTEMPTS, back_off: None }
    }
}

impl Retries {
    fn from_proto(message: parts::RetryOptions, at: &mut Scope<'_>) -> Option<Self> {
        use parts::RetryOptions;
        open! { at, RetryOptions = message; implemented { max_connect_attempts, backoff_options } }
        Some(Retries {
            max_connect_attempts: max_connect_attempts.map_or(DEFAULT_ATTEMPTS, |attempts| attempts.value),
            back_off: at.message("backoff_options", backoff_options, back_off),
        })
    }
}

fn back_off(message: core::BackoffStrategy, at: &mut Scope<'_>) -> Option<BackOff> {
    open! { at, core::BackoffStrategy = message; implemented { base_interval, max_interval } }
    let base = at.required("base_interval", base_interval);
    let base = at.duration("base_interval", base)?;
    if base < SHORTEST_PAUSE {
        at.field("base_interval").violation("value must be greater than or equal to 1ms");
    }
    let max = at.positive_duration("max_interval", max_interval).unwrap_or(base.saturating_mul(10));
    if max < base {
        at.error("max_backoff must be greater or equal to base_backoff");
    }
    Some(BackOff::new(base, max))
}

fn room(message: parts::BufferOptions, at: &mut Scope<'_>) -> Option<Room> {
    use parts::BufferOptions;
    open! { at, BufferOptions = message; implemented { max_buffered_datagrams, max_buffered_bytes } }
    Some(Room::new(max_buffered_datagrams, max_buffered_bytes))
}

fn or(text: String, default: &str) -> String {
    if text.is_empty() { default.to_owned() } else { text }
}
