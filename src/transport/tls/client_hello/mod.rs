//! The greeting of a client of TLS, read without answering it: whom it asks for, and what it offers.
//!
//! Records (RFC 8446 §5.1) hold handshake messages, the first of which is the `ClientHello` (§4.1.2); it may be spread
//! over several records.

use crate::observability::stream_info::Fingerprints;

use super::fingerprint;

/// The type of records that hold handshake messages.
const HANDSHAKE: u8 = 22;
/// The type of a `ClientHello` among them.
const CLIENT_HELLO: u8 = 1;
/// Bytes before the content of a record.
const RECORD_HEADER: usize = 5;
/// Bytes before the content of a handshake message.
const MESSAGE_HEADER: usize = 4;
/// The most that a record may hold in plain text.
const MAX_RECORD: usize = 1 << 14;

/// The kind of names of hosts (RFC 6066 §3).
const HOST_NAME: u8 = 0;
/// Bytes that such a name may have (RFC 1035 §2.3.4).
const MAX_NAME: usize = 255;

/// `server_name` (RFC 6066 §3).
pub(super) const SERVER_NAME: u16 = 0;
/// `status_request` (RFC 6066 §8).
const STATUS_REQUEST: u16 = 5;
/// `application_layer_protocol_negotiation` (RFC 7301 §3.1).
pub(super) const APPLICATION_PROTOCOLS: u16 = 16;

/// `supported_versions` (RFC 8446 §4.2.1).
const VERSIONS: u16 = 43;

/// What a client says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The name that it asks for, in lower case; `None` where it asks for none.
    pub server_name: Option<Box<str>>,
    /// The protocols that it offers, in its order.
    pub protocols: Vec<Box<str>>,
    /// Whether it asks for the answer of OCSP with the certificate (RFC 6066 §8).
    pub asks_for_status: bool,
    /// Whether it speaks TLS 1.3: its suites alone do not say so.
    pub offers_tls13: bool,
    /// What kind of client it is, as far as that was asked for.
    pub fingerprints: Fingerprints,
}

/// The fingerprints that are to be made of a greeting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// JA3
    pub ja3: bool,
    /// JA4
    pub ja4: bool,
}

/// The parts of a `ClientHello` that say what the client can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'m> {
    /// The version as stated, which stays that of TLS 1.2 for those that follow it.
    pub(super) version: u16,
    /// Cipher suites, each of two bytes.
    pub(super) cipher_suites: &'m [u8],
    /// Extensions, each with its kind and length before it.
    pub(super) extensions: &'m [u8],
}

impl<'m> Parts<'m> {
    /// Finds them; `None` where the message is malformed.
    fn of(message: &'m [u8]) -> Option<Self> {
        // The version, and 32 random bytes.
        let (version, random) = message.split_first_chunk::<2>()?;
        let mut rest = random.get(32..)?;
        let _session = prefixed_8(&mut rest)?;
        let cipher_suites = prefixed_16(&mut rest)?;
        let _compression = prefixed_8(&mut rest)?;
        let extensions = if rest.is_empty() { rest } else { prefixed_16(&mut rest)? };
        Some(Parts { version: u16::from_be_bytes(*version), cipher_suites, extensions })
    }

    /// Its extensions by their kinds, up to one that is malformed.
    pub(super) fn extensions(&self) -> impl Iterator<Item = (u16, &'m [u8])> {
        let mut rest = self.extensions;
        std::iter::from_fn(move || next_extension(&mut rest))
    }

    /// The first extension of a kind.
    pub(super) fn extension(&self, wanted: u16) -> Option<&'m [u8]> {
        self.extensions().find(|(kind, _)| *kind == wanted).map(|(_, content)| content)
    }
}

/// Takes an extension; `None` where there is none, or it is malformed.
fn next_extension<'m>(rest: &mut &'m [u8]) -> Option<(u16, &'m [u8])> {
    let (kind, behind) = rest.split_first_chunk::<2>()?;
    *rest = behind;
    Some((u16::from_be_bytes(*kind), prefixed_16(rest)?))
}

/// Why there is no greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHello {
    /// It is not complete.
    Incomplete,
    /// It is longer than it may be.
    TooLong,
    /// It is no TLS; what BoringSSL says of it.
    NotTls(&'static str),
}

const WRONG_VERSION: NoHello = NoHello::NotTls("100000f7:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER");
const HTTP_REQUEST: NoHello = NoHello::NotTls("1000009c:SSL_routines:OPENSSL_internal:HTTP_REQUEST");
const PROXY_REQUEST: NoHello = NoHello::NotTls("1000009b:SSL_routines:OPENSSL_internal:HTTPS_PROXY_REQUEST");
const TOO_LARGE: NoHello = NoHello::NotTls("10000096:SSL_routines:OPENSSL_internal:EXCESSIVE_MESSAGE_SIZE");
const UNEXPECTED: NoHello = NoHello::NotTls("100000e1:SSL_routines:OPENSSL_internal:UNEXPECTED_MESSAGE");
const MALFORMED_EXTENSION: NoHello =
    NoHello::NotTls("10000095:SSL_routines:OPENSSL_internal:ERROR_PARSING_EXTENSION");
const MALFORMED: NoHello = NoHello::NotTls("10000083:SSL_routines:OPENSSL_internal:CLIENTHELLO_PARSE_FAILED");

