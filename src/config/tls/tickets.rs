//! How sessions are resumed with tickets that clients keep: `TlsSessionTicketKeys`, and what a context says of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3;
use envoy_types::pb::google::protobuf as pb;
use v3::downstream_tls_context::SessionTicketKeysType;

use super::{Purpose, SecretRef};
use crate::config::data_source;
use crate::config::field::{Scope, open};

/// Bytes of a key: its name, the key of the HMAC and that of the cipher.
const KEY_BYTES: usize = 80;

/// With what tickets are sealed: `DownstreamTlsContext.session_ticket_keys_type`.
#[derive(Clone, Debug, PartialEq)]
pub enum Tickets {
    /// With keys that the proxy makes and changes by itself.
    Own,
    /// `session_ticket_keys`
    Keys(Arc<TicketKeys>),
    /// `session_ticket_keys_sds_secret_config`
    Secret(SecretRef),
    /// `disable_stateless_session_resumption`: there are none.
    Disabled,
}

/// Keys that seal tickets: the first seals new ones, each opens those that it has sealed.
#[derive(Clone, Debug, PartialEq)]
pub struct TicketKeys(pub Vec<TicketKey>);

/// A key as Envoy and RFC 5077 §4 have it. It is never shown.
#[derive(Clone, PartialEq)]
pub struct TicketKey {
    /// By this name a ticket tells its key.
    pub name: [u8; 16],
    /// The key of HMAC-SHA-256.
    pub hmac: [u8; 32],
    /// The key of AES-256-CBC.
    pub cipher: [u8; 32],
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKey").finish_non_exhaustive()
    }
}

impl Tickets {
    /// From its proto.
    pub(super) fn from_proto(message: Option<SessionTicketKeysType>, at: &mut Scope<'_>) -> Option<Self> {
        Some(match message {
            None | Some(SessionTicketKeysType::DisableStatelessSessionResumption(false)) => Tickets::Own,
            Some(SessionTicketKeysType::DisableStatelessSessionResumption(true)) => Tickets::Disabled,
            Some(SessionTicketKeysType::SessionTicketKeys(keys)) => {
                let keys = TicketKeys::from_proto(keys, &mut at.field("session_ticket_keys"))?;
                Tickets::Keys(Arc::new(keys))
            }
            Some(SessionTicketKeysType::SessionTicketKeysSdsSecretConfig(secret)) => {
                let mut at = at.field("session_ticket_keys_sds_secret_config");
                Tickets::Secret(SecretRef::from_proto(secret, Purpose::TicketKeys, &mut at)?)
            }
        })
    }
}

impl TicketKeys {
    /// From its proto. Files are read now and not again, as in Envoy also where they come over SDS.
    pub(super) fn from_proto(message: v3::TlsSessionTicketKeys, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::TlsSessionTicketKeys = message; implemented { keys } }
        let count = keys.len();
        let read = at.list("keys", keys, |source, at| {
            let bytes = data_source::read(source, None, at)?;
            TicketKey::from_bytes(&bytes).or_else(|| {
                at.error(format!(
                    "Incorrect TLS session ticket key length. Length {}, expected length {KEY_BYTES}.",
                    bytes.len()
                ));
                None
            })
        });
        (count > 0 && read.len() == count).then_some(TicketKeys(read))
    }
}

impl TicketKey {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; KEY_BYTES] = bytes.try_into().ok()?;
        let (name, rest) = bytes.split_first_chunk()?;
        let (hmac, cipher) = rest.split_first_chunk()?;
        Some(TicketKey { name: *name, hmac: *hmac, cipher: *cipher.first_chunk()? })
    }
}

/// `session_timeout` in whole seconds; as in Envoy less than one counts as none given.
pub(super) fn session_timeout(message: Option<pb::Duration>, at: &mut Scope<'_>) -> Option<Duration> {
    let timeout = at.duration("session_timeout", message)?;
    (timeout.as_secs() > 0).then(|| Duration::from_secs(timeout.as_secs()))
}
