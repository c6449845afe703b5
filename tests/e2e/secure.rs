//! A client that speaks TLS and takes any certificate, and a server in front of one that does not speak it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, DigitallySignedStruct, ServerConfig, SignatureScheme,
    StreamOwned, SupportedProtocolVersion,
};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::common::Proxy;
use super::setup::PATIENCE;

/// A file of `testdata/tls`.
pub(crate) fn pem(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/tls").join(name)
}

/// Speaks TLS as `server.example`, and HTTP/2 within, for a server of this machine. Ends with this value.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    _runtime: Runtime,
}

impl Relay {
    /// In front of the server at this port.
    pub(crate) fn to(port: u16) -> Self {
        let chain = CertificateDer::pem_file_iter(pem("server.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(pem("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut client = acceptor.accept(client).await?;
                    let mut server = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Relay { address, _runtime: runtime }
    }
}

/// How such a client is made.
pub(crate) fn trusting() -> ConfigBuilder<ClientConfig, WantsClientCert> {
    trusting_in(rustls::DEFAULT_VERSIONS)
}

/// The same, of one that speaks these versions alone.
pub(crate) fn trusting_in(
    versions: &[&'static SupportedProtocolVersion],
) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Any(provider)))
}

/// Takes any certificate: which one is shown is what the tests look at.
#[derive(Debug)]
struct Any(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A connection over TLS.
pub(crate) struct Secure(StreamOwned<ClientConnection, TcpStream>);

impl Secure {
    pub(crate) fn connect(proxy: &Proxy) -> std::io::Result<Self> {
        Self::greet(proxy, &Arc::new(trusting().with_no_client_auth()))
    }

    /// The same as this client, which resumes the sessions that it has kept.
    pub(crate) fn greet(proxy: &Proxy, client: &Arc<ClientConfig>) -> std::io::Result<Self> {
        let name = ServerName::try_from("server.example").unwrap();
        let connection = ClientConnection::new(Arc::clone(client), name).unwrap();
        let stream = TcpStream::connect_timeout(&proxy.listeners().unwrap()["web"], PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Secure(stream))
    }

    /// The file of `testdata/tls` that the certificate is from.
    pub(crate) fn shown(&self) -> &'static str {
        let shown = &self.0.conn.peer_certificates().unwrap()[0];
        let is = |name: &&str| CertificateDer::from_pem_file(pem(&format!("{name}.pem"))).unwrap() == *shown;
        ["server", "second"].into_iter().find(is).unwrap()
    }

    /// Whether it is the session of a connection before.
    pub(crate) fn is_resumed(&self) -> bool {
        self.0.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    pub(crate) fn get(&mut self) -> std::io::Result<String> {
        self.0.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")?;
        let mut received = Vec::new();
        while !received.ends_with(b"up") {
            let mut buffer = [0; 1024];
            match self.0.read(&mut buffer)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                count => received.extend_from_slice(&buffer[..count]),
            }
        }
        Ok(String::from_utf8_lossy(&received[..12]).into_owned())
    }
}
