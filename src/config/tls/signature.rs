//! Ways to sign: `TlsParameters.signature_algorithms`.

use crate::config::field::Scope;

/// A way to sign by BoringSSL's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignatureScheme(pub &'static str);

/// Those that there are, in the order in which they are preferred.
const SIGNATURE_SCHEMES: [SignatureScheme; 10] = [
    SignatureScheme("ecdsa_secp256r1_sha256"),
    SignatureScheme("rsa_pss_rsae_sha256"),
    SignatureScheme("rsa_pkcs1_sha256"),
    SignatureScheme("ecdsa_secp384r1_sha384"),
    SignatureScheme("rsa_pss_rsae_sha384"),
    SignatureScheme("rsa_pkcs1_sha384"),
    SignatureScheme("rsa_pss_rsae_sha512"),
    SignatureScheme("rsa_pkcs1_sha512"),
    SignatureScheme("ecdsa_secp521r1_sha512"),
    SignatureScheme("ed25519"),
];

/// Other names of them, as BoringSSL has them.
const ALIASES: [(&str, &str); 12] = [
    ("ECDSA+SHA256", "ecdsa_secp256r1_sha256"),
    ("ECDSA+SHA384", "ecdsa_secp384r1_sha384"),
    ("ECDSA+SHA512", "ecdsa_secp521r1_sha512"),
    ("RSA+SHA256", "rsa_pkcs1_sha256"),
    ("RSA+SHA384", "rsa_pkcs1_sha384"),
    ("RSA+SHA512", "rsa_pkcs1_sha512"),
    ("PSS+SHA256", "rsa_pss_rsae_sha256"),
    ("PSS+SHA384", "rsa_pss_rsae_sha384"),
    ("PSS+SHA512", "rsa_pss_rsae_sha512"),
    ("RSA-PSS+SHA256", "rsa_pss_rsae_sha256"),
    ("RSA-PSS+SHA384", "rsa_pss_rsae_sha384"),
    ("RSA-PSS+SHA512", "rsa_pss_rsae_sha512"),
];

/// Those with SHA-1 and MD5, which Envoy has beside these and nobody should sign with any longer.
const BROKEN: [&str; 5] = ["rsa_pkcs1_sha1", "ecdsa_sha1", "rsa_pkcs1_md5_sha1", "RSA+SHA1", "ECDSA+SHA1"];

/// The ways of these names; several may stand in one with colons between them. Empty where none is given.
pub(super) fn schemes(names: Vec<String>, at: &mut Scope<'_>) -> Vec<SignatureScheme> {
    let mut schemes = Vec::new();
    let mut is_any_broken = false;
    for (index, group) in names.iter().enumerate() {
        for name in group.split(':').filter(|name| !name.is_empty()) {
            let mut at = at.index("signature_algorithms", index);
            match scheme(name) {
                Some(scheme) if schemes.contains(&scheme) => {
                    at.error(format!(
                        "Failed to initialize TLS signature algorithms: {name} stands there twice"
                    ));
                }
                Some(scheme) => schemes.push(scheme),
                None if BROKEN.contains(&name) => {
                    is_any_broken = true;
                    at.note(format!("{name} is not spoken: SHA-1 and MD5 are broken"));
                }
                None => {
                    let known = SIGNATURE_SCHEMES.map(|scheme| scheme.0).join(", ");
                    at.error(format!("Failed to initialize TLS signature algorithms {name}; known: {known}"));
                }
            }
        }
    }
    if schemes.is_empty() && is_any_broken {
        at.field("signature_algorithms").unsupported("none of these is spoken");
    }
    schemes
}

fn scheme(name: &str) -> Option<SignatureScheme> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
    SIGNATURE_SCHEMES.into_iter().find(|scheme| scheme.0 == name)
}
