//! `DownstreamTlsContext`, `UpstreamTlsContext` and what they have in common.

use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3;
use prost::Message as _;
use rustls::pki_types::DnsName;
use v3::common_tls_context::ValidationContextType;

use super::{
    Certificate, Certificates, CommonTls, DownstreamTls, KeyLog, OnDemandSecrets, Overrides, Params, Purpose,
    SecretRef, StaplePolicy, Tickets, UpstreamTls, Validation, ValidationSource, Version, tickets,
};
use crate::config::field::{Scope, open};

/// Why certificates are not asked of a provider.
const NO_PROVIDER: &str =
    "Envoy passes it over: give what is asked of it in tls_certificates or validation_context";

/// Why sessions are not resumed that began with a certificate that was asked for: Envoy's words.
const NOT_RESUMED: &str = "On demand certificates are not integrated with session resumption support.";

/// Why certificates for hosts are not asked for.
const DOWNSTREAM_ALONE: &str =
    "certificates are asked for towards clients alone: give tls_certificate_sds_secret_configs";

impl DownstreamTls {
    /// From its proto.
    pub(in crate::config) fn from_proto(
        message: v3::DownstreamTlsContext,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, v3::DownstreamTlsContext = message;
            implemented {
                common_tls_context, require_client_certificate, disable_stateful_session_resumption,
                prefer_client_ciphers, session_ticket_keys_type, session_timeout, ocsp_staple_policy,
                full_scan_certs_on_sni_mismatch,
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
        let staple_policy = at.enumeration("ocsp_staple_policy", ocsp_staple_policy);
        let staple_policy = StaplePolicy::from_proto(staple_policy);
        if let Certificates::Inline(certificates) = &common.certificates {
            for (index, certificate) in certificates.iter().enumerate() {
                let mut refuse =
                    |why| at.field("common_tls_context").index("tls_certificates", index).error(why);
                if let Err(why) = certificate.staple(staple_policy) {
                    refuse(why);
                }
                if let Err(why) = certificate.params(&common.params) {
                    refuse(why.to_owned());
                }
            }
        }
        let tickets = Tickets::from_proto(session_ticket_keys_type, at)?;
        let is_resumed = tickets != Tickets::Disabled || !disable_stateful_session_resumption;
        if common.on_demand.is_some() && is_resumed {
            let mut at = at.field("common_tls_context");
            at.field("custom_tls_certificate_selector").error(NOT_RESUMED);
        }
        Some(DownstreamTls {
            common,
            require_client_certificate: require_client_certificate.is_some_and(|required| required.value),
            tickets,
            stateful_resumption: !disable_stateful_session_resumption,
            session_timeout: tickets::session_timeout(session_timeout, at),
            staple_policy,
            full_scan: full_scan_certs_on_sni_mismatch.is_some_and(|full| full.value),
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
                allow_renegotiation: "a connection of TLS 1.2 is never negotiated anew, and TLS 1.3 knows of no such thing",
            }
            ignored {
                enforce_rsa_key_usage: "what certificates say of the use of their keys always counts, as in Envoy",
            }
        }
        let context = common_tls_context.unwrap_or_default();
        if context.custom_tls_certificate_selector.is_some() {
            at.field("common_tls_context").reject("custom_tls_certificate_selector", DOWNSTREAM_ALONE);
        }
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
                validation_context_type, key_log, custom_tls_certificate_selector,
            }
            rejected {
                tls_certificate_provider_instance: NO_PROVIDER,
                tls_certificate_certificate_provider: NO_PROVIDER,
                tls_certificate_certificate_provider_instance: NO_PROVIDER,
                custom_handshaker: "no handshakers are known, to Envoy's release either",
            }
        }
        let default = Params::default_up_to(most);
        let params = match tls_params {
            Some(message) => Overrides::from_proto(message, &mut at.field("tls_params")).over(&default),
            None => default,
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
            |secret, at| SecretRef::from_proto(secret, Purpose::Certificate, at),
        );
        let certificates = if tls_certificates.is_empty() {
            Certificates::Secrets(secrets)
        } else {
            let read = at.list("tls_certificates", tls_certificates, Certificate::from_proto);
            Certificates::Inline(read.into_iter().map(Arc::new).collect())
        };
        let validation = validation(validation_context_type, at);
        let key_log = at.message("key_log", key_log, KeyLog::from_proto);
        let on_demand = at.message(
            "custom_tls_certificate_selector",
            custom_tls_certificate_selector,
            OnDemandSecrets::from_proto,
        );
        Some(CommonTls {
            params,
            certificates,
            on_demand: on_demand.map(Arc::new),
            validation,
            alpn_protocols: alpn_protocols.into_iter().map(String::into_bytes).collect(),
            key_log,
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
            let mut at = at.field("validation_context_sds_secret_config");
            let secret = SecretRef::from_proto(message, Purpose::Validation, &mut at)?;
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
    let mut at = at.field("validation_context_sds_secret_config");
    let secret = SecretRef::from_proto(secret, Purpose::Validation, &mut at)?;
    Some(ValidationSource::Secret { secret, default: bytes })
}
