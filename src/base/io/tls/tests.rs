//! Two sessions over a real socket: amounts that no buffer holds at once, ends, and what is no TLS.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::BytesMut;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::super::socket::Socket;
use super::super::{Io, Stream};
use crate::base::crypto::{ALL_CIPHER_SUITES, default_provider};

const CA: &[u8] = include_bytes!("../../../../testdata/tls/ca.pem");
const CHAIN: &[u8] = include_bytes!("../../../../testdata/tls/server.pem");
const KEY: &[u8] = include_bytes!("../../../../testdata/tls/server.key");

/// More than a record, than a read of the socket and than what the kernel keeps.
const MANY: usize = 8 << 20;

fn server() -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(CHAIN).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.enable_secret_extraction = true;
    TlsAcceptor::from(Arc::new(config))
}

fn client(provider: CryptoProvider) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CA).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let versions = builder.with_safe_default_protocol_versions().unwrap();
    let config = versions.with_root_certificates(roots).with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Both ends of a connection after the handshake: the client's and the server's.
async fn connected() -> (TlsStream<Socket>, TlsStream<Socket>) {
    connected_by(default_provider()).await
}

/// The same where the client has this of cryptography.
async fn connected_by(provider: CryptoProvider) -> (TlsStream<Socket>, TlsStream<Socket>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
    let name = ServerName::try_from("server.example").unwrap();
    let (ours, theirs) = tokio::join!(
        client(provider).connect(name, Socket::Tcp(ours.unwrap())),
        server().accept(Socket::Tcp(theirs.unwrap().0)),
    );
    (ours.unwrap().into(), theirs.unwrap().into())
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// Reads to the end through a buffer with room for `room` bytes.
async fn read_all(io: &Io, room: usize) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = BytesMut::with_capacity(room);
    while poll_fn(|cx| io.poll_read(cx, &mut buffer)).await? > 0 {
        all.extend_from_slice(&buffer);
        buffer.clear();
    }
    Ok(all)
}

#[tokio::test]
async fn all_that_is_written_arrives_in_order_through_buffers_of_any_size() {
    for room in [100, 16 << 10, 1 << 20] {
        let (client, server) = connected().await;
        let (mut client, server) = (Io::from(client), Io::from(server));
        let sent = pattern(MANY);
        let writing = async {
            client.write_all(&sent).await.unwrap();
            client.flush().await.unwrap();
            client.shutdown_write();
        };
        let ((), received) = tokio::join!(writing, read_all(&server, room));
        assert!(received.unwrap() == sent, "through a buffer of {room} bytes");
    }
}

#[tokio::test]
async fn the_other_direction_goes_on_after_one_has_ended() {
    let (client, server) = connected().await;
    let (client, mut server) = (Io::from(client), Io::from(server));
    client.shutdown_write();
    assert_eq!(read_all(&server, 100).await.unwrap(), b"");
    server.write_all(b"still here").await.unwrap();
    drop(server);
    assert_eq!(read_all(&client, 100).await.unwrap(), b"still here");
}

#[tokio::test]
async fn what_came_before_a_broken_record_is_read_before_the_error() {
    let (client, server) = connected().await;
    let TlsStream::Client(mut client) = client else { panic!("a client's") };
    let server = Io::from(server);
    let (socket, session) = client.get_mut();
    let mut records = Vec::new();
    std::io::Write::write_all(&mut session.writer(), b"good").unwrap();
    session.write_tls(&mut records).unwrap();
    records.extend_from_slice(&[23, 3, 3, 0, 32]);
    records.extend_from_slice(&[0; 32]);
    socket.write_all(&records).await.unwrap();
    let mut buffer = BytesMut::with_capacity(100);
    assert_eq!(poll_fn(|cx| server.poll_read(cx, &mut buffer)).await.unwrap(), 4);
    let error = poll_fn(|cx| server.poll_read(cx, &mut buffer)).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot decrypt peer's message");
    let mut told = Vec::new();
    let refused = client.read_to_end(&mut told).await.unwrap_err();
    assert!(refused.to_string().contains("BadRecordMac"), "{refused}");
}

/// `access_denied` (RFC 8446 §6.2).
const ACCESS_DENIED: u8 = 49;

#[tokio::test]
async fn a_peer_that_is_refused_gets_the_alert_after_what_was_sent_with_each_cipher_suite() {
    let mut refused = 0;
    for suite in ALL_CIPHER_SUITES {
        let provider = CryptoProvider { cipher_suites: vec![*suite], ..default_provider() };
        // The key of this server is none of RSA.
        let needs_rsa = format!("{:?}", suite.suite()).contains("_RSA_");
        if needs_rsa {
            continue;
        }
        let (client, server) = connected_by(provider).await;
        let (client, mut server) = (Io::from(client), Io::from(server));
        server.write_all(b"one moment").await.unwrap();
        server.flush().await.unwrap();
        let Stream::Tls(tls) = server.stream.get_mut() else { panic!("TLS") };
        tls.refuse(ACCESS_DENIED);
        assert!(server.write_all(b"more").await.is_err(), "nothing follows");
        drop(server);
        let mut told = BytesMut::with_capacity(100);
        assert_eq!(poll_fn(|cx| client.poll_read(cx, &mut told)).await.unwrap(), 10, "{suite:?}");
        let error = poll_fn(|cx| client.poll_read(cx, &mut told)).await.unwrap_err();
        assert!(error.to_string().contains("AccessDenied"), "{suite:?}: {error}");
        refused += 1;
    }
    assert_eq!(refused, 6, "three suites of each version");
}

#[tokio::test]
async fn a_connection_that_is_reset_does_not_look_like_one_that_has_ended() {
    let (client, server) = connected().await;
    let (client, mut server) = (Io::from(client), Io::from(server));
    server.write_all(b"half of it").await.unwrap();
    let mut told = BytesMut::with_capacity(100);
    assert_eq!(poll_fn(|cx| client.poll_read(cx, &mut told)).await.unwrap(), 10);
    server.reset();
    drop(server);
    let error = poll_fn(|cx| client.poll_read(cx, &mut told)).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}
