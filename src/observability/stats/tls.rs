//! Statistics of TLS: `listener.<address>.ssl.` and `cluster.<name>.ssl.`.

use crate::stats;

stats! {
    /// Handshakes and why they failed.
    pub struct TlsStats {
        counter connection_error;
        counter fail_verify_cert_hash;
        counter fail_verify_error;
        counter fail_verify_no_cert;
        counter fail_verify_san;
        counter handshake;
        counter no_certificate;
        counter ocsp_staple_failed;
        counter ocsp_staple_omitted;
        counter ocsp_staple_requests;
        counter ocsp_staple_responses;
        counter session_reused;
    }
}

stats! {
    /// Contexts and their secrets: `<prefix>.server_ssl_socket_factory.` and `client_ssl_socket_factory.`.
    pub struct TlsSocketFactoryStats {
        counter downstream_context_secrets_not_ready;
        counter ssl_context_update_by_sds;
        counter upstream_context_secrets_not_ready;
    }
}

stats! {
    /// Secrets that handshakes ask for: `listener.<address>.on_demand_secret.`
    pub struct OnDemandSecretStats {
        gauge cert_active;
        counter cert_requested;
        counter cert_updated;
    }
}

stats! {
    /// How often a version, a cipher suite, a curve or a way to sign was agreed on: its name is the last step of the
    /// prefix.
    pub struct TlsNameStats {
        counter times = "";
    }
}

stats! {
    /// A certificate: `<prefix>.ssl.certificate.<name>.`
    pub struct CertificateStats {
        gauge expiration_unix_time_seconds;
    }
}
