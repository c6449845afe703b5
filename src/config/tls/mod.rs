//! TLS: `envoy.extensions.transport_sockets.tls.v3`.

mod certificate;
mod context;
mod params;
mod validation;

pub use certificate::Certificate;
pub use params::{CIPHER_SUITES, CURVES, CipherSuite, Curve, Version, Versions};
pub use validation::{NameKind, NameMatcher, Validation};

use params::Params;

/// What both ends configure: `CommonTlsContext`.
#[derive(Clone, Debug, PartialEq)]
pub struct CommonTls {
    /// Versions that are spoken.
    pub versions: Versions,
    /// Cipher suites of TLS 1.2 in the order of preference; those of TLS 1.3 are all spoken.
    pub cipher_suites: Vec<CipherSuite>,
    /// Groups for the exchange of keys in the order of preference.
    pub curves: Vec<Curve>,
    /// Own certificates.
    pub certificates: Vec<Certificate>,
    /// What is asked of the peer's; `None` where nothing is.
    pub validation: Option<Validation>,
    /// Protocols that are offered or accepted, the preferred first.
    pub alpn_protocols: Vec<Vec<u8>>,
}

/// Towards clients: `DownstreamTlsContext`.
#[derive(Clone, Debug, PartialEq)]
pub struct DownstreamTls {
    /// What both ends configure.
    pub common: CommonTls,
    /// Whether clients without a certificate are refused.
    pub require_client_certificate: bool,
    /// Whether sessions may be resumed with tickets that clients keep.
    pub stateless_resumption: bool,
    /// Whether sessions may be resumed that the proxy keeps.
    pub stateful_resumption: bool,
    /// Whether the order of the client decides between cipher suites, and not the proxy's.
    pub prefer_client_ciphers: bool,
}

/// Towards hosts: `UpstreamTlsContext`.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamTls {
    /// What both ends configure.
    pub common: CommonTls,
    /// The name of the server that is wanted; empty to give none.
    pub sni: String,
    /// Whether a host that has a name is asked for by that, in place of `sni`.
    pub auto_host_sni: bool,
    /// Whether the certificate has to have the name that is asked for, in place of those of the validation context.
    pub auto_sni_san_validation: bool,
    /// Sessions that are kept to be resumed; 1 by default, 0 to resume none.
    pub max_session_keys: u32,
}
