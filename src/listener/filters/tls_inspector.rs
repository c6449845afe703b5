//! `envoy.filters.listener.tls_inspector`: finds out whether a connection speaks TLS, and what its client asks for.

use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3;

use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::observability::stats::listener::TlsInspectorStats;
use crate::transport::tls::client_hello::{self, ClientHello, NoHello, Wanted};

use super::seam::{Accepted, ListenerFilter, Verdict};
use super::{Context, read};

/// The longest greeting, and the default.
const MAX_CLIENT_HELLO: u32 = 16 * 1024;

/// The listener filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.listener.tls_inspector",
    type_name: "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// `envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// Close connections whose first bytes are no greeting.
    close_on_errors: bool,
    /// Bytes that a greeting may have.
    max_client_hello_size: u32,
    /// The fingerprints that are taken.
    fingerprints: Wanted,
}

impl Config {
    fn from_proto(message: v3::TlsInspector, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::TlsInspector = message;
            implemented {
                close_connection_on_client_hello_parsing_errors, max_client_hello_size,
                enable_ja3_fingerprinting, enable_ja4_fingerprinting
            }
            ignored { initial_read_buffer_size: "the first look is at all bytes that are there" }
        }
        let size = at.within("max_client_hello_size", max_client_hello_size, 256..=MAX_CLIENT_HELLO);
        Some(Config {
            close_on_errors: close_connection_on_client_hello_parsing_errors,
            max_client_hello_size: size.unwrap_or(MAX_CLIENT_HELLO),
            fingerprints: Wanted {
                ja3: enable_ja3_fingerprinting.is_some_and(|enabled| enabled.value),
                ja4: enable_ja4_fingerprinting.is_some_and(|enabled| enabled.value),
            },
        })
    }
}

pub(super) fn make(config: &Config, context: &Context<'_>) -> Box<dyn ListenerFilter> {
    let stats = TlsInspectorStats::new(context.registry, "tls_inspector.");
    Box::new(TlsInspector { config: *config, stats })
}

#[derive(Debug)]
struct TlsInspector {
    config: Config,
    stats: TlsInspectorStats,
}

impl ListenerFilter for TlsInspector {
    fn accepted(&self, connection: &mut Accepted<'_>) -> Verdict {
        // Somebody has found out already.
        match connection.transport_protocol {
            "" => Verdict::More,
            _ => Verdict::Continue,
        }
    }

    fn max_bytes(&self) -> usize {
        self.config.max_client_hello_size as usize
    }

    fn data(&self, bytes: &[u8], connection: &mut Accepted<'_>) -> Verdict {
        let max = self.max_bytes();
        match client_hello::parse(bytes, max, self.config.fingerprints) {
            Ok(hello) => {
                self.note(hello, connection);
                self.stats.bytes_processed().record(bytes.len() as u64);
                Verdict::Continue
            }
            Err(NoHello::Incomplete) => Verdict::More,
            Err(NoHello::TooLong) => {
                self.stats.client_hello_too_large().inc();
                self.stats.bytes_processed().record(bytes.len() as u64);
                Verdict::Close
            }
            Err(NoHello::NotTls(reason)) => {
                self.stats.tls_not_found().inc();
                self.stats.bytes_processed().record(bytes.len() as u64);
                let reason = || format!("TLS_error|error:{reason}:TLS_error_end");
                connection.info.transport_failure_reason.get_or_init(reason);
                if self.config.close_on_errors { Verdict::Close } else { Verdict::Continue }
            }
        }
    }
}

impl TlsInspector {
    fn note(&self, hello: ClientHello, connection: &mut Accepted<'_>) {
        self.stats.tls_found().inc();
        connection.transport_protocol = "tls";
        if self.config.fingerprints != Wanted::default() {
            connection.info.fingerprints = Some(Box::new(hello.fingerprints));
        }
        match hello.server_name {
            Some(name) => {
                self.stats.sni_found().inc();
                connection.info.requested_server_name = name;
            }
            None => self.stats.sni_not_found().inc(),
        }
        if hello.protocols.is_empty() {
            self.stats.alpn_not_found().inc();
        } else {
            self.stats.alpn_found().inc();
            connection.application_protocols = hello.protocols;
        }
    }
}