/// Reads the greeting that these bytes begin with, and takes its fingerprints.
///
/// # Errors
/// Why there is none.
pub fn parse(bytes: &[u8], max_bytes: usize, wanted: Wanted) -> Result<ClientHello, NoHello> {
    let message = message(bytes, max_bytes)?;
    read(&message, wanted)
}

/// The content of the first handshake message, put together from its records.
fn message(mut bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>, NoHello> {
    let mut message = Vec::new();
    let too_long = bytes.len() >= max_bytes;
    let incomplete = if too_long { NoHello::TooLong } else { NoHello::Incomplete };
    loop {
        let Some((header, rest)) = bytes.split_first_chunk::<RECORD_HEADER>() else {
            return Err(incomplete);
        };
        check_record(*header)?;
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        message.extend_from_slice(&rest[..length.min(rest.len())]);
        if let Some((head, content)) = message.split_first_chunk::<MESSAGE_HEADER>() {
            if head[0] != CLIENT_HELLO {
                return Err(UNEXPECTED);
            }
            let wanted =
                usize::try_from(u32::from_be_bytes([0, head[1], head[2], head[3]])).unwrap_or(usize::MAX);
            if wanted > MAX_RECORD {
                return Err(TOO_LARGE);
            }
            if content.len() >= wanted {
                message.drain(..MESSAGE_HEADER);
                message.truncate(wanted);
                return Ok(message);
            }
        }
        bytes = rest.get(length..).ok_or(incomplete)?;
    }
}

/// Whether a record may begin so.
fn check_record(header: [u8; RECORD_HEADER]) -> Result<(), NoHello> {
    match &header {
        [b'G', b'E', b'T', b' ', _] | [b'P', b'U', b'T', b' ', _] | b"POST " | b"HEAD " => {
            return Err(HTTP_REQUEST);
        }
        b"CONNE" => return Err(PROXY_REQUEST),
        [HANDSHAKE, 3, ..] => {}
        // As BoringSSL has it, the version is looked at before the type.
        [_, 3, ..] => return Err(UNEXPECTED),
        _ => return Err(WRONG_VERSION),
    }
    if usize::from(u16::from_be_bytes([header[3], header[4]])) > MAX_RECORD {
        return Err(TOO_LARGE);
    }
    Ok(())
}

/// Reads a `ClientHello`.
fn read(message: &[u8], wanted: Wanted) -> Result<ClientHello, NoHello> {
    let parts = Parts::of(message).ok_or(MALFORMED)?;
    let (mut hello, mut kinds) = (ClientHello::default(), Vec::new());
    let mut rest = parts.extensions;
    while !rest.is_empty() {
        let (kind, content) = next_extension(&mut rest).ok_or(MALFORMED)?;
        kinds.push(kind);
        match kind {
            SERVER_NAME => hello.server_name = Some(server_name(content).ok_or(MALFORMED_EXTENSION)?),
            // As in Envoy who offers none that can be read offers none.
            APPLICATION_PROTOCOLS => hello.protocols = protocols(content).unwrap_or_default(),
            STATUS_REQUEST => hello.asks_for_status = true,
            VERSIONS => hello.offers_tls13 = offers_tls13(content),
            _ => {}
        }
    }
    // RFC 8446 §4.2: there is one of each kind.
    kinds.sort_unstable();
    if kinds.windows(2).any(|two| two[0] == two[1]) {
        return Err(MALFORMED);
    }
    hello.fingerprints.ja3 = wanted.ja3.then(|| fingerprint::ja3(&parts));
    hello.fingerprints.ja4 = wanted.ja4.then(|| fingerprint::ja4(&parts));
    Ok(hello)
}

/// The one name, of a host, which is the only kind of name that there is (RFC 6066 §3); `None` where there is none, more, or
/// anything else, as in BoringSSL: who is asked for must not depend on who reads it.
fn server_name(mut content: &[u8]) -> Option<Box<str>> {
    let (kind, mut rest) = prefixed_16(&mut content)?.split_first()?;
    let name = prefixed_16(&mut rest)?;
    let is_one = *kind == HOST_NAME && rest.is_empty() && content.is_empty();
    let is_name = (1..=MAX_NAME).contains(&name.len()) && !name.contains(&0);
    // What is no text is the name of nobody, and shown as such.
    (is_one && is_name).then(|| String::from_utf8_lossy(name).to_ascii_lowercase().into())
}

/// The protocols (RFC 7301 §3.1). Those that are no text are offered to nobody.
fn protocols(mut content: &[u8]) -> Option<Vec<Box<str>>> {
    let mut names = prefixed_16(&mut content)?;
    let mut protocols = Vec::new();
    while !names.is_empty() {
        let name = prefixed_8(&mut names)?;
        protocols.extend(std::str::from_utf8(name).ok().map(Box::from));
    }
    Some(protocols)
}

/// Whether TLS 1.3 is among the versions.
fn offers_tls13(mut content: &[u8]) -> bool {
    prefixed_8(&mut content).is_some_and(|versions| versions.as_chunks().0.contains(&[3, 4]))
}

/// Takes what has its length in one byte before it.
pub(super) fn prefixed_8<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, behind) = bytes.split_first()?;
    let (content, rest) = behind.split_at_checked(usize::from(*length))?;
    *bytes = rest;
    Some(content)
}

/// Takes what has its length in two bytes before it.
pub(super) fn prefixed_16<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, behind) = bytes.split_first_chunk::<2>()?;
    let (content, rest) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *bytes = rest;
    Some(content)
}

#[cfg(test)]
mod tests;
