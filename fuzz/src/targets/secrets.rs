//! What secrets hold: certificates, keys, answers of OCSP, PKCS #12, keys of tickets, authorities, lists and bundles.

use std::io;
use std::path::PathBuf;

use dragoman::config::extension::Extensions;
use dragoman::config::tls::{Secret, SecretContent, StaplePolicy, Validation};
use dragoman_proto::encode::{Options, encode};
use dragoman_proto::tree::parse_yaml;

use super::Target;
use crate::corpus::repository;

const EXTENSIONS: Extensions = Extensions::BUILT_IN;

/// Bytes in the place of a secret that the first byte chooses.
pub(super) const SECRETS: Target = Target {
    name: "secrets",
    run: |data| {
        let Some((kind, bytes)) = data.split_first() else { return };
        let place = &PLACES[usize::from(*kind) % PLACES.len()];
        read(&place.secret(bytes));
    },
    seeds: || {
        let seed = |(kind, place): (usize, &Place)| {
            let kind = u8::try_from(kind).unwrap_or_default();
            Ok([vec![kind], std::fs::read(folder().join(place.seed))?].concat())
        };
        PLACES.iter().enumerate().map(seed).collect::<io::Result<_>>()
    },
    dictionary: &[
        b"-----BEGIN CERTIFICATE-----",
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----",
        b"-----BEGIN X509 CRL-----",
        b"\x30\x82",
        b"\x02\x01\x05",
        b"\x18\x0f20200101000000Z",
    ],
};

/// Where bytes stand in a secret.
struct Place {
    /// The secret as YAML, `BYTES` for them in base64; `{}` for the folder of what else it needs.
    secret: &'static str,
    /// What they are at first: a file of `testdata/tls`.
    seed: &'static str,
}

const PLACES: [Place; 8] = [
    Place {
        secret: "tls_certificate: {certificate_chain: {inline_bytes: BYTES}, private_key: {filename: '{}/server.key'}}",
        seed: "server.pem",
    },
    Place {
        secret: "tls_certificate: {certificate_chain: {filename: '{}/server.pem'}, private_key: {inline_bytes: BYTES}}",
        seed: "server.key",
    },
    Place {
        secret: "tls_certificate: {certificate_chain: {filename: '{}/server.pem'}, private_key: {inline_bytes: BYTES}, \
                 password: {inline_string: hush}}",
        seed: "server-sealed.key",
    },
    Place {
        secret: "tls_certificate: {certificate_chain: {filename: '{}/server.pem'}, private_key: {filename: \
                 '{}/server.key'}, ocsp_staple: {inline_bytes: BYTES}}",
        seed: "server.ocsp",
    },
    Place {
        secret: "tls_certificate: {pkcs12: {inline_bytes: BYTES}, password: {inline_string: hush}}",
        seed: "client.p12",
    },
    Place { secret: "session_ticket_keys: {keys: [{inline_bytes: BYTES}]}", seed: "server.ocsp" },
    Place { secret: "validation_context: {trusted_ca: {inline_bytes: BYTES}}", seed: "ca.pem" },
    Place {
        secret: "validation_context: {trusted_ca: {filename: '{}/ca.pem'}, crl: {inline_bytes: BYTES}}",
        seed: "revoked.crl.pem",
    },
];

impl Place {
    /// The secret in wire form.
    fn secret(&self, bytes: &[u8]) -> Vec<u8> {
        let folder = folder().display().to_string();
        let text = self.secret.replace("{}", &folder).replace("BYTES", &base64(bytes));
        let document = parse_yaml(&format!("{{name: fuzzed, {text}}}")).expect("YAML");
        encode(&document.root, Secret::MESSAGE, &Options::default()).expect("a secret").bytes
    }
}

/// Whatever the bytes are, a secret is refused, or what is in it can be used.
fn read(bytes: &[u8]) {
    let Ok((secret, _)) = Secret::parse(bytes, &EXTENSIONS) else { return };
    match &secret.content {
        SecretContent::Certificate(certificate) => {
            certificate.certified().expect("a key that was found good");
            for policy in [StaplePolicy::Lenient, StaplePolicy::Must] {
                // It may be about another certificate.
                certificate.staple(policy).ok();
            }
        }
        SecretContent::Validation(context) => {
            // It may hold no authority.
            Validation::merged(&[], context).ok();
        }
        SecretContent::TicketKeys(keys) => assert!(!keys.0.is_empty()),
        SecretContent::Generic(_) => {}
    }
}

fn folder() -> PathBuf {
    repository().join("testdata/tls")
}

/// Bytes as JSON holds them.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let number = group.iter().fold(0_u32, |number, byte| (number << 8) | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            match place <= group.len() {
                true => text.push(char::from(LETTERS[(number >> (18 - 6 * place)) as usize & 63])),
                false => text.push('='),
            }
        }
    }
    text
}
