//! What certificates say their keys may be used for: the extension `keyUsage` (RFC 5280 §4.2.1.3).

use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Keys of elliptic curves (RFC 5480 §2.1.1).
const ELLIPTIC: &str = "1.2.840.10045.2.1";

/// What a certificate says its key may be used for. One that says nothing may be used for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUses {
    /// `digitalSignature`: to sign handshakes, which all that are spoken here do.
    pub signs: bool,
    /// `keyAgreement`
    pub agrees: bool,
    /// `keyEncipherment`
    pub seals: bool,
    /// `keyCertSign`: to sign certificates.
    pub issues: bool,
}

impl KeyUses {
    /// Of a certificate. What cannot be read allows nothing.
    pub fn of(der: &[u8]) -> Self {
        X509Certificate::from_der(der)
            .map_or(KeyUses::all(false), |(_, certificate)| Self::read(&certificate))
    }

    fn all(allowed: bool) -> Self {
        KeyUses { signs: allowed, agrees: allowed, seals: allowed, issues: allowed }
    }

    fn read(certificate: &X509Certificate<'_>) -> Self {
        match certificate.key_usage() {
            Ok(Some(usage)) => KeyUses {
                signs: usage.value.digital_signature(),
                agrees: usage.value.key_agreement(),
                seals: usage.value.key_encipherment(),
                issues: usage.value.key_cert_sign(),
            },
            Ok(None) => KeyUses::all(true),
            Err(_) => KeyUses::all(false),
        }
    }
}

/// Whether a certificate of our own can be shown: as in BoringSSL a key of a curve has to be one that signs.
pub(super) fn is_of_use(certificate: &X509Certificate<'_>) -> bool {
    let kind = &certificate.public_key().algorithm.algorithm;
    kind.to_id_string() != ELLIPTIC || KeyUses::read(certificate).signs
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn a_key_is_of_the_uses_that_its_certificate_names_or_of_all() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls");
        for (name, expected, own) in [
            ("server", [true; 4], true),
            ("agreeing", [false, true, false, false], false),
            ("sealing", [false, false, true, false], true),
            ("signing", [true, true, false, false], true),
            ("ca", [false, false, false, true], false),
        ] {
            let der =
                CertificateDer::from_pem_file(folder.join(format!("{name}.pem"))).expect("a certificate");
            let KeyUses { signs, agrees, seals, issues } = KeyUses::of(&der);
            assert_eq!([signs, agrees, seals, issues], expected, "{name}");
            let (_, certificate) = X509Certificate::from_der(&der).expect("a certificate");
            assert_eq!(is_of_use(&certificate), own, "{name}");
        }
        assert_eq!(KeyUses::of(b"nothing"), KeyUses::all(false));
    }
}
