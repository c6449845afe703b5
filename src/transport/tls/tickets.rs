//! Tickets that are sealed with keys of the configuration, so that any proxy with the same keys opens them.
//!
//! They are made as RFC 5077 §4 recommends and Envoy does: the name of the key, an initialisation vector, what is sealed
//! (AES-256-CBC), and an HMAC-SHA-256 over these. The HMAC covers whom the ticket is for as well, so that what is asked of
//! clients here cannot be passed by with a ticket from elsewhere.

use std::fmt;

use aws_lc_rs::cipher::{
    AES_256, AES_CBC_IV_LEN, DecryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
    UnboundCipherKey,
};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use rustls::server::ProducesTickets;

use crate::config::tls::{TicketKey, TicketKeys};

const NAME: usize = 16;
const TAG: usize = 32;

/// What the tickets of a context are for: sessions of others are not resumed with them.
pub(super) type Audience = [u8; 32];

/// Seals and opens tickets with keys of the configuration.
pub(super) struct Keyed {
    /// The first seals.
    keys: Box<[Key]>,
    audience: Audience,
}

struct Key {
    name: [u8; NAME],
    tag: hmac::Key,
    seal: PaddedBlockEncryptingKey,
    open: PaddedBlockDecryptingKey,
}

impl Keyed {
    /// # Errors
    /// The library does not take the keys.
    pub(super) fn new(keys: &TicketKeys, audience: Audience) -> Result<Self, Unspecified> {
        let keys = keys.0.iter().map(Key::new).collect::<Result<_, _>>()?;
        Ok(Keyed { keys, audience })
    }
}

impl Key {
    fn new(key: &TicketKey) -> Result<Self, Unspecified> {
        let cipher = || UnboundCipherKey::new(&AES_256, &key.cipher);
        Ok(Key {
            name: key.name,
            tag: hmac::Key::new(hmac::HMAC_SHA256, &key.hmac),
            seal: PaddedBlockEncryptingKey::cbc_pkcs7(cipher()?)?,
            open: PaddedBlockDecryptingKey::cbc_pkcs7(cipher()?)?,
        })
    }

    fn seal(&self, plain: &[u8], audience: &Audience) -> Option<Vec<u8>> {
        let mut sealed = plain.to_vec();
        // The library draws a new initialisation vector each time.
        let DecryptionContext::Iv128(iv) = self.seal.encrypt(&mut sealed).ok()? else { return None };
        let mut ticket = [&self.name[..], iv.as_ref(), &sealed].concat();
        let tag = hmac::sign(&self.tag, &[&audience[..], &ticket].concat());
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    fn open(&self, ticket: &[u8], audience: &Audience) -> Option<Vec<u8>> {
        let (ticket, tag) = ticket.split_last_chunk::<TAG>()?;
        hmac::verify(&self.tag, &[&audience[..], ticket].concat(), tag).ok()?;
        let (iv, sealed) = ticket.get(NAME..)?.split_first_chunk::<AES_CBC_IV_LEN>()?;
        let mut sealed = sealed.to_vec();
        let iv = DecryptionContext::Iv128(FixedLength::from(*iv));
        Some(self.open.decrypt(&mut sealed, iv).ok()?.to_vec())
    }
}

impl ProducesTickets for Keyed {
    fn enabled(&self) -> bool {
        true
    }

    /// Who uses this says how long tickets last.
    fn lifetime(&self) -> u32 {
        0
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys.first()?.seal(plain, &self.audience)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let mut named = self.keys.iter().filter(|key| ticket.starts_with(&key.name));
        named.find_map(|key| key.open(ticket, &self.audience))
    }
}

/// Keys are never shown.
impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> TicketKey {
        TicketKey { name: [byte; 16], hmac: [byte + 1; 32], cipher: [byte + 2; 32] }
    }

    fn keyed(keys: &[u8], audience: u8) -> Keyed {
        Keyed::new(&TicketKeys(keys.iter().map(|byte| key(*byte)).collect()), [audience; 32]).expect("keys")
    }

    #[test]
    fn tickets_are_sealed_with_the_first_key_and_opened_with_each() {
        let ticket = keyed(&[1, 2], 0).encrypt(b"session").expect("a ticket");
        assert!(ticket.starts_with(&[1; NAME]));
        assert_eq!(keyed(&[3, 1], 0).decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(keyed(&[2, 3], 0).decrypt(&ticket), None, "the key is gone");
        assert_ne!(keyed(&[1], 0).encrypt(b"session"), Some(ticket), "no two are alike");
    }

    #[test]
    fn tickets_for_others_are_not_opened() {
        let ticket = keyed(&[1], 7).encrypt(b"session").expect("a ticket");
        assert_eq!(keyed(&[1], 8).decrypt(&ticket), None);
    }

    #[test]
    fn a_ticket_with_one_bit_changed_or_bytes_missing_is_not_opened() {
        let keys = keyed(&[1], 0);
        let ticket = keys.encrypt(b"session").expect("a ticket");
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(keys.decrypt(&changed), None, "{at}");
            assert_eq!(keys.decrypt(&ticket[..at]), None, "{at}");
        }
    }

    #[test]
    fn keys_of_one_name_are_told_apart() {
        let ticket = keyed(&[1], 0).encrypt(b"session").expect("a ticket");
        let other = TicketKey { hmac: [9; 32], ..key(1) };
        let both = Keyed::new(&TicketKeys(vec![other, key(1)]), [0; 32]).expect("keys");
        assert_eq!(both.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
    }
}
