//! The call to a Thrift server, and what its answer says of it, without sockets.

use super::session::{Failure, Verdict};
use crate::config::cluster::{ThriftHealthCheck, ThriftProtocol, ThriftTransport};

/// Kinds of messages.
const CALL: u8 = 1;
const REPLY: u8 = 2;

/// The version that messages of the binary protocol begin with.
const BINARY_VERSION: u16 = 0x8001;

/// What messages of the compact protocol begin with.
const COMPACT_ID: u8 = 0x82;
const COMPACT_VERSION: u8 = 1;

/// What headers begin with.
const HEADER_MAGIC: u16 = 0x0fff;

/// An answer that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The call, which has no arguments and the number 0.
pub(super) fn call(check: &ThriftHealthCheck) -> Vec<u8> {
    let name = check.method.as_bytes();
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
    let mut message = Vec::new();
    match check.protocol {
        ThriftProtocol::Binary => {
            message.extend_from_slice(&BINARY_VERSION.to_be_bytes());
            message.extend_from_slice(&[0, CALL]);
            message.extend_from_slice(&length.to_be_bytes());
            message.extend_from_slice(name);
            message.extend_from_slice(&[0; 4]);
        }
        ThriftProtocol::LaxBinary => {
            message.extend_from_slice(&length.to_be_bytes());
            message.extend_from_slice(name);
            message.extend_from_slice(&[CALL, 0, 0, 0, 0]);
        }
        ThriftProtocol::Compact => {
            message.extend_from_slice(&[COMPACT_ID, COMPACT_VERSION | CALL << 5, 0]);
            prost::encoding::encode_varint(u64::from(length), &mut message);
            message.extend_from_slice(name);
        }
    }
    // The arguments end.
    message.push(0);
    framed(check, &message)
}

fn framed(check: &ThriftHealthCheck, message: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    if check.transport == ThriftTransport::Header {
        header.extend_from_slice(&HEADER_MAGIC.to_be_bytes());
        // No flags, the call's number, and one word: the protocol, no transforms, and what fills it up.
        header.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
        header.extend_from_slice(&[if check.protocol == ThriftProtocol::Compact { 2 } else { 0 }, 0, 0, 0]);
    }
    let length = u32::try_from(header.len() + message.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), &*header, message].concat()
}

/// What the server's answer says of it; `None` before it has come whole.
pub(super) fn judge(check: &ThriftHealthCheck, received: &[u8]) -> Result<Option<Verdict>, Malformed> {
    let Some((length, rest)) = received.split_first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| Malformed)?;
    if length == 0 {
        return Err(Malformed);
    }
    let Some(frame) = rest.get(..length) else { return Ok(None) };
    let message = match check.transport {
        ThriftTransport::Framed => frame,
        ThriftTransport::Header => behind_header(frame).ok_or(Malformed)?,
    };
    let succeeded = succeeded(check.protocol, message).ok_or(Malformed)?;
    Ok(Some(match succeeded {
        true => Verdict::Passed { degraded: false },
        false => Verdict::Failed(Failure::Active { retriable: false, status: 0, excluded: false }),
    }))
}

/// The message behind the header of a frame.
fn behind_header(frame: &[u8]) -> Option<&[u8]> {
    let (head, rest) = frame.split_first_chunk::<10>()?;
    let words = usize::from(u16::from_be_bytes([head[8], head[9]]));
    (head[..2] == HEADER_MAGIC.to_be_bytes()).then_some(())?;
    rest.get(words * 4..)
}

/// Whether a message is a reply that tells of no exception; `None` if it is no message.
fn succeeded(protocol: ThriftProtocol, message: &[u8]) -> Option<bool> {
    let (kind, body) = match protocol {
        ThriftProtocol::Binary => {
            let (head, rest) = message.split_first_chunk::<4>()?;
            (head[..2] == BINARY_VERSION.to_be_bytes()).then_some(())?;
            (head[3], after_name(rest)?.get(4..)?)
        }
        ThriftProtocol::LaxBinary => {
            let (kind, rest) = after_name(message)?.split_first()?;
            (*kind, rest.get(4..)?)
        }
        ThriftProtocol::Compact => {
            let (head, mut rest) = message.split_first_chunk::<2>()?;
            (head[0] == COMPACT_ID && head[1] & 0x1f == COMPACT_VERSION).then_some(())?;
            prost::encoding::decode_varint(&mut rest).ok()?;
            let length = usize::try_from(prost::encoding::decode_varint(&mut rest).ok()?).ok()?;
            (head[1] >> 5, rest.get(length..)?)
        }
    };
    let (field, rest) = body.split_first()?;
    let is_result = match (protocol, field) {
        // Nothing is there: the method returns nothing.
        (_, 0) => true,
        // The first field that is there is the result, which has the number 0, or an exception.
        (ThriftProtocol::Compact, field) if field >> 4 != 0 => false,
        (ThriftProtocol::Compact, _) => prost::encoding::decode_varint(&mut &*rest).ok()? == 0,
        _ => *rest.first_chunk::<2>()? == [0, 0],
    };
    Some(kind == REPLY && is_result)
}

