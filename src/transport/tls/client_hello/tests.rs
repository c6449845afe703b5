//! Greetings of the library's own client, whole and in pieces, and what is none.

use super::*;

const MAX: usize = 16 * 1024;

fn read_whole(bytes: &[u8], max_bytes: usize) -> Result<ClientHello, NoHello> {
    parse(bytes, max_bytes, Wanted::default())
}

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
    let hello = read_whole(&bytes, MAX).expect("a greeting");
    assert_eq!(hello.server_name.as_deref(), Some("a.example"));
    assert_eq!(hello.protocols, ["h2".into(), "http/1.1".into()]);
    let nobody = ClientHello { asks_for_status: true, offers_tls13: true, ..ClientHello::default() };
    assert_eq!(read_whole(&greeting("127.0.0.1", &[]), MAX), Ok(nobody));
}

#[test]
fn a_greeting_offers_tls_1_3_by_its_versions_and_not_by_its_suites() {
    let mut bytes = greeting("a.example", &[]);
    let versions = bytes.windows(4).position(|window| window[..2] == [0, 43] && window[2] == 0);
    let at = versions.expect("the extension");
    assert!(read_whole(&bytes, MAX).expect("a greeting").offers_tls13);
    // The same, as an extension that nobody knows.
    bytes[at] = 0x7a;
    assert!(!read_whole(&bytes, MAX).expect("a greeting").offers_tls13);
    for (content, expected) in
        [(&[2, 3, 4][..], true), (&[2, 3, 3], false), (&[4, 3, 4], false), (&[], false)]
    {
        assert_eq!(offers_tls13(content), expected, "{content:?}");
    }
}

#[test]
fn a_greeting_is_complete_with_its_last_byte_and_not_before() {
    let bytes = greeting("a.example", &["h2"]);
    for end in 0..bytes.len() {
        assert_eq!(read_whole(&bytes[..end], MAX), Err(NoHello::Incomplete), "{end}");
        assert_eq!(read_whole(&bytes[..end], end), Err(NoHello::TooLong), "{end}");
    }
    assert!(read_whole(&bytes, bytes.len()).is_ok());
}

#[test]
fn a_greeting_may_come_in_several_records() {
    let whole = greeting("a.example", &["h2"]);
    let mut bytes = Vec::new();
    for piece in whole[RECORD_HEADER..].chunks(7) {
        bytes.extend_from_slice(&[HANDSHAKE, 3, 1, 0, u8::try_from(piece.len()).expect("a few")]);
        bytes.extend_from_slice(piece);
    }
    assert_eq!(read_whole(&bytes, MAX), read_whole(&whole, MAX));
    assert_eq!(read_whole(&bytes[..bytes.len() - 1], MAX), Err(NoHello::Incomplete));
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
        assert_eq!(read_whole(bytes, MAX), Err(expected), "{bytes:?}");
    }
}
