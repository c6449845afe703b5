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
    /// The only kind of keys that it takes of a server, `ECDSA` or `RSA`; any by default.
    pub(crate) keys: Option<String>,
    /// Where it keeps sessions: connections of a case with the same word here resume each other's, and greet in all
    /// else as the first of them does. Without it none is resumed.
    pub(crate) sessions: Option<String>,
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

/// Ends of the names of files that hold no certificates, which are told whole.
const WHOLE: [&str; 3] = [".key", ".ocsp", ".p12"];

/// The file of a certificate (`server`), or of what else there is (`server.key`, `server.ocsp`).
pub(crate) fn path(name: &str) -> PathBuf {
    let is_whole = WHOLE.iter().any(|end| name.ends_with(end));
    let file = if is_whole { name.to_owned() } else { format!("{name}.pem") };
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/tls").join(file)
}