/// What follows a name, before which its length stands.
fn after_name(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.get(usize::try_from(i32::from_be_bytes(*length)).ok()?..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(transport: ThriftTransport, protocol: ThriftProtocol) -> ThriftHealthCheck {
        ThriftHealthCheck { method: "ping".to_owned(), transport, protocol }
    }

    #[test]
    fn calls_are_as_long_as_their_frame_says() {
        use ThriftProtocol::{Binary, Compact, LaxBinary};
        use ThriftTransport::{Framed, Header};
        for (transport, protocol, expected) in [
            (Framed, Binary, &b"\0\0\0\x12\x80\x01\0\x01\0\0\0\x04ping\0\0\0\0\0"[..]),
            (Framed, LaxBinary, b"\0\0\0\x0e\0\0\0\x04ping\x01\0\0\0\0\0"),
            (Framed, Compact, b"\0\0\0\x09\x82\x21\0\x04ping\0"),
            (
                Header,
                Binary,
                b"\0\0\0\x1f\x0f\xff\0\0\0\0\0\0\0\x01\0\0\0\0\x80\x01\0\x01\0\0\0\x04ping\0\0\0\0\0",
            ),
            (Header, Compact, b"\0\0\0\x17\x0f\xff\0\0\0\0\0\0\0\x01\x02\0\0\0\x82\x21\0\x04ping\0"),
        ] {
            let mut expected = expected.to_vec();
            let length = u32::try_from(expected.len() - 4).expect("short");
            expected[..4].copy_from_slice(&length.to_be_bytes());
            assert_eq!(call(&check(transport, protocol)), expected, "{transport:?} {protocol:?}");
        }
    }

    #[test]
    fn a_reply_passes_unless_it_tells_of_an_exception() {
        use ThriftProtocol::{Binary, Compact, LaxBinary};
        let binary =
            |kind: u8, body: &[u8]| [b"\x80\x01\0", &[kind][..], b"\0\0\0\x04ping\0\0\0\0", body].concat();
        for (protocol, message, passes) in [
            (Binary, binary(2, b"\x08\0\0\0\0\0\x01\0"), true),
            (Binary, binary(2, b"\0"), true),
            (Binary, binary(2, b"\x0c\0\x01\0\0"), false),
            (Binary, binary(3, b"\x08\0\x01\0\0\0\x01\0"), false),
            (Binary, binary(1, b"\0"), false),
            (LaxBinary, b"\0\0\0\x04ping\x02\0\0\0\0\x08\0\0\0\0\0\x01\0".to_vec(), true),
            (Compact, b"\x82\x41\0\x04ping\x05\0\x02\0".to_vec(), true),
            (Compact, b"\x82\x41\0\x04ping\x15\x02\0".to_vec(), false),
            (Compact, b"\x82\x41\0\x04ping\0".to_vec(), true),
        ] {
            assert_eq!(succeeded(protocol, &message), Some(passes), "{message:?}");
        }
    }

    #[test]
    fn an_answer_is_judged_once_it_is_there() {
        use ThriftProtocol::Compact;
        let framed = check(ThriftTransport::Framed, Compact);
        let answer = b"\0\0\0\x0c\x82\x41\0\x04ping\x05\0\x02\0";
        for end in 0..answer.len() {
            assert_eq!(judge(&framed, &answer[..end]), Ok(None));
        }
        assert_eq!(judge(&framed, answer), Ok(Some(Verdict::Passed { degraded: false })));
        let header = check(ThriftTransport::Header, Compact);
        let answer = b"\0\0\0\x17\x0f\xff\0\0\0\0\0\0\0\x01\x02\0\0\0\x82\x41\0\x04ping\0";
        assert_eq!(judge(&header, answer), Ok(Some(Verdict::Passed { degraded: false })));
    }

    #[test]
    fn what_is_no_answer_is_told_from_one_that_is_not_there_yet() {
        let framed = check(ThriftTransport::Framed, ThriftProtocol::Binary);
        for said in [
            &b"\0\0\0\0"[..],
            b"\xff\xff\xff\xff",
            b"\0\0\0\x02hi",
            b"\0\0\0\x08\x80\x01\0\x02\x7f\xff\xff\xff",
        ] {
            assert_eq!(judge(&framed, said), Err(Malformed), "{said:?}");
        }
        let header = check(ThriftTransport::Header, ThriftProtocol::Binary);
        assert_eq!(judge(&header, b"\0\0\0\x0a\x0f\xff\0\0\0\0\0\0\xff\xff"), Err(Malformed));
    }
}
