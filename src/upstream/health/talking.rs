//! Checks that speak no HTTP: bytes on a connection, and datagrams.

use std::future::poll_fn;
use std::io;

use bytes::{Bytes, BytesMut};

use super::asking::{Asking, Connection};
use super::client::Client;
use super::session::{Failure, Verdict};
use super::{redis, thrift};
use crate::base::io::Io;
use crate::codec::h1;
use crate::config::address::Address;
use crate::config::cluster::{Payload, RedisHealthCheck, ThriftHealthCheck};
use crate::config::transport_socket::ProxyProtocol;
use crate::upstream::pool::datagrams_to;
use crate::upstream::proxy_protocol;

/// Bytes read at once.
const READ_SIZE: usize = 4096;

/// Bytes kept of what a host says: what it has to say is far shorter.
pub(super) const MAX_RECEIVED: usize = 1 << 20;

impl Asking {
    /// Ready when a host that speaks no HTTP ends the connection that is kept for it: to Envoy that is a failure.
    pub(super) async fn ended(&mut self) {
        match &self.connection {
            Some(Connection::Tcp(io)) => until_end(io).await,
            // Of a Redis server it is none: the next check makes another connection.
            Some(Connection::Redis(client)) => {
                if let Some(io) = client.io() {
                    until_end(io).await;
                    client.ended();
                }
                self.connection = None;
                return std::future::pending().await;
            }
            _ => return std::future::pending().await,
        }
        self.connection = None;
    }

    /// Says what is to be said and hears what is to be heard; the connection, where it may serve again.
    pub(super) async fn talk(
        &mut self,
        send: &[u8],
        receive: &Payload,
        proxied: Option<&ProxyProtocol>,
    ) -> io::Result<Option<Io>> {
        let io = self.bare().await?;
        // As in Envoy a host that has nothing to say is told nothing: it is well where there is a connection.
        if receive.is_empty() {
            return Ok(None);
        }
        let mut said = Vec::new();
        if let Some(config) = proxied {
            let own = io.local_address().zip(io.remote_address());
            said.push(proxy_protocol::header(config, &[], None, own, &|| None).0.into());
        }
        said.push(Bytes::copy_from_slice(send));
        say(&io, said).await?;
        hear(&io, |received| Ok(receive.is_in(received).then_some(()))).await?;
        Ok(Some(io))
    }

    /// Calls a method; what the answer says of the host, and the connection.
    pub(super) async fn call(&mut self, check: &ThriftHealthCheck) -> io::Result<(Verdict, Io)> {
        let io = self.bare().await?;
        say(&io, vec![thrift::call(check).into()]).await?;
        let verdict = hear(&io, |received| thrift::judge(check, received).map_err(|_| malformed())).await?;
        Ok((verdict, io))
    }

    async fn bare(&mut self) -> io::Result<Io> {
        match self.connection.take() {
            Some(Connection::Tcp(io)) => Ok(io),
            _ => self.connect().await,
        }
    }

    /// Sends a command; what the reply says of the host, and the connection.
    pub(super) async fn command(&mut self, check: &RedisHealthCheck) -> io::Result<(Verdict, Box<Client>)> {
        let kept = match self.connection.take() {
            Some(Connection::Redis(client)) => Some(client),
            _ => None,
        };
        let credentials = check.credentials.as_ref().filter(|_| kept.is_none());
        let mut client = kept.unwrap_or_else(|| Box::new(Client::new(&self.cluster, &self.host)));
        let mut said = Vec::new();
        // As in Envoy what is asked counts before there is a connection.
        if let Some(credentials) = credentials {
            client.asked();
            said.push(redis::greeting(credentials).into());
        }
        client.asked();
        said.push(redis::command(check).into());
        if client.io().is_none() {
            let io = self.connect().await.inspect_err(|_| client.failed_to_connect())?;
            client.connected(io);
        }
        let verdict = heard_by(&client, said, |received| {
            redis::judge(check, received, credentials.is_some()).map_err(|_| malformed())
        });
        let verdict = verdict.await?;
        client.answered();
        Ok((verdict, client))
    }

    /// Sends a datagram, and waits for the one that has to come.
    pub(super) async fn datagram(&self, send: &[u8], receive: &[u8]) -> Verdict {
        match self.echoed(send, receive).await {
            Ok(()) => Verdict::Passed { degraded: false },
            Err(_) => Verdict::Failed(Failure::Network),
        }
    }

    /// Each has a socket of its own, so that what was sent to the last is not heard by the next.
    async fn echoed(&self, send: &[u8], receive: &[u8]) -> io::Result<()> {
        let Address::Ip(address) = self.host.check_address else {
            return Err(io::Error::other("datagrams go to addresses of IP"));
        };
        let socket = datagrams_to(address, self.cluster.bind.as_deref())?;
        socket.send(send).await?;
        // One byte more, so that what is longer does not look the same.
        let mut buffer = vec![0; receive.len() + 1];
        loop {
            let length = socket.recv(&mut buffer).await?;
            if buffer[..length] == *receive {
                return Ok(());
            }
        }
    }
}

/// Ready when the other end has ended the connection, whatever it says before.
async fn until_end(io: &Io) {
    let mut ignored = BytesMut::new();
    loop {
        ignored.clear();
        ignored.reserve(READ_SIZE);
        match poll_fn(|cx| io.poll_read(cx, &mut ignored)).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

async fn say(io: &Io, said: Vec<Bytes>) -> io::Result<()> {
    let mut output = h1::Output::default();
    for bytes in said {
        output.push(bytes);
    }
    poll_fn(|cx| output.poll_flush(io, cx)).await
}

/// Reads until what was read says something.
async fn hear<T>(io: &Io, mut judge: impl FnMut(&[u8]) -> io::Result<Option<T>>) -> io::Result<T> {
    let mut received = BytesMut::new();
    loop {
        if let Some(said) = judge(&received)? {
            return Ok(said);
        }
        received.reserve(READ_SIZE);
        let read = poll_fn(|cx| io.poll_read(cx, &mut received)).await?;
        if read == 0 || received.len() > MAX_RECEIVED {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
    }
}

/// The same of a Redis server, with a note of how the connection ended if it did.
async fn heard_by<T>(
    client: &Client,
    said: Vec<Bytes>,
    judge: impl FnMut(&[u8]) -> io::Result<Option<T>>,
) -> io::Result<T> {
    let Some(io) = client.io() else { return Err(io::ErrorKind::NotConnected.into()) };
    let heard = match say(io, said).await {
        Ok(()) => hear(io, judge).await,
        Err(error) => Err(error),
    };
    heard.inspect_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => client.misunderstood(),
        _ => client.ended(),
    })
}

fn malformed() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
