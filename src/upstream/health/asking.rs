//! Asking a host whether it is well: connections, requests and their answers.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};

use super::answer::{Answer, judge};
use super::call;
use super::client::Client;
use super::http2::Http2;
use super::session::{Failure, Verdict};
use super::talking::MAX_RECEIVED;
use crate::base::headers::{Headers, Known};
use crate::base::io::Io;
use crate::codec::h1::client::ResponseHead;
use crate::codec::h1::{self, HeadLimits, Limits};
use crate::codec::{Frame, MessageStream, StreamError};
use crate::config::cluster::{Checker, Codec, HealthCheck, HttpHealthCheck};
use crate::config::runtime::Values;
use crate::observability::format::{self, Absent, Context as FormatContext};
use crate::observability::stream_info::{Address, ConnectionInfo, StreamInfo, TlsInfo};
use crate::route::grpc_timeout;
use crate::route::mutation;
use crate::transport::tls::Greeting;
use crate::upstream::pool::connect_to;
use crate::upstream::{Cluster, Host};

/// Who asks one host, and the connection that is kept for it.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) cluster: Arc<Cluster>,
    pub(super) host: Arc<Host>,
    /// Which of the cluster's checks this is.
    pub(super) check: usize,
    pub(super) connection: Option<Connection>,
}

/// A connection that is kept for the next check.
#[derive(Debug)]
pub(super) enum Connection {
    Http1(Box<h1::Client>),
    Http2(Http2),
    /// Of checks that speak no HTTP.
    Tcp(Io),
    Redis(Box<Client>),
}

impl Asking {
    pub(super) fn new(cluster: Arc<Cluster>, host: Arc<Host>, check: usize) -> Self {
        Asking { cluster, host, check, connection: None }
    }

    fn config(&self) -> Option<&HealthCheck> {
        self.cluster.config.health_checks.get(self.check)
    }

    /// Asks once. Dropped before it has ended, it closes the connection.
    ///
    /// `verified` hears when the answer's word of its service was looked at.
    pub(super) async fn ask(
        &mut self,
        check: &HealthCheck,
        runtime: &Values,
        verified: impl FnOnce(),
    ) -> Verdict {
        match &check.checker {
            Checker::Http(http) => match self.request(http).await {
                Ok(answer) => judge(http, &answer, runtime, verified),
                Err(_) => Verdict::Failed(Failure::Network),
            },
            Checker::Grpc(grpc) => {
                let headers = self.request_headers(grpc);
                let answered = self.over_http2(grpc, &headers, |answer| call::judge(answer).is_some()).await;
                // An answer of which enough has come says something.
                let verdict = answered.ok().and_then(|answer| call::judge(&answer));
                verdict.unwrap_or(Verdict::Failed(Failure::Network))
            }
            Checker::Tcp { send, receive, proxied } => {
                match self.talk(send, receive, proxied.as_deref()).await {
                    Ok(io) => {
                        self.connection = io.filter(|_| check.reuse_connection).map(Connection::Tcp);
                        Verdict::Passed { degraded: false }
                    }
                    Err(_) => Verdict::Failed(Failure::Network),
                }
            }
            Checker::Thrift(thrift) => match self.call(thrift).await {
                Ok((verdict, io)) => {
                    self.connection = check.reuse_connection.then_some(Connection::Tcp(io));
                    verdict
                }
                Err(_) => Verdict::Failed(Failure::Network),
            },
            Checker::Redis(redis) => match self.command(redis).await {
                Ok((verdict, client)) => {
                    self.connection = check.reuse_connection.then_some(Connection::Redis(client));
                    verdict
                }
                Err(_) => Verdict::Failed(Failure::Network),
            },
            Checker::Udp { send, receive } => self.datagram(send, receive).await,
        }
    }

    /// The time of a call, where checks are calls of gRPC.
    pub(super) fn call_timeout(&self) -> Option<Duration> {
        let config = self.config()?;
        matches!(config.checker, Checker::Grpc(_)).then_some(config.timeout)
    }

    /// Connects to the host as its checks do.
    pub(super) async fn connect(&self) -> io::Result<Io> {
        self.greeted().await.map(|(io, _)| io)
    }

    /// The same with what was agreed on, where TLS is spoken.
    pub(super) async fn greeted(&self) -> io::Result<(Io, Option<TlsInfo>)> {
        let config = self.config();
        // As in Envoy what speaks to Redis is made for requests, and knows nothing of another way for checks.
        let config = config.filter(|config| !matches!(config.checker, Checker::Redis(_)));
        let fallback: &[&[u8]] = match config.map(|config| &config.checker) {
            Some(Checker::Http(check)) if check.use_alpn_protocol => &[],
            Some(Checker::Http(check)) if matches!(check.codec, Codec::Http1) => &[b"http/1.1"],
            Some(Checker::Http(_) | Checker::Grpc(_)) => &[b"h2"],
            _ => &[],
        };
        let greeting = Greeting {
            alpn: config.map(|config| &*config.alpn_protocols).unwrap_or_default(),
            alpn_fallback: fallback,
            hostname: &self.host.hostname,
            ..Greeting::default()
        };
        let socket = match config.and_then(|config| config.transport_socket_match.as_ref()) {
            Some(said) => self.cluster.socket_for(said, &self.host),
            None => self.cluster.socket_to_connect(&self.host, None),
        };
        let detour = socket.detour(&self.host, None);
        let own = if config.is_some() { &self.host.check_address } else { &self.host.address };
        let address = detour.as_ref().map_or(own, |detour| &detour.address);
        let mut stream = connect_to(address, &self.cluster).await?;
        socket.begin(&mut stream, &self.host, None, detour.as_ref(), |_| {}).await?;
        socket.greet(Io::from(stream), greeting).await
    }

