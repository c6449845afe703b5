//! Where cryptography comes from: TLS takes its provider, its keys and its tickets here and nowhere else.
//!
//! It is AWS-LC by `aws-lc-rs`. A build that has to use its module validated for FIPS 140-3 turns on the feature `fips`
//! (`cargo build --features fips`), which puts that module behind the same names; what else such a build needs stands in
//! `docs/decisions/tls.md`.

pub use rustls::crypto::aws_lc_rs::sign::any_supported_type;
pub use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, ALL_KX_GROUPS, Ticketer, default_provider};

/// Whether it is the module validated for FIPS 140-3, in the mode that has been.
pub fn is_fips() -> bool {
    aws_lc_rs::try_fips_mode().is_ok()
}
