//! The first bytes of connections, as listener filters read them: greetings of TLS and headers of the PROXY protocol.

use dragoman::transport::proxy_protocol::{self, NoHeader};
use dragoman::transport::tls::client_hello::{self, NoHello, Wanted};

use super::Target;

const MAX_HELLO: usize = 16 * 1024;

/// Both fingerprints, of whatever stands there.
const BOTH: Wanted = Wanted { ja3: true, ja4: true };

/// What stands for a greeting once it is there does so whatever follows.
pub(super) const CLIENT_HELLO: Target = Target {
    name: "client_hello",
    run: |data| {
        let whole = client_hello::parse(data, MAX_HELLO, BOTH);
        let half = client_hello::parse(&data[..data.len() / 2], MAX_HELLO, BOTH);
        if !matches!(half, Err(NoHello::Incomplete | NoHello::TooLong)) {
            assert_eq!(half, whole);
        }
    },
    seeds: || {
        let hello = |body: &[u8]| {
            let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
            let record = [&[22, 3, 1][..], &(length + 4).to_be_bytes(), &[1, 0], &length.to_be_bytes(), body];
            record.concat()
        };
        let random = [7; 34];
        let plain = [&random[..], b"\0\0\x02\x13\x01\x01\0"].concat();
        let named =
            [&plain[..], b"\0\x17\0\0\0\x06\0\x04\0\0\x01a\0\x10\0\x05\0\x03\x02h2\0\x2b\0\0"].concat();
        Ok(vec![hello(&plain), hello(&named)])
    },
    dictionary: &[b"\x16\x03\x01", b"\x01\0\0", b"\0\0", b"\0\x10", b"\x02h2", b"GET ", b"CONNE"],
};

/// A header is as long as it says, and needs no byte more.
pub(super) const PROXY_HEADER: Target = Target {
    name: "proxy_header",
    run: |data| {
        if let Ok(header) = proxy_protocol::parse(data) {
            assert!(header.length <= data.len());
            assert_eq!(proxy_protocol::parse(&data[..header.length]), Ok(header));
            let before = proxy_protocol::parse(&data[..header.length - 1]);
            assert_eq!(before, Err(NoHeader::Incomplete));
            let bytes: usize = header.entries().map(|(_, value)| value.len() + 3).sum();
            assert!(bytes <= header.length);
        }
    },
    seeds: || {
        let v4 =
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\x01\x02\x03\x04\x05\x06\x07\x08\x04\xd2\0\x50\x02\0\x04beta";
        let seeds: [&[u8]; 4] = [
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\r\nhello",
            b"PROXY TCP6 1:2::3 5::6 65535 1\r\n",
            b"PROXY UNKNOWN\r\n",
            v4,
        ];
        Ok(seeds.map(<[u8]>::to_vec).into())
    },
    dictionary: &[
        b"PROXY ",
        b"TCP4",
        b"TCP6",
        b"UNKNOWN",
        b"\r\n",
        b"\r\n\r\n\0\r\nQUIT\n",
        b"\x21\x11",
        b"\x20\0",
    ],
};
