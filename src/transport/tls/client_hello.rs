//! The greeting of a client of TLS, read without answering it: whom it asks for, and what it offers.
//!
//! Records (RFC 8446 §5.1) hold handshake messages, the first of which is the `ClientHello` (§4.1.2); it may be spread
//! over several records.

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

const SERVER_NAME: u16 = 0;
const APPLICATION_PROTOCOLS: u16 = 16;

/// What a client says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The name that it asks for, in lower case; `None` where it asks for none.
    pub server_name: Option<Box<str>>,
    /// The protocols that it offers, in its order.
    pub protocols: Vec<Box<str>>,
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
const MALFORMED: NoHello = NoHello::NotTls("10000085:SSL_routines:OPENSSL_internal:CLIENTHELLO_PARSE_FAILED");

/// Reads the greeting that these bytes begin with.
///
/// # Errors
/// Why there is none.
pub fn parse(bytes: &[u8], max_bytes: usize) -> Result<ClientHello, NoHello> {
    let message = message(bytes, max_bytes)?;
    read(&message).ok_or(MALFORMED)
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

/// Reads a `ClientHello`; `None` where it is malformed.
fn read(message: &[u8]) -> Option<ClientHello> {
    // The version, and 32 random bytes.
    let mut rest = message.get(34..)?;
    let _session = prefixed_8(&mut rest)?;
    let _cipher_suites = prefixed_16(&mut rest)?;
    let _compression = prefixed_8(&mut rest)?;
    let mut hello = ClientHello::default();
    if rest.is_empty() {
        return Some(hello);
    }
    let mut extensions = prefixed_16(&mut rest)?;
    while !extensions.is_empty() {
        let (kind, behind) = extensions.split_first_chunk::<2>()?;
        extensions = behind;
        let content = prefixed_16(&mut extensions)?;
        match u16::from_be_bytes(*kind) {
            SERVER_NAME => hello.server_name = server_name(content)?,
            APPLICATION_PROTOCOLS => hello.protocols = protocols(content)?,
            _ => {}
        }
    }
    Some(hello)
}

/// The name of a host, the only kind of name that there is (RFC 6066 §3); `None` where it is malformed.
fn server_name(mut content: &[u8]) -> Option<Option<Box<str>>> {
    let mut names = prefixed_16(&mut content)?;
    while let Some((kind, behind)) = names.split_first() {
        names = behind;
        let name = prefixed_16(&mut names)?;
        if *kind == 0 {
            let name =
                std::str::from_utf8(name).ok().filter(|name| !name.is_empty() && !name.contains('\0'))?;
            return Some(Some(name.to_ascii_lowercase().into()));
        }
    }
    Some(None)
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

/// Takes what has its length in one byte before it.
fn prefixed_8<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, behind) = bytes.split_first()?;
    let (content, rest) = behind.split_at_checked(usize::from(*length))?;
    *bytes = rest;
    Some(content)
}

/// Takes what has its length in two bytes before it.
fn prefixed_16<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, behind) = bytes.split_first_chunk::<2>()?;
    let (content, rest) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *bytes = rest;
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 16 * 1024;

    /// The greeting of a client of the library.
    fn greeting(name: &str, protocols: &[&str]) -> Vec<u8> {
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name = name.to_owned().try_into().expect("a name");
        let mut client = rustls::ClientConnection::new(config.into(), name).expect("a client");
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).expect("a vector");
        bytes
    }

    #[test]
    fn a_greeting_says_whom_it_asks_for_and_what_it_offers() {
        let bytes = greeting("A.Example", &["h2", "http/1.1"]);
        let hello = parse(&bytes, MAX).expect("a greeting");
        assert_eq!(hello.server_name.as_deref(), Some("a.example"));
        assert_eq!(hello.protocols, ["h2".into(), "http/1.1".into()]);
        assert_eq!(parse(&greeting("127.0.0.1", &[]), MAX), Ok(ClientHello::default()));
    }

    #[test]
    fn a_greeting_is_complete_with_its_last_byte_and_not_before() {
        let bytes = greeting("a.example", &["h2"]);
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end], MAX), Err(NoHello::Incomplete), "{end}");
            assert_eq!(parse(&bytes[..end], end), Err(NoHello::TooLong), "{end}");
        }
        assert!(parse(&bytes, bytes.len()).is_ok());
    }

    #[test]
    fn a_greeting_may_come_in_several_records() {
        let whole = greeting("a.example", &["h2"]);
        let mut bytes = Vec::new();
        for piece in whole[RECORD_HEADER..].chunks(7) {
            bytes.extend_from_slice(&[HANDSHAKE, 3, 1, 0, u8::try_from(piece.len()).expect("a few")]);
            bytes.extend_from_slice(piece);
        }
        assert_eq!(parse(&bytes, MAX), parse(&whole, MAX));
        assert_eq!(parse(&bytes[..bytes.len() - 1], MAX), Err(NoHello::Incomplete));
    }

    #[test]
    fn what_is_no_greeting_is_told_apart() {
        for (bytes, expected) in [
            (&b"GET / HTTP/1.1\r\n"[..], HTTP_REQUEST),
            (b"CONNECT a:1 HTTP/1.1\r\n", PROXY_REQUEST),
            (b"hello, host", WRONG_VERSION),
            (b"\x17\x03\x01\0\x05hello", UNEXPECTED),
            (b"\x16\x03\x01\0\x05\x02\0\0\x01a", UNEXPECTED),
            (b"\x16\x03\x01\0\x05hello", UNEXPECTED),
            (b"\x16\x03\x01\0\x05\x01\xff\0\0\0", TOO_LARGE),
            (b"\x16\x03\x01\0\x06\x01\0\0\x02\x03\x03", MALFORMED),
        ] {
            assert_eq!(parse(bytes, MAX), Err(expected), "{bytes:?}");
        }
    }
}
