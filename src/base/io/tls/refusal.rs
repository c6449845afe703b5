//! An alert that ends a session because somebody above refuses the peer.
//!
//! The library sends the alerts that the protocol calls for, and has no way to send another. It gives the keys of a
//! session away with the session, though, and makes what seals records with them: so the last record is made here.

use rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::{Connection, ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite};

/// The level of an alert after which nothing follows (RFC 8446 §6).
const FATAL: u8 = 2;

/// The record of a fatal alert, the last of its session; `None` where something else is still to be sent before it, or the
/// session does not give its keys away.
pub(super) fn record(session: Connection, alert: u8) -> Option<Vec<u8>> {
    let suite = session.negotiated_cipher_suite()?;
    let (number, secrets) = session.dangerous_extract_secrets().ok()?.tx;
    let message = OutboundPlainMessage {
        typ: ContentType::Alert,
        // That of records, of TLS 1.3 as well.
        version: ProtocolVersion::TLSv1_2,
        payload: OutboundChunks::Single(&[FATAL, alert]),
    };
    let sealed = sealing(suite, secrets)?.encrypt(message, number).ok()?;
    Some(sealed.encode())
}

fn sealing(
    suite: SupportedCipherSuite,
    secrets: ConnectionTrafficSecrets,
) -> Option<Box<dyn MessageEncrypter>> {
    use ConnectionTrafficSecrets::{Aes128Gcm, Aes256Gcm, Chacha20Poly1305};
    let (Aes128Gcm { key, iv } | Aes256Gcm { key, iv } | Chacha20Poly1305 { key, iv }) = secrets else {
        return None;
    };
    match suite {
        SupportedCipherSuite::Tls13(suite) => Some(suite.aead_alg.encrypter(key, iv)),
        SupportedCipherSuite::Tls12(suite) => {
            // What of it is told in each record stands behind what is not.
            let fixed = suite.aead_alg.key_block_shape().fixed_iv_len;
            let (fixed, told) = iv.as_ref().split_at_checked(fixed)?;
            Some(suite.aead_alg.encrypter(key, fixed, told))
        }
    }
}
