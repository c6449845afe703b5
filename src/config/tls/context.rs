//! `DownstreamTlsContext`, `UpstreamTlsContext` and what they have in common.

use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3;
use prost::Message as _;
use rustls::pki_types::DnsName;
use v3::common_tls_context::ValidationContextType;
use v3::downstream_tls_context::SessionTicketKeysType;

use super::{
    Certificate, Certificates, CommonTls, DownstreamTls, Params, SecretRef, UpstreamTls, Validation,
    ValidationSource, Version,
};
use crate::config::field::{Scope, open};

const NO_PROVIDER: &str = "certificates are not asked of a provider";

const NO_TICKET_KEYS: &str = "keys of tickets are made by the proxy";

impl DownstreamTls {
    /// From its proto.
    pub(in crate::config) fn from_proto(
        message: v3::DownstreamTlsContext,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, v3::DownstreamTlsContext = message;
            implemented {
                common_tls_context, require_client_certificate, disable_stateful_session_resumption,
                prefer_client_ciphers, session_ticket_keys_type,
            }
            rejected {
                session_timeout: "sessions can be resumed for as long as their tickets say",
                ocsp_staple_policy: "answers of OCSP are not sent",
                full_scan_certs_on_sni_mismatch: "who asks for an unknown name is shown the first certificate",
            }
            ignored { require_sni: "Envoy does not heed it either, and serves clients that ask for no name" }
        }
        let context = common_tls_context.unwrap_or_default();
        let has_none = context.tls_certificates.is_empty()
            && context.tls_certificate_sds_secret_configs.is_empty()
            && context.tls_certificate_provider_instance.is_none()
            && context.custom_tls_certificate_selector.is_none();
        if !(context.tls_certificates.is_empty() || context.tls_certificate_sds_secret_configs.is_empty()) {
            at.field("common_tls_context")
                .error("SDS and non-SDS TLS certificates may not be mixed in server contexts");
        }
        let common = CommonTls::from_proto(context, Version::V1_3, &mut at.field("common_tls_context"))?;
        if has_none {
            at.field("common_tls_context").error("No TLS certificates found for server context");
        }
        let disabled = match session_ticket_keys_type {
            Some(SessionTicketKeysType::DisableStatelessSessionResumption(disabled)) => disabled,
            Some(SessionTicketKeysType::SessionTicketKeys(_)) => {
                at.reject("session_ticket_keys", NO_TICKET_KEYS);
                false
            }
            Some(SessionTicketKeysType::SessionTicketKeysSdsSecretConfig(_)) => {
                at.reject("session_ticket_keys_sds_secret_config", NO_TICKET_KEYS);
                false
            }
            None => false,
        };
        Some(DownstreamTls {
            common,
            require_client_certificate: require_client_certificate.is_some_and(|required| required.value),
            stateless_resumption: !disabled,
            stateful_resumption: !disable_stateful_session_resumption,
            prefer_client_ciphers,
        })
    }
}

impl UpstreamTls {
    /// From its proto.
    pub(in crate::config) fn from_proto(message: v3::UpstreamTlsContext, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::UpstreamTlsContext = message;
            implemented {
                common_tls_context, sni, max_session_keys, auto_host_sni, auto_sni_san_validation,
            }
            rejected {
                allow_renegotiation: "connections are not negotiated anew",
                enforce_rsa_key_usage: "what certificates say of the use of their keys is not looked at",
            }
        }
        let context = common_tls_context.unwrap_or_default();
        let several = context.tls_certificates.len() + context.tls_certificate_sds_secret_configs.len() > 1;
        let common = CommonTls::from_proto(context, Version::V1_2, &mut at.field("common_tls_context"))?;
        if several {
            at.field("common_tls_context")
                .error("Multiple TLS certificates are not supported for client contexts");
        }
        if auto_sni_san_validation && common.validation.is_none() {
            at.error("'auto_sni_san_validation' was configured without a validation context");
        }
        if !sni.is_empty() && DnsName::try_from(sni.as_str()).is_err() {
            at.field("sni").unsupported("only names of DNS are asked for");
        }
        Some(UpstreamTls {
            common,
            sni,
            auto_host_sni,
            auto_sni_san_validation,
            max_session_keys: max_session_keys.map_or(1, |keys| keys.value),
        })
    }
}

