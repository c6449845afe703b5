//! What is said to a Redis server, and what its answer says of it: RESP, without sockets.

use super::session::{Failure, Verdict};
use crate::config::cluster::{RedisCredentials, RedisHealthCheck};

/// How deep arrays may be nested.
const MAX_DEPTH: u32 = 16;

/// What a server said.
#[derive(Debug, PartialEq, Eq)]
enum Reply<'a> {
    Simple(&'a [u8]),
    Error(&'a [u8]),
    Integer(i64),
    /// Strings with a length, arrays and lines without a type.
    Other,
}

/// Bytes that are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The command of a check.
pub(super) fn command(check: &RedisHealthCheck) -> Vec<u8> {
    match &check.key {
        Some(key) => encode(&[b"EXISTS", key.as_bytes()]),
        None => encode(&[b"PING"]),
    }
}

/// The command that says who asks.
pub(super) fn greeting(credentials: &RedisCredentials) -> Vec<u8> {
    match &credentials.username {
        Some(username) => encode(&[b"auth", username, &credentials.password]),
        None => encode(&[b"auth", &credentials.password]),
    }
}

fn encode(words: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// What the server's reply, of which one to a greeting may come first, says of it; `None` before it has come whole.
pub(super) fn judge(
    check: &RedisHealthCheck,
    received: &[u8],
    is_greeted: bool,
) -> Result<Option<Verdict>, Malformed> {
    let Some((mut reply, mut length)) = read(received, 0)? else { return Ok(None) };
    if is_greeted {
        // As in Envoy whatever a server says to that is passed over: it refuses what comes next, if anything.
        let Some((second, end)) = read(&received[length..], 0)? else { return Ok(None) };
        (reply, length) = (second, length + end);
    }
    debug_assert!(length <= received.len(), "a reply lies within what was received");
    Ok(Some(verdict(check.key.is_some(), &reply)))
}

fn verdict(asks_for_key: bool, reply: &Reply<'_>) -> Verdict {
    let passes = match reply {
        Reply::Integer(count) => asks_for_key && *count == 0,
        Reply::Simple(text) => !asks_for_key && *text == b"PONG",
        Reply::Error(text) => {
            let mut words = text.split(|byte| *byte == b' ');
            match words.next() {
                // It is not well enough to be asked.
                Some(b"CLUSTERDOWN") => return Verdict::Failed(Failure::Network),
                // Who sends others elsewhere is well.
                Some(b"MOVED" | b"ASK") => words.count() == 2,
                _ => false,
            }
        }
        Reply::Other => false,
    };
    match passes {
        true => Verdict::Passed { degraded: false },
        false => Verdict::Failed(Failure::Active { retriable: false, status: 0, excluded: false }),
    }
}

/// The reply that bytes begin with, and its length; `None` where more has to come.
fn read(bytes: &[u8], depth: u32) -> Result<Option<(Reply<'_>, usize)>, Malformed> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n") else { return Ok(None) };
    let (line, next) = (&bytes[..end], end + 2);
    let rest = line.get(1..).unwrap_or_default();
    let reply = match line.first() {
        Some(b'+') => Reply::Simple(rest),
        Some(b'-') => Reply::Error(rest),
        Some(b':') => Reply::Integer(number(rest)?),
        Some(b'$') => return Ok(string(bytes, next, number(rest)?)?.map(|end| (Reply::Other, end))),
        Some(b'*') => return Ok(array(bytes, next, number(rest)?, depth)?.map(|end| (Reply::Other, end))),
        _ => Reply::Other,
    };
    Ok(Some((reply, next)))
}

/// Where a string ends of so many bytes; -1 stands for none.
fn string(bytes: &[u8], start: usize, length: i64) -> Result<Option<usize>, Malformed> {
    if length == -1 {
        return Ok(Some(start));
    }
    let length = usize::try_from(length).map_err(|_| Malformed)?;
    let end = start.checked_add(length).and_then(|end| end.checked_add(2)).ok_or(Malformed)?;
    match bytes.get(end - 2..end) {
        None => Ok(None),
        Some(b"\r\n") => Ok(Some(end)),
        Some(_) => Err(Malformed),
    }
}

/// Where an array ends of so many replies; -1 stands for none.
fn array(bytes: &[u8], start: usize, count: i64, depth: u32) -> Result<Option<usize>, Malformed> {
    if count < -1 || depth == MAX_DEPTH {
        return Err(Malformed);
    }
    let mut end = start;
    // Each takes two bytes at least, so that what was received bounds how many are looked at.
    for _ in 0..count {
        match read(&bytes[end..], depth + 1)? {
            Some((_, length)) => end += length,
            None => return Ok(None),
        }
    }
    Ok(Some(end))
}

fn number(digits: &[u8]) -> Result<i64, Malformed> {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSED: Result<Option<Verdict>, Malformed> = Ok(Some(Verdict::Passed { degraded: false }));
    const REFUSED: Result<Option<Verdict>, Malformed> =
        Ok(Some(Verdict::Failed(Failure::Active { retriable: false, status: 0, excluded: false })));
    const DOWN: Result<Option<Verdict>, Malformed> = Ok(Some(Verdict::Failed(Failure::Network)));

    fn check(key: Option<&str>) -> RedisHealthCheck {
        RedisHealthCheck { key: key.map(str::to_owned), credentials: None }
    }

    #[test]
    fn commands_are_arrays_of_strings() {
        assert_eq!(command(&check(None)), b"*1\r\n$4\r\nPING\r\n");
        assert_eq!(command(&check(Some("k"))), b"*2\r\n$6\r\nEXISTS\r\n$1\r\nk\r\n");
        let somebody = |username: Option<&[u8]>| RedisCredentials {
            username: username.map(<[u8]>::to_vec),
            password: b"p".to_vec(),
        };
        assert_eq!(greeting(&somebody(None)), b"*2\r\n$4\r\nauth\r\n$1\r\np\r\n");
        assert_eq!(greeting(&somebody(Some(b"u"))), b"*3\r\n$4\r\nauth\r\n$1\r\nu\r\n$1\r\np\r\n");
    }

    #[test]
    fn a_server_is_well_that_answers_with_pong_or_elsewhere() {
        for (said, expected) in [
            ("+PONG\r\n", PASSED),
            ("-MOVED 1 127.0.0.1:1\r\n", PASSED),
            ("-ASK 1 127.0.0.1:1\r\n", PASSED),
            ("-MOVED 1\r\n", REFUSED),
            ("-ERR no\r\n", REFUSED),
            ("-CLUSTERDOWN the cluster is down\r\n", DOWN),
            ("$4\r\nPONG\r\n", REFUSED),
            (":0\r\n", REFUSED),
            ("hello\r\n", REFUSED),
            ("+PON", Ok(None)),
        ] {
            assert_eq!(judge(&check(None), said.as_bytes(), false), expected, "{said}");
        }
    }

    #[test]
    fn a_server_is_well_whose_key_is_not_there() {
        for (said, expected) in
            [(":0\r\n", PASSED), (":1\r\n", REFUSED), ("+PONG\r\n", REFUSED), (":x\r\n", Err(Malformed))]
        {
            assert_eq!(judge(&check(Some("k")), said.as_bytes(), false), expected, "{said}");
        }
    }

    #[test]
    fn what_is_said_to_a_greeting_is_passed_over() {
        for (said, expected) in [
            ("+OK\r\n", Ok(None)),
            ("+OK\r\n+PONG\r\n", PASSED),
            ("-NO\r\n+PONG\r\n", PASSED),
            ("*2\r\n:1\r\n$2\r\nab\r\n+PONG\r\n", PASSED),
        ] {
            assert_eq!(judge(&check(None), said.as_bytes(), true), expected, "{said}");
        }
    }

    #[test]
    fn arrays_neither_nest_nor_grow_without_end() {
        let deep = "*1\r\n".repeat(100);
        assert_eq!(judge(&check(None), deep.as_bytes(), false), Err(Malformed));
        for (said, expected) in [
            ("*9000000000000000000\r\n:1\r\n", Ok(None)),
            ("*-1\r\n", REFUSED),
            ("*-2\r\n", Err(Malformed)),
            ("$9223372036854775807\r\nx", Ok(None)),
            ("$-1\r\n", REFUSED),
            ("$1\r\nabc", Err(Malformed)),
        ] {
            assert_eq!(judge(&check(None), said.as_bytes(), false), expected, "{said}");
        }
    }
}
