//! Names as requests bring them: a host, perhaps with a port.

use std::net::IpAddr;

/// `host` with a port: its own, or else `default_port`; `None` for nothing.
pub fn normalise(host: &str, default_port: u16) -> Option<String> {
    if host.is_empty() {
        return None;
    }
    Some(match split(host) {
        (_, Some(_)) => host.to_owned(),
        (host, None) if host.contains(':') => format!("[{host}]:{default_port}"),
        (host, None) => format!("{host}:{default_port}"),
    })
}

/// What is to be resolved of a name, without the brackets of an IPv6 address, and its port. As in Envoy what stands
/// where a port should is part of the name if it is none.
pub(in crate::upstream) fn split(name: &str) -> (&str, Option<u16>) {
    let (host, port) = match name.rsplit_once(':') {
        Some((host, port)) if !name.ends_with(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (name, None),
        },
        _ => (name, None),
    };
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = bare.filter(|bare| bare.parse::<IpAddr>().is_ok());
    (address.unwrap_or(host), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_port() {
        let table = [
            ("a.test", "a.test:80"),
            ("a.test:8080", "a.test:8080"),
            ("127.0.0.1", "127.0.0.1:80"),
            ("[::1]", "[::1]:80"),
            ("[::1]:443", "[::1]:443"),
        ];
        for (host, expected) in table {
            assert_eq!(normalise(host, 80).as_deref(), Some(expected), "{host}");
        }
        assert_eq!(normalise("", 80), None);
    }

    #[test]
    fn addresses_lose_their_brackets() {
        assert_eq!(split("[::1]:443"), ("::1", Some(443)));
        assert_eq!(split("a.test:http"), ("a.test:http", None));
        assert_eq!(split("[a.test]:1"), ("[a.test]", Some(1)));
    }
}
