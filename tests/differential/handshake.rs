//! TLS of both sides of a case. What they agreed on is part of what is compared.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::tls::{ClientTls, HostTls, path};
use crate::wire::Wire;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, CommonState, DigitallySignedStruct, DistinguishedName, Error, HandshakeKind, ServerConfig,
    SignatureScheme, StreamOwned, SupportedProtocolVersion,
};

/// The sessions that the client of a case keeps, by the word for them, each with what it was begun with.
#[derive(Default)]
pub(crate) struct Sessions(RefCell<BTreeMap<String, Greeting>>);

/// How the client greets, and what it saw of the certificate.
type Greeting = (Arc<ClientConfig>, Arc<Anyone>);

/// Greets as a client; what was agreed on comes with the connection.
pub(crate) fn connect(stream: TcpStream, tls: &ClientTls, sessions: &Sessions) -> io::Result<(Wire, String)> {
    let kept = tls.sessions.as_ref().and_then(|word| sessions.0.borrow().get(word).cloned());
    let (config, verifier) = match kept {
        Some(kept) => kept,
        None => client_config(tls)?,
    };
    verifier.stapled.store(false, Ordering::Relaxed);
    if let Some(word) = &tls.sessions {
        sessions.0.borrow_mut().insert(word.clone(), (Arc::clone(&config), Arc::clone(&verifier)));
    }
    let name = tls.sni.clone().unwrap_or_else(|| "0.0.0.0".to_owned());
    let name = ServerName::try_from(name).map_err(io::Error::other)?;
    let session = rustls::ClientConnection::new(config, name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    let agreed = agreed(&stream.conn);
    let stapled = if verifier.stapled.load(Ordering::Relaxed) { " stapled" } else { "" };
    Ok((Wire::over(stream.into())?, format!("<{agreed}{stapled}>")))
}

fn client_config(tls: &ClientTls) -> io::Result<Greeting> {
    let verifier = Arc::new(Anyone { keys: tls.keys.clone(), ..Anyone::default() });
    let builder = ClientConfig::builder_with_provider(provider_for(tls.keys.as_deref()))
        .with_protocol_versions(&versions(tls.version.as_deref()))
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as _);
    let mut config = match &tls.certificate {
        Some(name) => builder.with_client_auth_cert(chain(name)?, key(name)?).map_err(io::Error::other)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = tls.alpn.iter().map(|protocol| protocol.clone().into_bytes()).collect();
    config.enable_sni = tls.sni.is_some();
    Ok((Arc::new(config), verifier))
}

/// Greets as a host; what was agreed on comes with the connection.
pub(crate) fn accept(stream: TcpStream, tls: &HostTls) -> io::Result<(Wire, String)> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&versions(tls.version.as_deref()))
        .map_err(io::Error::other)?;
    let builder = match tls.client_certificate {
        true => builder.with_client_cert_verifier(Arc::new(Anyone { asks: true, ..Anyone::default() })),
        false => builder.with_no_client_auth(),
    };
    let name = tls.certificate.as_deref().unwrap_or("server");
    let mut config = builder.with_single_cert(chain(name)?, key(name)?).map_err(io::Error::other)?;
    config.alpn_protocols = tls.alpn.iter().map(|protocol| protocol.clone().into_bytes()).collect();
    let session = rustls::ServerConnection::new(Arc::new(config)).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    let sni = stream.conn.server_name().map(|name| format!(" for {name}")).unwrap_or_default();
    let agreed = format!("<{}{sni}>", agreed(&stream.conn));
    Ok((Wire::over(stream.into())?, agreed))
}

/// What a session agreed on: `TLS 1.3 h2 server`.
fn agreed(session: &CommonState) -> String {
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "TLS 1.2",
    };
    let alpn = session.alpn_protocol().map(|protocol| format!(" {}", String::from_utf8_lossy(protocol)));
    let shown = session
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|shown| format!(" {}", name_of(shown)));
    let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
    let resumed = resumed.then(|| " resumed".to_owned());
    [version.to_owned(), alpn.unwrap_or_default(), shown.unwrap_or_default(), resumed.unwrap_or_default()]
        .concat()
}

/// Which of the certificates in `testdata/tls` this is.
fn name_of(shown: &CertificateDer<'_>) -> String {
    let names = [
        "server",
        "second",
        "unnamed",
        "client",
        "service",
        "stranger",
        "expired",
        "rsa",
        "stapled",
        "principal",
    ];
    let is_it = |name: &&str| chain(name).is_ok_and(|chain| chain.first() == Some(shown));
    names.into_iter().find(is_it).unwrap_or("a certificate").to_owned()
}

fn chain(name: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path(name)).map_err(io::Error::other)?;
    read.collect::<Result<_, _>>().map_err(io::Error::other)
}

fn key(name: &str) -> io::Result<PrivateKeyDer<'static>> {
    let name = name.strip_suffix("-chain").unwrap_or(name);
    PrivateKeyDer::from_pem_file(path(&format!("{name}.key"))).map_err(io::Error::other)
}

/// The groups are in the order of the clients of today, who send a key for the first.
fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::kx_group::{SECP256R1, X25519, X25519MLKEM768};
    let kx_groups = vec![X25519MLKEM768, X25519, SECP256R1];
    Arc::new(CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() })
}

/// The same for who takes only keys of this kind.
fn provider_for(keys: Option<&str>) -> Arc<CryptoProvider> {
    let mut provider = CryptoProvider::clone(&provider());
    if let Some(keys) = keys {
        provider.cipher_suites.retain(|suite| suite.tls13().is_some() || format!("{suite:?}").contains(keys));
    }
    Arc::new(provider)
}

fn versions(only: Option<&str>) -> Vec<&'static SupportedProtocolVersion> {
    match only {
        Some("1.2") => vec![&TLS12],
        Some("1.3") => vec![&TLS13],
        _ => vec![&TLS13, &TLS12],
    }
}

/// Takes whatever certificate is shown: the sides of a case are no judges.
#[derive(Debug, Default)]
struct Anyone {
    asks: bool,
    /// The only kind of keys that it takes.
    keys: Option<String>,
    /// Whether the certificate came with an answer of OCSP.
    stapled: AtomicBool,
}

impl Anyone {
    fn schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes();
        if let Some(keys) = &self.keys {
            schemes.retain(|scheme| format!("{scheme:?}").starts_with(keys.as_str()));
        }
        schemes
    }
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        answer: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.stapled.store(!answer.is_empty(), Ordering::Relaxed);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ClientCertVerifier for Anyone {
    fn offer_client_auth(&self) -> bool {
        self.asks
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}
