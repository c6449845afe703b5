//! Versions, cipher suites and curves: `TlsParameters`.

use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3;
use v3::tls_parameters::{CompliancePolicy, TlsProtocol};

use super::signature::{self, SignatureScheme};
use crate::config::field::{Scope, open};

/// A version of TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// 1.2 (RFC 5246)
    V1_2,
    /// 1.3 (RFC 8446)
    V1_3,
}

/// The versions from one to another, both included. There may be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The oldest.
    pub least: Version,
    /// The newest.
    pub most: Version,
}

/// A cipher suite of TLS 1.2 by BoringSSL's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CipherSuite(pub &'static str);

/// A group for the exchange of keys by BoringSSL's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Curve(pub &'static str);

/// The cipher suites that there are, in the order in which Envoy prefers them.
pub const CIPHER_SUITES: [CipherSuite; 6] = [
    CipherSuite("ECDHE-ECDSA-AES128-GCM-SHA256"),
    CipherSuite("ECDHE-ECDSA-CHACHA20-POLY1305"),
    CipherSuite("ECDHE-RSA-AES128-GCM-SHA256"),
    CipherSuite("ECDHE-RSA-CHACHA20-POLY1305"),
    CipherSuite("ECDHE-ECDSA-AES256-GCM-SHA384"),
    CipherSuite("ECDHE-RSA-AES256-GCM-SHA384"),
];

/// The curves that there are.
pub const CURVES: [Curve; 4] = [Curve("X25519"), Curve("P-256"), Curve("P-384"), Curve("X25519MLKEM768")];

/// Other names of them, as BoringSSL has them.
const CURVE_ALIASES: [(&str, Curve); 3] =
    [("x25519", Curve("X25519")), ("prime256v1", Curve("P-256")), ("secp384r1", Curve("P-384"))];

/// Curves that Envoy has beside these.
const OTHER_CURVES: [&str; 3] = ["P-521", "secp521r1", "MLKEM1024"];

/// What is spoken where nothing else is configured: Envoy's.
const DEFAULT_CURVES: [Curve; 3] = [Curve("X25519MLKEM768"), Curve("X25519"), Curve("P-256")];

/// How the protocol is spoken.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// Versions that are spoken.
    pub versions: Versions,
    /// Cipher suites of TLS 1.2 in the order of preference; those of TLS 1.3 are all spoken.
    pub cipher_suites: Vec<CipherSuite>,
    /// Groups for the exchange of keys in the order of preference.
    pub curves: Vec<Curve>,
    /// Ways to sign, for both ends, in the order of preference; empty for all that there are.
    pub signature_schemes: Vec<SignatureScheme>,
    /// Whether AES is the only cipher of TLS 1.3.
    pub only_aes: bool,
}

impl Params {
    /// What holds where nothing is configured. Clients of the API's messages speak 1.2 unless they are told otherwise.
    pub(super) fn default_up_to(most: Version) -> Self {
        Params {
            versions: Versions { least: Version::V1_2, most },
            cipher_suites: CIPHER_SUITES.to_vec(),
            curves: DEFAULT_CURVES.to_vec(),
            signature_schemes: Vec::new(),
            only_aes: false,
        }
    }
}

/// What a message says of how the protocol is spoken; `None` where it says nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Overrides {
    least: Option<Version>,
    most: Option<Version>,
    cipher_suites: Option<Vec<CipherSuite>>,
    curves: Option<Vec<Curve>>,
    signature_schemes: Option<Vec<SignatureScheme>>,
    /// Whether a policy replaces most of that.
    fips_202205: bool,
}

impl Overrides {
    /// From the message.
    pub(super) fn from_proto(message: v3::TlsParameters, at: &mut Scope<'_>) -> Self {
        open! { at, v3::TlsParameters = message;
            implemented {
                tls_minimum_protocol_version, tls_maximum_protocol_version, cipher_suites, ecdh_curves,
                signature_algorithms, compliance_policies,
            }
        }
        let least = at.enumeration("tls_minimum_protocol_version", tls_minimum_protocol_version);
        let most = at.enumeration("tls_maximum_protocol_version", tls_maximum_protocol_version);
        if matches!(least, TlsProtocol::TlSv10 | TlsProtocol::TlSv11) {
            at.field("tls_minimum_protocol_version").note("TLS 1.2 is the oldest version that is spoken");
        }
        if matches!(most, TlsProtocol::TlSv10 | TlsProtocol::TlSv11) {
            at.field("tls_maximum_protocol_version")
                .unsupported("TLS 1.0 and 1.1 are not spoken; known: TLSv1_2, TLSv1_3");
        }
        let known = |protocol| match protocol {
            TlsProtocol::TlsAuto => None,
            TlsProtocol::TlSv13 => Some(Version::V1_3),
            TlsProtocol::TlSv10 | TlsProtocol::TlSv11 | TlsProtocol::TlSv12 => Some(Version::V1_2),
        };
        let schemes = signature::schemes(signature_algorithms, at);
        Overrides {
            least: known(least),
            most: known(most),
            cipher_suites: suites(cipher_suites, at),
            curves: curves(ecdh_curves, at),
            signature_schemes: Some(schemes).filter(|schemes| !schemes.is_empty()),
            fips_202205: policy(&compliance_policies, at),
        }
    }

