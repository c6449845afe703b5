//! The hash of a request by which `RING_HASH` and `MAGLEV` choose its host.

use std::net::IpAddr;

use crate::base::headers::{self as header, Headers, Name, cookie};
use crate::base::xxhash;
use crate::config::matching::query_parameter;
use crate::config::route::{HashCookie, HashKey, HashPolicy};
use crate::observability::stream_info::{Notes, StateObject};

use super::matcher::split_query;

/// What is known of a request.
#[derive(Clone, Copy, Debug)]
pub struct Known<'r> {
    /// Its headers.
    pub headers: &'r Headers,
    /// The client's address after `x-forwarded-for`, if it has an IP address.
    pub client: Option<IpAddr>,
    /// What filters noted, if they did.
    pub notes: Option<&'r Notes>,
}

/// The hash; `None` where no policy finds anything.
///
/// `give` makes the value of a cookie that the client does not have yet, where the policy wants that; `None` gives
/// none.
pub fn hash(
    policies: &[HashPolicy],
    request: Known<'_>,
    mut give: impl FnMut(&HashCookie) -> Option<String>,
) -> Option<u64> {
    let mut hash: Option<u64> = None;
    for policy in policies {
        if let Some(part) = part(&policy.key, request, &mut give) {
            // Rotated, so that a policy that stands twice does not undo itself.
            hash = Some(hash.unwrap_or_default().rotate_left(1) ^ part);
        }
        if policy.terminal && hash.is_some() {
            break;
        }
    }
    hash
}

/// What one policy finds.
fn part(
    key: &HashKey,
    Known { headers, client, notes }: Known<'_>,
    give: &mut impl FnMut(&HashCookie) -> Option<String>,
) -> Option<u64> {
    match key {
        HashKey::Header { name, rewrite } => {
            let values = headers.get_all(Name::new(name.as_bytes()));
            match rewrite {
                Some(rewrite) => of_values(values.map(|value| rewrite.apply(value)).collect()),
                None => of_values(values.collect()),
            }
        }
        HashKey::Cookie(wanted) => match cookie(headers, wanted.name.as_bytes()) {
            Some(value) if !value.is_empty() => Some(xxhash::hash(value)),
            _ => wanted.ttl.and_then(|_| give(wanted)).map(|value| xxhash::hash(value.as_bytes())),
        },
        HashKey::SourceIp => client.map(|address| xxhash::hash(address.to_string().as_bytes())),
        HashKey::QueryParameter(name) => {
            let (_, query) = split_query(headers.get(header::Known::Path)?);
            query_parameter(query, name.as_bytes()).map(xxhash::hash)
        }
        HashKey::FilterState(name) => match notes?.state(name)? {
            StateObject::HashableText(text) | StateObject::Address(_, text) => Some(xxhash::hash(text)),
            _ => None,
        },
    }
}

/// Of a header's values, whatever their order; `None` without any.
fn of_values<V: AsRef<[u8]> + Ord>(mut values: smallvec::SmallVec<[V; 2]>) -> Option<u64> {
    values.sort_unstable();
    values.iter().fold(None, |seed, value| Some(xxhash::hash_with_seed(value.as_ref(), seed.unwrap_or(0))))
}

/// The value of the cookie that a client on this connection is given: the same for all its requests.
pub fn cookie_value(remote: &str, local: &str) -> String {
    format!("{:016x}", xxhash::hash(format!("{remote}{local}").as_bytes()))
}

/// `Set-Cookie` of a cookie that a client is given.
pub fn set_cookie(cookie: &HashCookie, value: &str) -> String {
    let mut text = format!("{}=\"{value}\"", cookie.name);
    if let Some(ttl) = cookie.ttl.filter(|ttl| *ttl > 0) {
        text.push_str(&format!("; Max-Age={ttl}"));
    }
    if !cookie.path.is_empty() {
        text.push_str(&format!("; Path={}", cookie.path));
    }
    for (name, value) in &cookie.attributes {
        text.push_str("; ");
        text.push_str(name);
        if !value.is_empty() {
            text.push_str(&format!("={value}"));
        }
    }
    text.push_str("; HttpOnly");
    text
}