    pub(super) fn http1_on(&self, io: Io) -> Box<h1::Client> {
        let config = &self.cluster.config;
        let head = HeadLimits {
            bytes: config.http.max_response_headers_kb as usize * 1024,
            count: config.http.max_response_headers_count as usize,
        };
        Box::new(h1::Client::new(io, Limits { head, buffer_bytes: None }, false))
    }

    /// Keeps a connection for the next check, where connections are.
    pub(super) fn keep(&mut self, connection: Option<Connection>) {
        let reuse = self.config().is_some_and(|config| config.reuse_connection);
        self.connection = connection.filter(|_| reuse);
    }

    async fn request(&mut self, check: &HttpHealthCheck) -> Result<Answer, StreamError> {
        let headers = self.request_headers(check);
        let codec = if check.use_alpn_protocol { self.agree(check.codec).await? } else { check.codec };
        match codec {
            Codec::Http1 => self.over_http1(check, &headers).await,
            Codec::Http2 => self.over_http2(check, &headers, |_| false).await,
        }
    }

    async fn over_http1(
        &mut self,
        check: &HttpHealthCheck,
        headers: &Headers,
    ) -> Result<Answer, StreamError> {
        let kept = match self.connection.take() {
            Some(Connection::Http1(mut client)) => is_usable(&mut client).then_some(client),
            _ => None,
        };
        let mut client = match kept {
            Some(client) => client,
            None => {
                let io = self.connect().await.map_err(|_| StreamError::Closed)?;
                self.http1_on(io)
            }
        };
        client.send_headers(headers, check.send.is_empty(), false);
        let answer = converse(
            &mut *client,
            check,
            |client, cx, headers| client.poll_head(cx, headers, false),
            |_| false,
        );
        let answer = answer.await?;
        let reusable = client.is_reusable();
        client.release();
        self.keep(reusable.then_some(Connection::Http1(client)));
        Ok(answer)
    }

    fn request_headers(&self, check: &HttpHealthCheck) -> Headers {
        let mut headers = Headers::new();
        let host = [&self.host.check_hostname, check.host.as_str(), &self.cluster.config.name];
        let host = host.into_iter().find(|host| !host.is_empty()).unwrap_or_default();
        headers.set(Known::Method, check.method.as_bytes());
        headers.set(Known::Authority, host.as_bytes());
        headers.set(Known::Path, check.path.as_bytes());
        let encrypted = self.cluster.is_encrypted(&self.host);
        headers.set(Known::Scheme, if encrypted { b"https" } else { b"http" });
        let call = self.call_timeout();
        if call.is_some() {
            headers.set(Known::Te, b"trailers");
            headers.set(Known::ContentType, b"application/grpc");
        }
        headers.set(Known::UserAgent, b"Envoy/HC");
        // As in Envoy nobody has asked for it.
        let nobody = Address::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let connection = Rc::new(ConnectionInfo::new(0, nobody.clone(), nobody));
        let info = StreamInfo::new(Instant::now(), SystemTime::now(), connection);
        let response = Headers::new();
        mutation::change_request(
            &mut headers,
            &check.request_remove,
            &check.request_add,
            &mut |format, request, out| {
                let context = FormatContext::new(&info, request, &response);
                format::render(format, &context, Absent::Omit, out);
            },
        );
        if let Some(timeout) = call {
            grpc_timeout::write(&mut headers, timeout);
        } else if !check.send.is_empty() {
            headers.set(Known::ContentLength, itoa::Buffer::new().format(check.send.len()).as_bytes());
        }
        headers
    }
}

/// Whether a connection that was kept serves another request.
pub(super) fn is_usable(kept: &mut h1::Client) -> bool {
    kept.poll_unusable(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// Sends the body, and reads the answer until it is `enough` or has ended.
pub(super) async fn converse<S: MessageStream>(
    stream: &mut S,
    check: &HttpHealthCheck,
    poll_head: impl Fn(&mut S, &mut Context<'_>, &mut Headers) -> Poll<Result<ResponseHead, StreamError>>,
    enough: impl Fn(&Answer) -> bool,
) -> Result<Answer, StreamError> {
    if !check.send.is_empty() {
        stream.send_data(Bytes::copy_from_slice(&check.send));
        stream.send_end(None);
    }
    let mut headers = Headers::new();
    let head = poll_fn(|cx| {
        // What the host does not take it may have answered already.
        let _sent = stream.poll_flush(cx);
        poll_head(stream, cx, &mut headers)
    })
    .await?;
    let limit = match check.response_buffer_size {
        0 => MAX_RECEIVED,
        size => usize::try_from(size).unwrap_or(MAX_RECEIVED),
    };
    let mut answer =
        Answer { status: head.status, headers, body: BytesMut::new(), trailers: None, ended: head.end };
    while !answer.ended && !enough(&answer) {
        match poll_fn(|cx| stream.poll_frame(cx)).await? {
            Some(Frame::Data(data)) => {
                let room = limit.saturating_sub(answer.body.len()).min(data.len());
                answer.body.extend_from_slice(&data[..room]);
            }
            Some(Frame::Trailers(came)) => answer.trailers = Some(came),
            None => answer.ended = true,
        }
    }
    Ok(answer)
}
