//! Proxies that connections to hosts go through: `envoy.transport_sockets.http_11_proxy`.
//!
//! A request names one by filter state, a host or its locality by metadata, and the transport socket as the default, in
//! this order. As in Envoy the first two lead connections to the proxy whatever the transport socket is; a tunnel is asked
//! for (RFC 9110 §9.3.6) by this socket alone, and only where TLS goes through it or metadata alone names the proxy.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncWriteExt as _;

use super::{Host, TransportOptions};
use crate::base::headers::Headers;
use crate::base::io::Socket as Stream;
use crate::codec::h1::{HeadLimits, HeadParser};
use crate::config::address::Address;
use crate::route::domains::without_port;

/// Bytes that the answer to CONNECT may have; Envoy's.
const MAX_ANSWER: usize = 2000;

/// The port that a tunnel leads to where nothing else is said.
const DEFAULT_PORT: u16 = 443;

/// The proxy that a request names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpProxy {
    /// Where tunnels lead to: a name or an address, and a port.
    target: Box<str>,
    /// Where the proxy is.
    address: SocketAddr,
}

impl HttpProxy {
    /// From what filter state says: `<host:port>,<proxy_ip:port>`; the first port is 443 where there is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (target, address) = text.split_once(',')?;
        let target = target.trim();
        if target.is_empty() || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let has_port = without_port(target.as_bytes()).len() < target.len();
        let target = if has_port { target.into() } else { format!("{target}:{DEFAULT_PORT}").into() };
        Some(HttpProxy { target, address: address.trim().parse().ok()? })
    }
}

/// The way to a host that leads through a proxy.
#[derive(Debug)]
pub(super) struct Detour {
    /// Where the proxy is.
    pub(super) address: Address,
    /// What it is asked for, by who asks.
    target: Option<String>,
}

impl Detour {
    /// The way to this host, if it leads through a proxy. `default` is the transport socket's own, and `encrypted` says
    /// whether TLS goes through the tunnel.
    pub(super) fn to(
        host: &Host,
        said: Option<&TransportOptions>,
        default: Option<&Address>,
        encrypted: bool,
    ) -> Option<Self> {
        if let Some(proxy) = said.and_then(|said| said.http_proxy.as_deref()) {
            let target = encrypted.then(|| proxy.target.to_string());
            return Some(Detour { address: Address::Ip(proxy.address), target });
        }
        let named = host.http11_proxy();
        let asks = encrypted || (named.is_some() && default.is_none());
        let address = named.or_else(|| default.cloned())?;
        Some(Detour { address, target: asks.then(|| target(host)) })
    }

    /// Asks for a tunnel where one is needed, and hears the answer; `sent` is told how many bytes that took.
    pub(super) async fn open(&self, stream: &mut Stream, sent: &impl Fn(u64)) -> io::Result<()> {
        let Some(target) = &self.target else { return Ok(()) };
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        sent(request.len() as u64);
        answered(stream).await
    }
}

/// What a proxy is asked for to reach the host.
fn target(host: &Host) -> String {
    let named = Some(&host.hostname).filter(|name| !name.is_empty());
    match (&host.address, named) {
        (Address::Ip(address), Some(name)) => format!("{name}:{}", address.port()),
        _ => host.address_text.to_string(),
    }
}

/// Takes the head of the answer, and nothing that follows it: that is the host's.
async fn answered(stream: &mut Stream) -> io::Result<()> {
    let mut buffer = [0; MAX_ANSWER];
    let mut known = 0;
    loop {
        let last = stream.ready_to_read().await?;
        known = match stream.try_peek(&mut buffer, known) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !last => continue,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Ok(there) if there > 0 => there,
            _ => return Err(NoTunnel::because("the proxy left")),
        };
        let Some((status, length)) = head(&buffer[..known])? else {
            if known == MAX_ANSWER {
                return Err(NoTunnel::because("the proxy's answer is too long"));
            }
            continue;
        };
        if status != 200 {
            return Err(NoTunnel::because(format!("the proxy answered {status}")));
        }
        return stream.try_take(&mut buffer[..length]);
    }
}

/// The status of an answer and how many bytes it has, once its head is there.
fn head(bytes: &[u8]) -> io::Result<Option<(u16, usize)>> {
    let limits = HeadLimits { bytes: MAX_ANSWER, count: MAX_ANSWER };
    let read = HeadParser::default().response(bytes, limits, &mut Headers::new());
    let read = read.map_err(|error| NoTunnel::because(error.to_string()))?;
    Ok(read.map(|(line, length)| (line.status, length)))
}

/// A proxy made no tunnel. As in Envoy access logs do not tell why.
#[derive(Debug, thiserror::Error)]
#[error("")]
pub struct NoTunnel;

impl NoTunnel {
    fn because(why: impl Into<Cow<'static, str>>) -> io::Error {
        tracing::debug!(target: "connection", why = &*why.into(), "no tunnel");
        io::Error::other(NoTunnel)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;

    #[test]
    fn a_request_names_the_target_and_the_proxy() {
        let parsed = |text: &str| {
            let proxy = HttpProxy::parse(text)?;
            Some(format!("{} {}", proxy.target, proxy.address))
        };
        let check =
            |text: &str, expected: Option<&str>| assert_eq!(parsed(text).as_deref(), expected, "{text}");
        check("a.example:80,127.0.0.1:15002", Some("a.example:80 127.0.0.1:15002"));
        check(" a.example , [::1]:15002 ", Some("a.example:443 [::1]:15002"));
        check("[::1],127.0.0.1:1", Some("[::1]:443 127.0.0.1:1"));
        check("a.example:80", None);
        check("a b:80,127.0.0.1:1", None);
        check(",127.0.0.1:1", None);
        check("a.example,proxy.example:1", None);
    }

    async fn heard(answer: &str) -> (String, String) {
        let (mut proxy, ours) = UnixStream::pair().expect("a pair");
        proxy.write_all(answer.as_bytes()).await.expect("room");
        proxy.shutdown().await.expect("it is open");
        let mut stream = Stream::Unix(ours);
        let outcome = answered(&mut stream).await.map_or_else(|_| "none", |()| "tunnel").to_owned();
        let mut rest = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut rest).await.expect("text");
        (outcome, rest)
    }

    #[tokio::test]
    async fn what_follows_the_answer_is_left() {
        let tunnel = |rest: &str| ("tunnel".to_owned(), rest.to_owned());
        assert_eq!(heard("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc").await, tunnel("abc"));
        assert_eq!(heard("HTTP/1.0 200 Connection established\r\n\r\n").await, tunnel(""));
    }

    #[tokio::test]
    async fn nothing_but_200_is_a_tunnel() {
        let long = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(MAX_ANSWER));
        for answer in ["HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\n", "", "SSH-2.0\r\n\r\n", &long]
        {
            assert_eq!(heard(answer).await.0, "none", "{answer}");
        }
    }
}