    /// What holds where the message stands over these.
    pub fn over(&self, context: &Params) -> Params {
        let params = Params {
            versions: Versions {
                least: self.least.unwrap_or(context.versions.least),
                most: self.most.unwrap_or(context.versions.most),
            },
            cipher_suites: self.cipher_suites.as_ref().unwrap_or(&context.cipher_suites).clone(),
            curves: self.curves.as_ref().unwrap_or(&context.curves).clone(),
            signature_schemes: self.signature_schemes.as_ref().unwrap_or(&context.signature_schemes).clone(),
            only_aes: context.only_aes,
        };
        if self.fips_202205 { params.fips_202205() } else { params }
    }

    /// The same of a certificate.
    ///
    /// # Errors
    /// No version is left.
    pub fn of_certificate(&self, context: &Params) -> Result<Params, &'static str> {
        let params = self.over(context);
        match params.versions.least <= params.versions.most {
            true => Ok(params),
            false => Err("Per-certificate tls_params: effective min protocol version exceeds effective max \
                          (considering inherited context bounds)"),
        }
    }
}

/// Whether the one policy that is known is to be complied with; there is one policy at most.
fn policy(policies: &[i32], at: &mut Scope<'_>) -> bool {
    let Some(policy) = policies.first() else { return false };
    let mut at = at.index("compliance_policies", 0);
    match CompliancePolicy::try_from(*policy) {
        Ok(CompliancePolicy::Fips202205) => return true,
        Ok(policy) => at.unsupported(format!("{} is not known; known: FIPS_202205", policy.as_str_name())),
        Err(_) => at.violation("value must be one of the defined enum values"),
    }
    false
}

impl Params {
    /// What the policy of May 2022 demands (NIST SP 800-52r2), in place of what was configured, but for older versions.
    fn fips_202205(self) -> Self {
        const SUITES: [&str; 4] = [
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-RSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-RSA-AES256-GCM-SHA384",
        ];
        const SCHEMES: [&str; 8] = [
            "rsa_pss_rsae_sha256",
            "rsa_pkcs1_sha256",
            "ecdsa_secp256r1_sha256",
            "rsa_pss_rsae_sha384",
            "rsa_pkcs1_sha384",
            "ecdsa_secp384r1_sha384",
            "rsa_pss_rsae_sha512",
            "rsa_pkcs1_sha512",
        ];
        Params {
            versions: self.versions,
            cipher_suites: SUITES.map(CipherSuite).to_vec(),
            curves: vec![Curve("P-256"), Curve("P-384")],
            signature_schemes: SCHEMES.map(SignatureScheme).to_vec(),
            only_aes: true,
        }
    }
}

/// The cipher suites of these names, of which several may stand in brackets with bars between them.
fn suites(names: Vec<String>, at: &mut Scope<'_>) -> Option<Vec<CipherSuite>> {
    if names.is_empty() {
        return None;
    }
    let mut suites = Vec::new();
    for (index, group) in names.iter().enumerate() {
        let inner = group.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(group);
        for name in inner.split('|') {
            match CIPHER_SUITES.iter().find(|suite| suite.0 == name) {
                Some(suite) => suites.push(*suite),
                None => {
                    let known = CIPHER_SUITES.map(|suite| suite.0).join(", ");
                    at.index("cipher_suites", index)
                        .unsupported(format!("Failed to initialize cipher suites {name}; known: {known}"));
                }
            }
        }
    }
    Some(suites)
}

fn curves(names: Vec<String>, at: &mut Scope<'_>) -> Option<Vec<Curve>> {
    if names.is_empty() {
        return None;
    }
    let mut curves = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if let Some(curve) = curve(name) {
            curves.push(curve);
            continue;
        }
        let known = CURVES.map(|curve| curve.0).join(", ");
        let message = format!("Failed to initialize ECDH curves {name}; known: {known}");
        let mut at = at.index("ecdh_curves", index);
        match OTHER_CURVES.contains(&name.as_str()) {
            true => at.unsupported(message),
            false => at.error(message),
        }
    }
    Some(curves)
}

fn curve(name: &str) -> Option<Curve> {
    let alias = CURVE_ALIASES.iter().find(|(alias, _)| *alias == name);
    alias.map(|(_, curve)| *curve).or_else(|| CURVES.into_iter().find(|curve| curve.0 == name))
}
