//! Connecting to a host that has several addresses (RFC 8305): one after the other, the next when one fails or has
//! not answered for a while, and the first that answers wins.

use std::future::Future;
use std::io;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};

use crate::base::io::Socket as Stream;
use crate::config::address::Address;
use crate::config::cluster::{HappyEyeballs, IpVersion};

/// Time after which the next address is tried beside those that have not answered; Envoy's.
const ATTEMPT_DELAY: Duration = Duration::from_millis(300);

/// The order of the attempts: some of the preferred version, then one of the other, and so on (RFC 8305 §4).
pub(super) fn order(addresses: Vec<Address>, config: &HappyEyeballs) -> Vec<Address> {
    let is_v4 = |address: &Address| address.ip().is_some_and(|ip| ip.is_ipv4());
    let first_is_v4 = match config.first_version {
        Some(version) => version == IpVersion::V4,
        None => addresses.first().is_some_and(is_v4),
    };
    let total = addresses.len();
    let (preferred, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| is_v4(address) == first_is_v4);
    let (mut preferred, mut others) = (preferred.into_iter(), others.into_iter());
    let mut ordered = Vec::with_capacity(total);
    while ordered.len() < total {
        ordered.extend(preferred.by_ref().take(config.first_count as usize));
        ordered.extend(others.next());
    }
    ordered
}

/// The first connection that is established; the others are given up. When all attempts fail, why the last did.
/// `another` hears of each attempt after the first.
pub(super) async fn race<'a, F>(
    addresses: &'a [Address],
    attempt: impl Fn(&'a Address) -> F,
    another: impl Fn(),
) -> io::Result<Stream>
where
    F: Future<Output = io::Result<Stream>>,
{
    let mut rest = addresses.iter();
    let mut attempts: FuturesUnordered<F> = rest.next().map(&attempt).into_iter().collect();
    let next = |address| {
        another();
        attempt(address)
    };
    let mut failure = io::Error::other("the host has no address");
    loop {
        tokio::select! {
            biased;
            ended = attempts.next() => match ended {
                Some(Ok(io)) => return Ok(io),
                Some(Err(error)) => {
                    failure = error;
                    attempts.extend(rest.next().map(next));
                }
                None => return Err(failure),
            },
            () = tokio::time::sleep(ATTEMPT_DELAY), if rest.len() > 0 => attempts.extend(rest.next().map(next)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<Address> {
        texts.iter().map(|text| Address::Ip(text.parse().expect("an address"))).collect()
    }

    #[test]
    fn versions_take_turns_beginning_with_the_preferred() {
        let check = |first_version, first_count, expected: &[&str]| {
            let given = addresses(&["[::1]:1", "[::2]:1", "1.0.0.1:1", "1.0.0.2:1", "1.0.0.3:1"]);
            let ordered = order(given, &HappyEyeballs { first_version, first_count });
            assert_eq!(ordered, addresses(expected));
        };
        check(None, 1, &["[::1]:1", "1.0.0.1:1", "[::2]:1", "1.0.0.2:1", "1.0.0.3:1"]);
        check(Some(IpVersion::V4), 1, &["1.0.0.1:1", "[::1]:1", "1.0.0.2:1", "[::2]:1", "1.0.0.3:1"]);
        check(Some(IpVersion::V6), 2, &["[::1]:1", "[::2]:1", "1.0.0.1:1", "1.0.0.2:1", "1.0.0.3:1"]);
    }

    /// When each attempt began, in milliseconds, with attempts that behave as told; what came of it; and how many
    /// further attempts were heard of.
    async fn play(behaviour: &[&'static str]) -> (Vec<u128>, String, u32) {
        let texts: Vec<_> = (1..=behaviour.len()).map(|port| format!("127.0.0.1:{port}")).collect();
        let addresses = addresses(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let started = tokio::time::Instant::now();
        let (begun, others) = (RefCell::new(Vec::new()), Cell::new(0));
        let attempt = |_: &Address| {
            let index = begun.borrow().len();
            begun.borrow_mut().push(started.elapsed().as_millis());
            let behaves = behaviour[index];
            async move {
                match behaves {
                    "silent" => std::future::pending().await,
                    "connects" => Ok(Stream::Unix(tokio::net::UnixStream::pair()?.0)),
                    reason => Err(io::Error::other(reason)),
                }
            }
        };
        let race = race(&addresses, attempt, || others.set(others.get() + 1));
        let outcome = match tokio::time::timeout(Duration::from_secs(5), race).await {
            Ok(Ok(_)) => "connected".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "timeout".to_owned(),
        };
        (begun.into_inner(), outcome, others.get())
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_lets_the_next_begin_at_once_and_silence_after_a_while() {
        for (behaviour, begun, outcome) in [
            (&["connects", "connects"][..], &[0][..], "connected"),
            (&["refused", "connects"], &[0, 0], "connected"),
            (&["silent", "connects"], &[0, 300], "connected"),
            (&["silent", "refused", "connects"], &[0, 300, 300], "connected"),
            (&["silent", "silent"], &[0, 300], "timeout"),
            (&["refused", "unreachable"], &[0, 0], "unreachable"),
        ] {
            let played = play(behaviour).await;
            assert_eq!(played, (begun.to_vec(), outcome.to_owned(), begun.len() as u32 - 1), "{behaviour:?}");
        }
    }
}
