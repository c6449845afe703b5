//! The stream of one host: `xds.service.orca.v3.OpenRcaService/StreamCoreMetrics`, on a connection of its own.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;

use super::session::Heard;
use crate::base::headers::{Headers, Known};
use crate::base::io::Io;
use crate::codec::h2::{self, Settings, Watch};
use crate::codec::{Frame, MessageStream as _, StreamError};
use crate::config::address::Address;
use crate::config::cluster::OutOfBand;
use crate::transport::tls::Greeting;
use crate::upstream::pool::{connect_to, http2_options};
use crate::upstream::{Cluster, Host};

/// The method.
const PATH: &[u8] = b"/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics";

/// `xds.service.orca.v3.OrcaLoadReportRequest`, as far as it is used: no costs of requests are asked for by name.
#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(message, optional, tag = "1")]
    report_interval: Option<Interval>,
}

/// `google.protobuf.Duration`
#[derive(Clone, PartialEq, prost::Message)]
struct Interval {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// Moves the frames of a connection until it ends.
type Driver = Pin<Box<dyn Future<Output = Result<(), StreamError>>>>;

/// A stream on which reports are awaited. Dropped, it closes its connection.
pub(super) struct Stream {
    stream: h2::ClientStream,
    /// `None` once it has ended.
    connection: Option<Driver>,
    watch: Rc<Watch>,
    /// Whether the head of the answer is there.
    begun: bool,
    /// Whether it was told that the connection ends.
    told: bool,
}

impl Stream {
    /// Connects to a host, and asks it for reports.
    pub(super) async fn open(cluster: &Cluster, host: &Host, config: &OutOfBand) -> io::Result<Self> {
        let address = address(host, config);
        let (io, encrypted) = connect(cluster, host, &address, config).await?;
        let common = &cluster.config;
        let settings = Settings {
            max_headers_count: common.http.max_response_headers_count,
            ..Settings::new(
                &http2_options(common),
                common.http.max_response_headers_kb * 1024,
                common.buffer.limit_bytes,
            )
        };
        let connected = h2::connect(io, &settings, cluster.codec_stats.http2()).await;
        let (client, driver) = connected.map_err(io::Error::other)?;
        let mut stream = client.stream();
        let scheme: &[u8] = if encrypted { b"https" } else { b"http" };
        stream.send_headers(&headers(authority(cluster, host, &address, config), scheme), false, false);
        stream.send_data(request(config.reporting_period));
        stream.send_end(None);
        let connection: Option<Driver> = Some(Box::pin(driver.run()));
        Ok(Stream { stream, connection, watch: client.watch(), begun: false, told: false })
    }

    /// What the host says next, or what becomes of the connection. Cancel safe.
    pub(super) async fn next(&mut self) -> Heard {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        // What the host does not take it may have answered already.
        let _sent = self.stream.poll_flush(cx);
        // Before the stream, since what it reads is what that has to say.
        if let Some(connection) = &mut self.connection
            && connection.as_mut().poll(cx).is_ready()
        {
            self.connection = None;
        }
        let heard = if self.begun { self.poll_answer(cx) } else { self.poll_head(cx) };
        let failed = matches!(heard, Poll::Ready(Heard::Lost | Heard::Broken));
        match self.watch.goaway_code() {
            // Where the stream has failed already, an error is why.
            Some(code) if !self.told && (heard.is_pending() || (failed && code != 0)) => {
                self.told = true;
                Poll::Ready(Heard::GoAway(code))
            }
            _ if heard.is_pending() && self.connection.is_none() => Poll::Ready(Heard::Lost),
            _ => heard,
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        let mut headers = Headers::new();
        self.stream.poll_head(cx, &mut headers, false).map(|head| match head {
            Ok(head) => {
                self.begun = true;
                Heard::Head { status: head.status, headers, end: head.end }
            }
            Err(error) => broken(error),
        })
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        self.stream.poll_frame(cx).map(|frame| match frame {
            Ok(Some(Frame::Data(data))) => Heard::Data(data),
            Ok(Some(Frame::Trailers(trailers))) => Heard::Trailers(trailers),
            Ok(None) => Heard::End,
            Err(error) => broken(error),
        })
    }
}

/// What a failure of a stream means.
fn broken(error: StreamError) -> Heard {
    match error {
        StreamError::Closed => Heard::Lost,
        StreamError::Protocol(_) | StreamError::Reset(_) | StreamError::Refused => Heard::Broken,
    }
}

/// Where a host is asked. A host in the file system has no ports.
fn address(host: &Host, config: &OutOfBand) -> Address {
    match (&host.address, config.port) {
        (Address::Ip(address), Some(port)) => Address::Ip((address.ip(), port).into()),
        (address, _) => address.clone(),
    }
}

/// A connection, and whether TLS is spoken on it.
async fn connect(
    cluster: &Cluster,
    host: &Host,
    address: &Address,
    config: &OutOfBand,
) -> io::Result<(Io, bool)> {
    let socket = match &config.transport_socket_match {
        Some(said) => cluster.socket_for(said, host),
        None => cluster.socket_to_connect(host, None),
    };
    let detour = socket.detour(host, None);
    let address = detour.as_ref().map_or(address, |detour| &detour.address);
    let mut stream = connect_to(address, cluster).await?;
    socket.begin(&mut stream, host, None, detour.as_ref(), |_| {}).await?;
    let alpn = [b"h2".to_vec()];
    let greeting = Greeting { alpn: &alpn, hostname: &host.hostname, ..Greeting::default() };
    let (io, tls) = socket.greet(Io::from(stream), greeting).await?;
    Ok((io, tls.is_some()))
}

/// What is configured, or the name of the host, or its address; the cluster's name for a host that has neither.
fn authority(cluster: &Cluster, host: &Host, address: &Address, config: &OutOfBand) -> String {
    match (config.authority.as_str(), &*host.hostname, address) {
        ("", "", Address::Ip(address)) => address.to_string(),
        ("", "", _) => cluster.config.name.clone(),
        ("", name, _) => name.to_owned(),
        (configured, ..) => configured.to_owned(),
    }
}

/// In Envoy's order.
fn headers(authority: String, scheme: &[u8]) -> Headers {
    let mut headers = Headers::new();
    headers.append(Known::Method, b"POST");
    headers.append(Known::Path, PATH);
    headers.append(Known::Authority, authority.as_bytes());
    headers.append(Known::Scheme, scheme);
    headers.append(Known::Te, b"trailers");
    headers.append(Known::ContentType, b"application/grpc");
    headers
}

/// The one message that is sent, with its prefix.
fn request(period: Duration) -> Bytes {
    let report_interval = Some(Interval {
        seconds: i64::try_from(period.as_secs()).unwrap_or(i64::MAX),
        nanos: period.subsec_nanos().cast_signed(),
    });
    let message = Request { report_interval }.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], &message].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_asks_for_a_period_in_a_message_with_its_length() {
        assert_eq!(&request(Duration::from_secs(1))[..], b"\0\0\0\0\x04\x0a\x02\x08\x01");
        assert_eq!(&request(Duration::from_millis(1))[..], b"\0\0\0\0\x06\x0a\x04\x10\xc0\x84\x3d");
    }
}
