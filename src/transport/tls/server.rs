//! TLS towards clients.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Instant;

use arc_swap::ArcSwapOption;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{Acceptor, ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::io::AsyncReadExt as _;
use tokio_rustls::{LazyConfigAcceptor, TlsStream};

use crate::base::io::{Io, Socket};
use crate::config::tls::{Certificate, DownstreamTls, Secret, Version};
use crate::observability::stats::Registry;
use crate::observability::stream_info::{CertificateInfo, TlsInfo};

use super::failure::HandshakeError;
use super::materials::{Materials, Sources};
use super::record::Expirations;
use super::secrets::{Change, Follow, Secrets, Slot};
use super::shown::Shown;
use super::verify::Verifier;
use super::witness::Witness;
use super::{Record, certificate, provider, record};

/// Sessions that the proxy keeps for clients to resume.
const KEPT_SESSIONS: usize = 1024;

/// Bytes taken of a request that comes in plain text.
const MAX_REQUEST: usize = 16 * 1024;

/// What connections of a filter chain are greeted with. Shared by all workers.
#[derive(Debug)]
pub struct ServerContext {
    config: Arc<DownstreamTls>,
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    record: Record,
    sources: Sources,
    this: Weak<Self>,
    /// `None` until all secrets have come.
    current: ArcSwapOption<Ready>,
}

/// What changes with the secrets. Sessions end with it: they are resumed by those who were shown these certificates.
#[derive(Debug)]
struct Ready {
    certificates: Box<[Own]>,
    verifier: Arc<Verifier>,
    tickets: Option<Arc<dyn ProducesTickets>>,
    sessions: Arc<dyn StoresServerSessions>,
    materials: Materials,
    _expirations: Expirations,
}

/// A certificate of our own.
#[derive(Debug)]
struct Own {
    key: Arc<CertifiedKey>,
    info: Arc<CertificateInfo>,
}

impl ServerContext {
    /// The context of a listener whose statistics begin with `owner`.
    ///
    /// # Errors
    /// What cannot be used of the configuration, or of the secrets that are there.
    pub fn new(
        config: &Arc<DownstreamTls>,
        registry: &Registry,
        owner: &str,
        secrets: &Secrets,
    ) -> Result<Arc<Self>, String> {
        let sources = Sources::find(&config.common, secrets)?;
        let context = Arc::new_cyclic(|this| ServerContext {
            config: Arc::clone(config),
            provider: provider::provider(&config.common),
            versions: provider::versions(config.common.versions),
            record: Record::new(registry, owner, "server"),
            sources,
            this: Weak::clone(this),
            current: ArcSwapOption::empty(),
        });
        if let Some(materials) = context.sources.materials(&config.common, None)? {
            context.current.store(Some(Arc::new(context.ready(materials)?)));
        }
        let this: Weak<dyn Follow> = context.this.clone();
        context.sources.follow(&this);
        secrets.add_server(&context);
        Ok(context)
    }

    /// Whether nobody need wait for its secrets.
    pub fn is_settled(&self) -> bool {
        self.sources.are_settled()
    }

    /// Its certificates; `None` as long as a secret is missing.
    pub(super) fn shown(&self) -> Option<Shown> {
        self.current.load().as_ref().map(|ready| Shown::new(&ready.materials))
    }

    fn ready(&self, materials: Materials) -> Result<Ready, String> {
        let told = |error: rustls::Error| error.to_string();
        let certificates = materials.certificates.iter().map(|(_, own)| Own::new(own).map_err(told));
        let certificates: Box<[Own]> = certificates.collect::<Result<_, _>>()?;
        let validation = materials.validation.as_ref();
        let names = materials.certificates.iter().map(|(name, _)| name.as_str());
        let own = names.zip(certificates.iter().map(|own| &*own.info));
        let expirations = self.record.expirations(own, validation);
        let asked = validation.map(|(_, validation)| Arc::clone(validation));
        let stats = self.record.stats().clone();
        let sessions: Arc<dyn StoresServerSessions> = if self.config.stateful_resumption {
            ServerSessionMemoryCache::new(KEPT_SESSIONS)
        } else {
            Arc::new(NoServerSessionStorage {})
        };
        Ok(Ready {
            certificates,
            verifier: Arc::new(Verifier::new(Arc::clone(&self.provider), asked, stats)),
            tickets: self.config.stateless_resumption.then(Ticketer::new).transpose().map_err(told)?,
            sessions,
            materials,
            _expirations: expirations,
        })
    }

    /// Greets a client.
    ///
    /// # Errors
    /// Why that failed; it has been counted.
    pub async fn accept(&self, io: Io) -> Result<(Io, TlsInfo), HandshakeError> {
        let Some(ready) = self.current.load_full() else {
            self.record.factory.downstream_context_secrets_not_ready().inc();
            return Err(HandshakeError::no_secret());
        };
        let failed = |error: io::Error| HandshakeError::new(&error, self.record.stats());
        let Some(mut socket) = io.into_socket() else {
            return Err(failed(io::ErrorKind::Unsupported.into()));
        };
        if begins_a_request(&socket).await.map_err(failed)? {
            // What is there is taken, or the connection would be reset and not closed.
            let mut request = Box::new([0; MAX_REQUEST]);
            socket.read(&mut request[..]).await.map_err(failed)?;
            return Err(HandshakeError::plain_request(self.record.stats()));
        }
        let begun = Instant::now();
        let start = LazyConfigAcceptor::new(Acceptor::default(), socket).await.map_err(failed)?;
        let hello = start.client_hello();
        let name: Box<str> = hello.server_name().unwrap_or_default().into();
        let own = ready.choose(&hello);
        let witness = Arc::new(Witness::new(
            &ready.verifier,
            self.config.require_client_certificate || ready.verifier.demands(),
        ));
        let config = self
            .config_for(&ready, &hello, own, &witness)
            .map_err(|error| failed(io::Error::other(error)))?;
        let accepted = start.into_stream(Arc::new(config)).await;
        let stream = accepted.map_err(|error| match witness.failure() {
            Some(why) => HandshakeError::refused(why),
            None => failed(error),
        })?;
        let session = stream.get_ref().1;
        let peer = session.peer_certificates().unwrap_or_default();
        let info = TlsInfo {
            sni: name,
            local: own.map(|own| Arc::clone(&own.info)),
            peer: certificate::read_chain(peer),
            validated: witness.validated(session),
            took: begun.elapsed(),
            ..record::agreed(session)
        };
        self.record.complete(&info, session, witness.scheme());
        Ok((Io::from(TlsStream::from(stream)), info))
    }

    /// What the library is told for one client.
    fn config_for(
        &self,
        ready: &Ready,
        hello: &ClientHello<'_>,
        own: Option<&Own>,
        witness: &Arc<Witness>,
    ) -> Result<ServerConfig, rustls::Error> {
        let common = &self.config.common;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&self.versions)?;
        let builder = if ready.verifier.asks() || self.config.require_client_certificate {
            builder.with_client_cert_verifier(Arc::clone(witness) as _)
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_cert_resolver(Arc::new(Chosen(own.map(|own| Arc::clone(&own.key)))));
        // As in Envoy a client that speaks none of the protocols is served all the same, without an agreement.
        let shared =
            |protocol: &Vec<u8>| hello.alpn().is_some_and(|mut offered| offered.any(|one| one == protocol));
        if common.alpn_protocols.iter().any(shared) {
            config.alpn_protocols.clone_from(&common.alpn_protocols);
        }
        // Of the suites of TLS 1.3 the client's first is taken, as in BoringSSL where there is hardware for AES.
        config.ignore_client_order =
            !self.config.prefer_client_ciphers && common.versions.most < Version::V1_3;
        config.session_storage = Arc::clone(&ready.sessions);
        match &ready.tickets {
            Some(tickets) => config.ticketer = Arc::clone(tickets),
            // As in BoringSSL sessions of TLS 1.3 are resumed with tickets that clients keep, or not at all.
            None => config.send_tls13_tickets = 0,
        }
        Ok(config)
    }
}

impl Follow for ServerContext {
    fn prepare(&self, slot: &Slot, secret: &Arc<Secret>) -> Result<Change, String> {
        let materials = self.sources.materials(&self.config.common, Some((slot, secret)))?;
        let ready = materials.map(|materials| self.ready(materials)).transpose()?;
        let this = Weak::clone(&self.this);
        Ok(Box::new(move || {
            if let (Some(this), Some(ready)) = (this.upgrade(), ready) {
                this.current.store(Some(Arc::new(ready)));
                this.record.factory.ssl_context_update_by_sds().inc();
            }
        }))
    }
}

impl Ready {
    /// The certificate for a client: one of the name that it asks for, its key of a kind that it takes.
    fn choose(&self, hello: &ClientHello<'_>) -> Option<&Own> {
        let takes = |own: &&Own| own.key.key.choose_scheme(hello.signature_schemes()).is_some();
        let named = hello.server_name().and_then(|name| {
            let exact = |own: &&Own| own.names().any(|known| known.eq_ignore_ascii_case(name));
            let wild = |own: &&Own| own.names().any(|known| certificate::is_name_of(known, name));
            let find = |matches: &dyn Fn(&&Own) -> bool| {
                let all = || self.certificates.iter().filter(|own| matches(own));
                all().find(takes).or_else(|| all().next())
            };
            find(&exact).or_else(|| find(&wild))
        });
        // As in Envoy who asks for a name that there is no certificate for is shown the first.
        match named {
            Some(own) => Some(own),
            None if hello.server_name().is_some() => self.certificates.first(),
            None => self.certificates.iter().find(takes).or_else(|| self.certificates.first()),
        }
    }
}

impl Own {
    fn new(certificate: &Certificate) -> Result<Self, rustls::Error> {
        let key = certificate.certified()?;
        let info = key.cert.first().and_then(|der| certificate::read(der));
        let info = info.ok_or(rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding))?;
        Ok(Own { key: Arc::new(key), info: Arc::new(info) })
    }

    /// The names of hosts that it is for: its alternative names, or where it has none, its common name.
    fn names(&self) -> impl Iterator<Item = &str> {
        let common = || {
            let parts = self.info.subject.split(',');
            parts.filter_map(|part| part.strip_prefix("CN=")).next()
        };
        let common = if self.info.dns_names.is_empty() { common() } else { None };
        self.info.dns_names.iter().map(String::as_str).chain(common)
    }
}

/// Whether a client speaks HTTP in plain text, as BoringSSL finds out.
async fn begins_a_request(socket: &Socket) -> io::Result<bool> {
    let mut first = [0; 5];
    let count = socket.peek(&mut first).await?;
    Ok([&b"GET "[..], b"POST ", b"HEAD ", b"PUT "].iter().any(|method| first[..count].starts_with(method)))
}

/// The certificate that was chosen already.
#[derive(Debug)]
struct Chosen(Option<Arc<CertifiedKey>>);

impl ResolvesServerCert for Chosen {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}
