//! How the sides of a case speak TLS, and the certificates that there are for it.

use std::path::PathBuf;

use serde::Deserialize;

/// How the client of a case greets.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClientTls {
    /// Name of the server that it asks for; it asks for none by default.
    pub(crate) sni: Option<String>,
    /// Protocols that it offers.
    pub(crate) alpn: Vec<String>,
    /// The certificate that it shows: one of `testdata/tls`.
    pub(crate) certificate: Option<String>,
    /// The only version that it speaks, `1.2` or `1.3`; both by default.
    pub(crate) version: Option<String>,
}

/// How the host of a cluster is greeted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HostTls {
    /// The certificate that it shows: one of `testdata/tls`; `server` by default.
    pub(crate) certificate: Option<String>,
    /// Protocols that it takes.
    pub(crate) alpn: Vec<String>,
    /// Whether it wants a certificate of the client.
    pub(crate) client_certificate: bool,
    /// The only version that it speaks, `1.2` or `1.3`; both by default.
    pub(crate) version: Option<String>,
}

/// The file of a certificate (`server`) or of a key (`server.key`).
pub(crate) fn path(name: &str) -> PathBuf {
    let file = if name.ends_with(".key") { name.to_owned() } else { format!("{name}.pem") };
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/tls").join(file)
}
