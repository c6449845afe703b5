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

/// Bytes behind their number in two bytes.
fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).expect("short").to_be_bytes(), bytes].concat()
}

/// A greeting with these extensions, each of a kind.
fn with_extensions(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let one = |(kind, content): &(u16, &[u8])| [&kind.to_be_bytes()[..], &sized(content)].concat();
    let extensions: Vec<u8> = extensions.iter().flat_map(one).collect();
    let hello = [&[3, 3], &[0; 32][..], b"\0\0\x02\x13\x01\x01\0", &sized(&extensions)].concat();
    let message = [&[CLIENT_HELLO, 0][..], &sized(&hello)].concat();
    [&[HANDSHAKE, 3, 1][..], &sized(&message)].concat()
}

/// A greeting without anything but an extension with names, each of a kind.
fn asking_for(names: &[(u8, &[u8])], behind: &[u8]) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(|(kind, name)| [vec![*kind], sized(name)].concat()).collect();
    with_extensions(&[(SERVER_NAME, &[&*sized(&names), behind].concat())])
}

#[test]
fn a_greeting_asks_for_one_name_of_a_host_or_for_none() {
    let longest = [b'a'; MAX_NAME];
    let longer = [b'a'; MAX_NAME + 1];
    for (names, behind, expected) in [
        (vec![(0, &b"A.test"[..])], &b""[..], Some("a.test")),
        (vec![(0, &longest[..])], b"", std::str::from_utf8(&longest).ok()),
        (vec![(0, &longer[..])], b"", None),
        (vec![(0, b"a.test"), (0, b"b.test")], b"", None),
        (vec![(1, b"a.test")], b"", None),
        (vec![(0, b"a\0")], b"", None),
        (vec![(0, b"")], b"", None),
        (vec![], b"", None),
        (vec![(0, b"a.test")], b"x", None),
    ] {
        let hello = read_whole(&asking_for(&names, behind), MAX);
        let name = hello.as_ref().map(|hello| hello.server_name.as_deref());
        assert_eq!(name, expected.map(Some).ok_or(&MALFORMED_EXTENSION), "{names:?}");
    }
}

#[test]
fn of_each_kind_of_extension_there_is_one() {
    let twice = with_extensions(&[(VERSIONS, &[2, 3, 4]), (STATUS_REQUEST, &[]), (VERSIONS, &[2, 3, 3])]);
    assert_eq!(read_whole(&twice, MAX), Err(MALFORMED));
    let once = with_extensions(&[(VERSIONS, &[2, 3, 4]), (STATUS_REQUEST, &[])]);
    assert!(read_whole(&once, MAX).expect("a greeting").asks_for_status);
}

#[test]
fn protocols_that_are_malformed_are_not_offered_at_all() {
    let malformed = with_extensions(&[(APPLICATION_PROTOCOLS, b"\0\x05\x02h2\x09x")]);
    assert_eq!(read_whole(&malformed, MAX), Ok(ClientHello::default()));
    let fine = with_extensions(&[(APPLICATION_PROTOCOLS, b"\0\x05\x02h2\x01x")]);
    assert_eq!(read_whole(&fine, MAX).expect("a greeting").protocols, ["h2".into(), "x".into()]);
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