#[cfg(test)]
mod tests {
    use super::super::testing::request;
    use super::*;

    fn header(name: &str, terminal: bool) -> HashPolicy {
        HashPolicy { key: HashKey::Header { name: name.into(), rewrite: None }, terminal }
    }

    fn of(policies: &[HashPolicy], received: &[(&str, &str)]) -> Option<u64> {
        let mut headers = request("h", "/?q=1&q=2");
        received.iter().for_each(|(name, value)| headers.append_received(name.as_bytes(), value.as_bytes()));
        let known = Known { headers: &headers, client: None, notes: None };
        hash(policies, known, |_| Some("given".to_owned()))
    }

    #[test]
    fn the_order_of_a_headers_values_does_not_count() {
        let policies = [header("a", false)];
        assert_eq!(of(&policies, &[("a", "1"), ("a", "2")]), of(&policies, &[("a", "2"), ("a", "1")]));
        assert_eq!(of(&policies, &[("a", "1")]), Some(xxhash::hash(b"1")));
        assert_eq!(of(&policies, &[("b", "1")]), None);
    }

    #[test]
    fn a_terminal_policy_ends_the_list_once_there_is_a_hash() {
        let policies = [header("a", true), header("b", false)];
        let both = [("a", "1"), ("b", "2")];
        assert_eq!(of(&policies, &both), Some(xxhash::hash(b"1")));
        assert_eq!(of(&policies, &both[1..]), Some(xxhash::hash(b"2")));
        let all = of(&[header("a", false), header("b", false)], &both);
        assert_eq!(all, Some(xxhash::hash(b"1").rotate_left(1) ^ xxhash::hash(b"2")));
    }

    #[test]
    fn a_cookie_is_given_only_where_it_has_a_life() {
        let cookie = |ttl| HashCookie { name: "c".into(), ttl, path: "/p".into(), attributes: Vec::new() };
        let policy = |ttl| [HashPolicy { key: HashKey::Cookie(cookie(ttl)), terminal: false }];
        assert_eq!(of(&policy(None), &[]), None);
        assert_eq!(of(&policy(Some(0)), &[]), Some(xxhash::hash(b"given")));
        assert_eq!(of(&policy(Some(0)), &[("cookie", "c=x")]), Some(xxhash::hash(b"x")));
        assert_eq!(set_cookie(&cookie(Some(0)), "v"), "c=\"v\"; Path=/p; HttpOnly");
        let more = HashCookie {
            attributes: vec![("SameSite".into(), "Strict".into()), ("Secure".into(), String::new())],
            ..cookie(Some(5))
        };
        assert_eq!(set_cookie(&more, "v"), "c=\"v\"; Max-Age=5; Path=/p; SameSite=Strict; Secure; HttpOnly");
    }

    #[test]
    fn only_objects_of_the_filter_state_that_say_so_are_hashed() {
        let headers = request("h", "/");
        let mut notes = Notes::default();
        notes.set_state("hashed", StateObject::HashableText(b"x".as_slice().into()));
        notes.set_state("text", StateObject::Text(b"x".as_slice().into()));
        let of = |name: &str| {
            let policy = HashPolicy { key: HashKey::FilterState(name.into()), terminal: false };
            hash(&[policy], Known { headers: &headers, client: None, notes: Some(&notes) }, |_| None)
        };
        assert_eq!([of("hashed"), of("text"), of("none")], [Some(xxhash::hash(b"x")), None, None]);
    }

    #[test]
    fn the_first_of_equal_query_parameters_is_hashed() {
        let policy = HashPolicy { key: HashKey::QueryParameter("q".into()), terminal: false };
        assert_eq!(of(&[policy], &[]), Some(xxhash::hash(b"1")));
    }
}
