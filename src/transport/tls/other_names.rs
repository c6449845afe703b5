//! Names in certificates that are of no kind of their own: `otherName` (RFC 5280 §4.2.1.6).

use x509_parser::asn1_rs::{Any, BmpString, Class, FromDer as _, Oid, Tag, UniversalString};
use x509_parser::prelude::{GeneralName, ParsedExtension, X509Certificate};

/// The values of the names of this kind in a certificate, as Envoy writes them.
pub(super) fn values(der: &[u8], oid: &str) -> Vec<Vec<u8>> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Vec::new() };
    let names = certificate.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    let of_kind = |name: &GeneralName<'_>| match name {
        GeneralName::OtherName(kind, value) if kind.to_id_string() == oid => text(value),
        _ => None,
    };
    names.flatten().filter_map(of_kind).collect()
}

/// A value in its explicit tag, as Envoy writes it; `None` where it is of a kind that is not written.
pub(super) fn text(tagged: &[u8]) -> Option<Vec<u8>> {
    let (_, outer) = Any::from_der(tagged).ok()?;
    if outer.header.class() != Class::ContextSpecific {
        return None;
    }
    let (_, value) = Any::from_der(outer.data).ok()?;
    match value.header.tag() {
        Tag::Boolean => Some(if value.data == [0] { b"false".to_vec() } else { b"true".to_vec() }),
        Tag::Integer | Tag::Enumerated => number(value.data).map(|number| number.to_string().into_bytes()),
        Tag::Oid => Some(Oid::new(value.data.into()).to_id_string().into_bytes()),
        Tag::BmpString => BmpString::from_der(outer.data).ok().map(|(_, text)| text.string().into_bytes()),
        Tag::UniversalString => {
            UniversalString::from_der(outer.data).ok().map(|(_, text)| text.string().into_bytes())
        }
        Tag::Utf8String
        | Tag::Ia5String
        | Tag::PrintableString
        | Tag::NumericString
        | Tag::VisibleString
        | Tag::GeneralString
        | Tag::T61String
        | Tag::OctetString => Some(value.data.to_vec()),
        _ => None,
    }
}

/// A whole number of up to sixteen bytes.
fn number(bytes: &[u8]) -> Option<i128> {
    let first = *bytes.first().filter(|_| bytes.len() <= 16)?;
    let sign = if first & 0x80 == 0 { 0 } else { -1 };
    Some(bytes.iter().fold(sign, |number, byte| (number << 8) | i128::from(*byte)))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn names_are_found_by_their_kind() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls");
        let der = CertificateDer::from_pem_file(folder.join("principal.pem")).expect("a certificate");
        assert_eq!(values(&der, "1.3.6.1.4.1.311.20.2.3"), [b"user@corp.example"]);
        assert_eq!(values(&der, "1.2.3.4"), [b"plain"]);
        assert!(values(&der, "1.2.3").is_empty() && values(b"nothing", "1.2.3.4").is_empty());
    }

    #[test]
    fn values_are_written_as_envoy_writes_them() {
        for (value, expected) in [
            (&[0xa0, 3, 1, 1, 0xff][..], Some("true")),
            (&[0xa0, 3, 2, 1, 0xff], Some("-1")),
            (&[0xa0, 4, 2, 2, 1, 0], Some("256")),
            (&[0xa0, 5, 6, 3, 0x2a, 3, 4], Some("1.2.3.4")),
            (&[0xa0, 6, 30, 4, 0, b'a', 0, 0xe4], Some("a\u{e4}")),
            (&[0xa0, 2, 5, 0], None),
            (&[12, 1, b'a'], None),
            (&[], None),
        ] {
            assert_eq!(text(value), expected.map(|text| text.as_bytes().to_vec()), "{value:?}");
        }
    }
}
