//! Private keys as they stand in files: open, or behind a password.

use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What begins a key behind a password (RFC 7468 §11).
const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// What says the same in the form that OpenSSL had before.
const OLDER: &str = "Proc-Type: 4,ENCRYPTED";

/// Rounds in which a key may be derived from a password, so that nobody waits long for what a control plane sends.
const MAX_ROUNDS: u32 = 1_000_000;

/// Reads a key.
///
/// # Errors
/// Why it cannot be read, as BoringSSL tells it.
pub(super) fn read(pem: &[u8], password: &[u8]) -> Result<PrivateKeyDer<'static>, &'static str> {
    let text = std::str::from_utf8(pem).unwrap_or_default();
    if let Some(start) = text.find(ENCRYPTED) {
        return decrypted(&text[start..], password);
    }
    if text.contains(OLDER) {
        return Err(
            "keys behind a password are read in the form of PKCS #8 (openssl pkcs8 -topk8), not in that before it",
        );
    }
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| "error:0900006e:PEM routines:OPENSSL_internal:NO_START_LINE")
}

fn decrypted(text: &str, password: &[u8]) -> Result<PrivateKeyDer<'static>, &'static str> {
    const BAD_PASSWORD: &str = "error:09000068:PEM routines:OPENSSL_internal:BAD_PASSWORD_READ";
    const BAD_DECRYPT: &str = "error:1e000065:Cipher functions:OPENSSL_internal:BAD_DECRYPT";
    const BAD_KEY: &str = "error:0900006e:PEM routines:OPENSSL_internal:BAD_BASE64_DECODE";
    if password.is_empty() {
        return Err(BAD_PASSWORD);
    }
    let (_, document) = SecretDocument::from_pem(first(text)).map_err(|_| BAD_KEY)?;
    let sealed = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| BAD_KEY)?;
    let EncryptionScheme::Pbes2(parameters) = &sealed.encryption_algorithm else {
        return Err(
            "keys behind a password have to be sealed with PBES2 (openssl pkcs8 -topk8 -v2 aes-256-cbc)",
        );
    };
    match &parameters.kdf {
        Kdf::Pbkdf2(kdf) if kdf.iteration_count <= MAX_ROUNDS => {}
        Kdf::Pbkdf2(_) => return Err("the key is derived in more than 1000000 rounds"),
        _ => {
            return Err("error:13000080:PKCS8 routines:OPENSSL_internal:UNSUPPORTED_KEY_DERIVATION_FUNCTION");
        }
    }
    let key = sealed.decrypt(password).map_err(|_| BAD_DECRYPT)?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

/// The first block of a text.
fn first(text: &str) -> &str {
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    text.find(END).and_then(|end| text.get(..end + END.len())).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, password: &str) -> Result<PrivateKeyDer<'static>, &'static str> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls");
        read(&std::fs::read(folder.join(name)).expect("a file"), password.as_bytes())
    }

    #[test]
    fn a_key_is_the_same_behind_its_password() {
        let open = key("server.key", "").expect("a key");
        assert_eq!(key("server-sealed.key", "hush").as_ref(), Ok(&open));
        assert_eq!(key("server.key", "needless").as_ref(), Ok(&open));
    }

    #[test]
    fn a_key_stays_closed_without_its_password_or_in_other_forms() {
        for (name, password, why) in [
            ("server-sealed.key", "", "BAD_PASSWORD_READ"),
            ("server-sealed.key", "wrong", "BAD_DECRYPT"),
            ("server-scrypt.key", "hush", "UNSUPPORTED_KEY_DERIVATION_FUNCTION"),
            ("server-older.key", "hush", "PKCS #8"),
            ("server.pem", "", "NO_START_LINE"),
        ] {
            let told = key(name, password).expect_err("no key");
            assert!(told.contains(why), "{name} {password}: {told}");
        }
    }
}