impl CommonTls {
    fn from_proto(message: v3::CommonTlsContext, most: Version, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::CommonTlsContext = message;
            implemented {
                tls_params, tls_certificates, tls_certificate_sds_secret_configs, alpn_protocols,
                validation_context_type,
            }
            rejected {
                tls_certificate_provider_instance: NO_PROVIDER,
                custom_tls_certificate_selector: "certificates are chosen by name",
                tls_certificate_certificate_provider: NO_PROVIDER,
                tls_certificate_certificate_provider_instance: NO_PROVIDER,
                custom_handshaker: "no handshakers are known",
                key_log: "keys are not written",
            }
        }
        let params = match tls_params {
            Some(message) => Params::from_proto(message, most, &mut at.field("tls_params"))?,
            None => Params::default_up_to(most),
        };
        for (index, protocol) in alpn_protocols.iter().enumerate() {
            if !(1..=255).contains(&protocol.len()) {
                at.index("alpn_protocols", index)
                    .error("Invalid ALPN protocol string: it has 1 to 255 bytes");
            }
        }
        // As in Envoy secrets count for nothing beside certificates that are there.
        let secrets = at.list(
            "tls_certificate_sds_secret_configs",
            tls_certificate_sds_secret_configs,
            SecretRef::from_proto,
        );
        let certificates = if tls_certificates.is_empty() {
            Certificates::Secrets(secrets)
        } else {
            let read = at.list("tls_certificates", tls_certificates, Certificate::from_proto);
            Certificates::Inline(read.into_iter().map(Arc::new).collect())
        };
        let validation = validation(validation_context_type, at);
        Some(CommonTls {
            versions: params.versions,
            cipher_suites: params.cipher_suites,
            curves: params.curves,
            certificates,
            validation,
            alpn_protocols: alpn_protocols.into_iter().map(String::into_bytes).collect(),
        })
    }
}

#[expect(deprecated, reason = "what is deprecated may still be set")]
fn validation(message: Option<ValidationContextType>, at: &mut Scope<'_>) -> Option<ValidationSource> {
    match message? {
        ValidationContextType::ValidationContext(message) => {
            let validation = Validation::from_proto(message, &mut at.field("validation_context"))?;
            return Some(ValidationSource::Inline(Arc::new(validation)));
        }
        ValidationContextType::ValidationContextSdsSecretConfig(message) => {
            let secret =
                SecretRef::from_proto(message, &mut at.field("validation_context_sds_secret_config"))?;
            return Some(ValidationSource::Secret { secret, default: Bytes::new() });
        }
        ValidationContextType::CombinedValidationContext(message) => {
            return combined(message, &mut at.field("combined_validation_context"));
        }
        ValidationContextType::ValidationContextCertificateProvider(_) => {
            at.reject("validation_context_certificate_provider", NO_PROVIDER);
        }
        ValidationContextType::ValidationContextCertificateProviderInstance(_) => {
            at.reject("validation_context_certificate_provider_instance", NO_PROVIDER);
        }
    }
    None
}

/// What is asked for by the context itself is looked at with the secret, which may hold what it lacks; but not what is
/// asked for in vain.
fn combined(
    message: v3::common_tls_context::CombinedCertificateValidationContext,
    at: &mut Scope<'_>,
) -> Option<ValidationSource> {
    use v3::common_tls_context::CombinedCertificateValidationContext;
    open! { at, CombinedCertificateValidationContext = message;
        implemented { default_validation_context, validation_context_sds_secret_config }
        rejected {
            validation_context_certificate_provider: NO_PROVIDER,
            validation_context_certificate_provider_instance: NO_PROVIDER,
        }
    }
    let default = at.required("default_validation_context", default_validation_context)?;
    let secret = at.required("validation_context_sds_secret_config", validation_context_sds_secret_config)?;
    let bytes = default.encode_to_vec().into();
    Validation::from_part(default, &mut at.field("default_validation_context"));
    let secret = SecretRef::from_proto(secret, &mut at.field("validation_context_sds_secret_config"))?;
    Some(ValidationSource::Secret { secret, default: bytes })
}
