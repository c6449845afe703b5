//! How sessions of clients are resumed: with tickets that clients keep, or those of TLS 1.2 also from what the proxy keeps.
//!
//! Each carries when it was made and when its client was last authenticated, so that it ends when Envoy's would:
//! sessions of TLS 1.2 after `session_timeout`, those of TLS 1.3 after days, and no renewal makes them last.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest::{Context, SHA256};
use rustls::pki_types::UnixTime;
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions,
};

use crate::base::crypto::Ticketer;
use crate::config::tls::{DownstreamTls, TicketKeys, Tickets, Validation};
use crate::observability::stream_info::CertificateInfo;

use super::tickets::{Audience, Keyed};

/// Sessions that the proxy keeps for clients to resume.
const KEPT_SESSIONS: usize = 1024;

const HOUR: u64 = 60 * 60;

/// How long sessions of TLS 1.2 last where nothing else is configured: BoringSSL's.
const DEFAULT_TIMEOUT: u64 = 2 * HOUR;

/// Bytes of the two moments before a session.
const STAMP: usize = 16;

/// How long sessions can be resumed, in seconds.
#[derive(Clone, Copy, Debug)]
struct Lifetimes {
    /// After the ticket was made.
    ticket: u64,
    /// After the client was authenticated.
    authentication: u64,
}

/// Those of TLS 1.3, which `session_timeout` does not change: BoringSSL's.
const TLS13: Lifetimes = Lifetimes { ticket: 48 * HOUR, authentication: 7 * 24 * HOUR };

/// What a context resumes sessions with.
#[derive(Debug)]
pub(super) struct Resumption {
    tickets: Option<Arc<dyn ProducesTickets>>,
    sessions: Arc<dyn StoresServerSessions>,
    tls12: Lifetimes,
}

impl Resumption {
    /// With these `keys` where the context has them from elsewhere than itself.
    ///
    /// # Errors
    /// The library has no random numbers, or does not take the keys.
    pub(super) fn new(
        config: &DownstreamTls,
        keys: Option<&TicketKeys>,
        audience: Audience,
    ) -> Result<Self, rustls::Error> {
        let refused = |_| rustls::Error::General("keys of tickets cannot be used".to_owned());
        let keyed =
            |keys| Keyed::new(keys, audience).map(|keyed| Arc::new(keyed) as Arc<dyn ProducesTickets>);
        let tickets = match (&config.tickets, keys) {
            (Tickets::Disabled, _) => None,
            (_, Some(keys)) => Some(keyed(keys).map_err(refused)?),
            (_, None) => Some(Ticketer::new()?),
        };
        let timeout = config.session_timeout.map_or(DEFAULT_TIMEOUT, |timeout| timeout.as_secs());
        let tls12 = Lifetimes { ticket: timeout, authentication: timeout };
        let sessions: Arc<dyn StoresServerSessions> = match config.stateful_resumption {
            true => Arc::new(Kept { sessions: OnceLock::new(), lifetimes: tls12 }),
            false => Arc::new(NoServerSessionStorage {}),
        };
        Ok(Resumption { tickets, sessions, tls12 })
    }

    /// Tells the library of it for one handshake, in which TLS 1.3 is agreed on or not.
    pub(super) fn apply(&self, config: &mut rustls::ServerConfig, is_tls13: bool) {
        config.session_storage = Arc::clone(&self.sessions);
        match &self.tickets {
            Some(tickets) => {
                let lifetimes = if is_tls13 { TLS13 } else { self.tls12 };
                let tickets = Arc::clone(tickets);
                config.ticketer = Arc::new(Stamped { tickets, lifetimes, authenticated: AtomicU64::new(0) });
            }
            // As in BoringSSL sessions of TLS 1.3 are resumed with tickets that clients keep, or not at all.
            None => config.send_tls13_tickets = 0,
        }
    }
}

/// What a context is to its clients: whom it shows itself as, and what it asks of them. As in Envoy certificates that are
/// renewed are the same as before, so their tickets stay good.
pub(super) fn audience<'c>(
    config: &DownstreamTls,
    own: impl Iterator<Item = &'c CertificateInfo>,
    validation: Option<&Validation>,
) -> Audience {
    let mut digest = Context::new(&SHA256);
    let mut add = |part: &[u8]| {
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part);
    };
    for info in own {
        add(b"certificate");
        [&info.subject, &info.issuer].into_iter().for_each(|name| add(name.as_bytes()));
        info.dns_names.iter().chain(&info.uris).for_each(|name| add(name.as_bytes()));
        info.ip_addresses.iter().for_each(|address| add(address.to_string().as_bytes()));
    }
    add(&[u8::from(config.require_client_certificate)]);
    if let Some(validation) = validation {
        validation.identity(&mut add);
    }
    let mut audience = [0; 32];
    audience.copy_from_slice(digest.finish().as_ref());
    audience
}

