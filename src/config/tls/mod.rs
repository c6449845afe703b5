//! TLS: `envoy.extensions.transport_sockets.tls.v3`.

mod certificate;
mod context;
mod key_log;
mod key_usage;
mod names;
mod ocsp;
mod on_demand;
mod params;
mod pkcs12;
mod private_key;
mod secret;
mod signature;
mod spiffe;
mod tickets;
mod validation;

pub use certificate::Certificate;
pub use key_log::KeyLog;
pub use key_usage::KeyUses;
pub use names::{NameKind, NameMatcher};
pub use ocsp::{Staple, StaplePolicy};
pub use on_demand::{Mapper, OnDemandSecrets};
pub use params::{CIPHER_SUITES, CURVES, CipherSuite, Curve, Overrides, Params, Version, Versions};
pub use secret::{Purpose, Secret, SecretContent, SecretRef};
pub use signature::SignatureScheme;
pub use spiffe::{TrustDomain, TrustDomains, WORKLOAD};
pub use tickets::{TicketKey, TicketKeys, Tickets};
pub use validation::Validation;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

/// What both ends configure: `CommonTlsContext`.
#[derive(Clone, Debug, PartialEq)]
pub struct CommonTls {
    /// How the protocol is spoken.
    pub params: Params,
    /// Own certificates.
    pub certificates: Certificates,
    /// `custom_tls_certificate_selector`: where the certificates come from that handshakes ask for; no other is shown
    /// then. `None` where they ask for none, as towards hosts.
    pub on_demand: Option<Arc<OnDemandSecrets>>,
    /// What is asked of the peer's; `None` where nothing is.
    pub validation: Option<ValidationSource>,
    /// Protocols that are offered or accepted, the preferred first.
    pub alpn_protocols: Vec<Vec<u8>>,
    /// Where the keys of connections are written; `None` where they are not.
    pub key_log: Option<KeyLog>,
}

/// Where a context has its own certificates from.
#[derive(Clone, Debug, PartialEq)]
pub enum Certificates {
    /// `tls_certificates`
    Inline(Vec<Arc<Certificate>>),
    /// `tls_certificate_sds_secret_configs`
    Secrets(Vec<SecretRef>),
}

/// Where a context has from what is asked of a peer's certificate.
#[derive(Clone, Debug, PartialEq)]
pub enum ValidationSource {
    /// `validation_context`
    Inline(Arc<Validation>),
    /// `validation_context_sds_secret_config`, `combined_validation_context`
    Secret {
        /// The secret.
        secret: SecretRef,
        /// `default_validation_context`: the message that the secret's is merged over.
        default: Bytes,
    },
}

impl CommonTls {
    /// The secrets that it refers to.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let certificates = match &self.certificates {
            Certificates::Inline(_) => &[][..],
            Certificates::Secrets(secrets) => secrets,
        };
        let validation = match &self.validation {
            Some(ValidationSource::Secret { secret, .. }) => Some(secret),
            Some(ValidationSource::Inline(_)) | None => None,
        };
        certificates.iter().chain(validation)
    }
}

/// Towards clients: `DownstreamTlsContext`.
#[derive(Clone, Debug, PartialEq)]
pub struct DownstreamTls {
    /// What both ends configure.
    pub common: CommonTls,
    /// Whether clients without a certificate are refused.
    pub require_client_certificate: bool,
    /// Tickets with which clients may resume sessions.
    pub tickets: Tickets,
    /// Whether sessions may be resumed that the proxy keeps.
    pub stateful_resumption: bool,
    /// How long sessions of TLS 1.2 can be resumed; 2 hours where it is not given. Those of TLS 1.3 can for 2 days.
    pub session_timeout: Option<Duration>,
    /// When answers of OCSP are shown with certificates.
    pub staple_policy: StaplePolicy,
    /// Whether all certificates are looked at where a client asks for a name that none has; the first is shown otherwise.
    pub full_scan: bool,
    /// Whether the order of the client decides between cipher suites, and not the proxy's.
    pub prefer_client_ciphers: bool,
}

impl DownstreamTls {
    /// The secrets that it refers to.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        self.common.secrets().chain(self.ticket_secret())
    }

    /// The secret with the keys of its tickets, if they come in one.
    pub fn ticket_secret(&self) -> Option<&SecretRef> {
        match &self.tickets {
            Tickets::Secret(secret) => Some(secret),
            Tickets::Own | Tickets::Keys(_) | Tickets::Disabled => None,
        }
    }
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
