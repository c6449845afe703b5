//! Names of hosts that requests bring: `envoy.config.core.v3.UpstreamHttpProtocolOptions`.

use envoy_types::pb::envoy::config::core::v3;

use crate::config::field::{Scope, open};

/// What requests say of who their hosts have to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamesByRequest {
    /// Whether TLS asks for the name that the request goes to: `auto_sni`.
    pub auto_sni: bool,
    /// Whether the certificate has to have that name: `auto_san_validation`.
    pub auto_san_validation: bool,
    /// The header whose name that is, in lower case, where a request has it; the host header by default.
    pub header: Option<Box<str>>,
}

impl NamesByRequest {
    pub(super) fn from_proto(message: v3::UpstreamHttpProtocolOptions, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::UpstreamHttpProtocolOptions = message;
            implemented { auto_sni, auto_san_validation, override_auto_sni_header }
        }
        let header = override_auto_sni_header.to_ascii_lowercase();
        Some(NamesByRequest {
            auto_sni,
            auto_san_validation,
            header: Some(header).filter(|header| !header.is_empty()).map(Into::into),
        })
    }

    /// Whether hosts have to be who requests ask for.
    pub(super) fn is_safe(&self) -> bool {
        self.auto_sni && self.auto_san_validation
    }

    /// `None` where requests say nothing.
    pub(super) fn if_any(self) -> Option<Box<Self>> {
        (self.auto_sni || self.auto_san_validation).then(|| Box::new(self))
    }
}