/// The tickets of one handshake.
#[derive(Debug)]
struct Stamped {
    tickets: Arc<dyn ProducesTickets>,
    lifetimes: Lifetimes,
    /// When the client of the session that is resumed was authenticated, in seconds; 0 where none is.
    authenticated: AtomicU64,
}

impl ProducesTickets for Stamped {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(self.lifetimes.ticket).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        let now = now();
        let authenticated = match self.authenticated.load(Ordering::Relaxed) {
            0 => now,
            authenticated => authenticated,
        };
        self.tickets.encrypt(&stamp(authenticated, now, session))
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (authenticated, session) = self.lifetimes.check(&self.tickets.decrypt(ticket)?, now())?;
        self.authenticated.store(authenticated, Ordering::Relaxed);
        Some(session)
    }
}

/// Sessions that the proxy keeps.
#[derive(Debug)]
struct Kept {
    /// Made for the first session: the library takes the memory for all of them at once, and clients that speak TLS 1.3 or
    /// keep tickets need none of it.
    sessions: OnceLock<Arc<ServerSessionMemoryCache>>,
    lifetimes: Lifetimes,
}

impl Kept {
    fn check(&self, stamped: Option<Vec<u8>>) -> Option<Vec<u8>> {
        self.lifetimes.check(&stamped?, now()).map(|(_, session)| session)
    }
}

impl StoresServerSessions for Kept {
    fn put(&self, key: Vec<u8>, session: Vec<u8>) -> bool {
        let now = now();
        let sessions = self.sessions.get_or_init(|| ServerSessionMemoryCache::new(KEPT_SESSIONS));
        sessions.put(key, stamp(now, now, &session))
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.check(self.sessions.get()?.get(key))
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.check(self.sessions.get()?.take(key))
    }

    fn can_cache(&self) -> bool {
        true
    }
}

fn now() -> u64 {
    UnixTime::now().as_secs()
}

/// A session after the moments when its client was authenticated, and when it was handed out.
fn stamp(authenticated: u64, made: u64, session: &[u8]) -> Vec<u8> {
    [&authenticated.to_be_bytes()[..], &made.to_be_bytes(), session].concat()
}

impl Lifetimes {
    /// When the client was authenticated, and the session; `None` where its time is up, or yet to come.
    fn check(self, stamped: &[u8], now: u64) -> Option<(u64, Vec<u8>)> {
        let (stamp, session) = stamped.split_first_chunk::<STAMP>()?;
        let (authenticated, made) = stamp.split_at(STAMP / 2);
        let moment = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?));
        let (authenticated, made) = (moment(authenticated)?, moment(made)?);
        let lasts =
            now.checked_sub(made)? < self.ticket && now.checked_sub(authenticated)? < self.authentication;
        lasts.then(|| (authenticated, session.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_with_their_ticket_and_with_what_they_began_with() {
        let lifetimes = Lifetimes { ticket: 10, authentication: 15 };
        for (authenticated, made, now, lasts) in [
            (100, 100, 100, true),
            (100, 100, 109, true),
            (100, 100, 110, false),
            (100, 108, 114, true),
            (100, 108, 115, false),
            (100, 100, 99, false),
        ] {
            let checked = lifetimes.check(&stamp(authenticated, made, b"session"), now);
            assert_eq!(checked, lasts.then(|| (authenticated, b"session".to_vec())), "{made} {now}");
        }
        assert_eq!(lifetimes.check(&[0; STAMP - 1], 0), None);
    }

    #[test]
    fn a_session_that_is_resumed_is_no_younger_than_the_one_before() {
        let tickets: Arc<dyn ProducesTickets> = Ticketer::new().expect("random numbers");
        let handshake =
            || Stamped { tickets: Arc::clone(&tickets), lifetimes: TLS13, authenticated: AtomicU64::new(0) };
        let began = now() - 600;
        let first = tickets.encrypt(&stamp(began, began + 300, b"session")).expect("a ticket");
        let resumed = handshake();
        assert_eq!(resumed.decrypt(&first).as_deref(), Some(&b"session"[..]));
        let second =
            tickets.decrypt(&resumed.encrypt(b"session").expect("a ticket")).expect("what was sealed");
        assert!(second.starts_with(&began.to_be_bytes()), "{second:?}");
    }
}
