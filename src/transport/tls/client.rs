//! TLS towards hosts.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use tokio_rustls::{TlsConnector, TlsStream};
use webpki::KeyUsage;

use crate::base::io::{Io, Socket};
use crate::config::tls::{Secret, UpstreamTls};
use crate::observability::stats::Registry;
use crate::observability::stream_info::{CertificateInfo, TlsInfo};

use super::failure::HandshakeError;
use super::key_log::{Ends, KeyLog};
use super::lasting::Lasting;
use super::materials::{Materials, Sources};
use super::record::Expirations;
use super::secrets::{Change, Follow, Secrets, Slot};
use super::shown::Shown;
use super::verify::{Asked, Verifier};
use super::witness::Witness;
use super::{Record, certificate, provider, record, signing};

/// Sessions that a cluster keeps at most: room for them is taken at once.
const MAX_SESSIONS: u32 = 1024;

/// What one connection asks for beside what its context says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Greeting<'a> {
    /// Protocols that are offered in place of those of the context; none leaves it to that.
    pub alpn: &'a [Vec<u8>],
    /// Protocols that are offered where nothing else is.
    pub alpn_fallback: &'a [&'a [u8]],
    /// The name of the server that is asked for, in place of that of the context.
    pub server_name: Option<&'a str>,
    /// Names of which the certificate has to have one; empty where that is not asked.
    pub names: &'a [Box<str>],
    /// The name that the host has; empty for none.
    pub hostname: &'a str,
    /// The workload on whose behalf it is ([`WORKLOAD`](crate::config::tls::WORKLOAD)); empty for none.
    pub workload: &'a str,
}

impl Greeting<'_> {
    /// Puts the protocols that are offered in place of those of the context, where that is asked for.
    fn choose_alpn(&self, configured: &mut Vec<Vec<u8>>) {
        if !self.alpn.is_empty() {
            *configured = self.alpn.to_vec();
        } else if configured.is_empty() {
            *configured = self.alpn_fallback.iter().map(|protocol| protocol.to_vec()).collect();
        }
    }
}

/// How hosts of a cluster are greeted. Shared by all workers.
#[derive(Debug)]
pub struct ClientContext {
    config: Arc<UpstreamTls>,
    provider: Arc<CryptoProvider>,
    record: Record,
    sources: Sources,
    key_log: Option<KeyLog>,
    this: Weak<Self>,
    /// `None` until all secrets have come.
    current: ArcSwapOption<Ready>,
}

/// What changes with the secrets. Sessions begin anew with it.
#[derive(Debug)]
struct Ready {
    library: ClientConfig,
    verifier: Arc<Verifier>,
    local: Option<Arc<CertificateInfo>>,
    materials: Materials,
    _expirations: Expirations,
}

impl ClientContext {
    /// The context of a cluster whose statistics begin with `owner`.
    ///
    /// # Errors
    /// What cannot be used of the configuration, or of the secrets that are there.
    pub fn new(
        config: &Arc<UpstreamTls>,
        registry: &Registry,
        owner: &str,
        secrets: &Secrets,
    ) -> Result<Arc<Self>, String> {
        let sources = Sources::find(&config.common, None, secrets)?;
        let key_log = secrets.key_log(&config.common)?;
        let context = Arc::new_cyclic(|this| ClientContext {
            config: Arc::clone(config),
            provider: provider::provider(&config.common.params),
            record: Record::new(registry, owner, "client"),
            sources,
            key_log,
            this: Weak::clone(this),
            current: ArcSwapOption::empty(),
        });
        if let Some(materials) = context.sources.materials(&config.common, None)? {
            context.current.store(Some(Arc::new(context.ready(materials)?)));
        }
        let this: Weak<dyn Follow> = context.this.clone();
        context.sources.follow(&this);
        Ok(context)
    }

    /// The context of this configuration for the cluster whose statistics begin with `owner`: the one that there is, or a
    /// new one. So streams to management servers and requests of a cluster share theirs.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn shared(
        config: &Arc<UpstreamTls>,
        registry: &Registry,
        owner: &str,
        secrets: &Secrets,
    ) -> Result<Arc<Self>, String> {
        match secrets.find_client(owner, |context| Arc::ptr_eq(&context.config, config)) {
            Some(context) => Ok(context),
            None => {
                let context = Self::new(config, registry, owner, secrets)?;
                secrets.add_client(owner, &context);
                Ok(context)
            }
        }
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
        let common = &self.config.common;
        let asked = materials.validation.as_ref().map(|(_, validation)| Arc::clone(validation));
        let stats = self.record.stats().clone();
        let schemes = signing::schemes(&common.params.signature_schemes);
        let verifier = Arc::new(Verifier::new(Arc::clone(&self.provider), schemes.clone(), asked, stats));
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&provider::versions(common.params.versions))
            .map_err(told)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Lasting::new(Witness::new(&verifier, true))));
        let own = materials.certificates.first();
        let mut library = match own {
            Some((_, own)) => {
                let certified = signing::limited(own.certified().map_err(told)?, &schemes);
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
            }
            None => builder.with_no_client_auth(),
        };
        library.alpn_protocols.clone_from(&common.alpn_protocols);
        library.resumption = match self.config.max_session_keys {
            0 => Resumption::disabled(),
            keys => Resumption::in_memory_sessions(keys.min(MAX_SESSIONS) as usize),
        };
        let local = own.and_then(|(_, own)| own.chain.first());
        let local = local.and_then(|der| certificate::read(der)).map(Arc::new);
        let named = own.iter().map(|(name, _)| name.as_str()).zip(local.iter().map(|local| &**local));
        let expirations = self.record.ledger.expirations(named, materials.validation.as_ref());
        Ok(Ready { library, verifier, local, materials, _expirations: expirations })
    }

    /// Greets a host.
    ///
    /// # Errors
    /// Why that failed; it has been counted.
    pub async fn connect(&self, io: Io, greeting: Greeting<'_>) -> Result<(Io, TlsInfo), HandshakeError> {
        let Some(socket) = io.into_socket() else {
            return Err(self.failed(&io::ErrorKind::Unsupported.into()));
        };
        let (stream, info) = self.greet(socket, greeting).await?;
        let mut io = Io::from(stream);
        io.on_tls_fault(self.record.count_fault());
        Ok((io, info))
    }

    /// Greets a host over a socket, as [`connect`](Self::connect) does.
    ///
    /// # Errors
    /// Why that failed; it has been counted.
    pub async fn greet(
        &self,
        socket: Socket,
        greeting: Greeting<'_>,
    ) -> Result<(TlsStream<Socket>, TlsInfo), HandshakeError> {
        let Some(ready) = self.current.load_full() else {
            self.record.factory.upstream_context_secrets_not_ready().inc();
            return Err(HandshakeError::no_secret());
        };
        let begun = Instant::now();
        let sni = self.server_name(&greeting);
        let name = match sni {
            "" => unnamed(),
            sni => ServerName::try_from(sni.to_owned()).map_err(|_| HandshakeError::no_name(sni))?,
        };
        let mut config = ready.library.clone();
        config.enable_sni = !sni.is_empty();
        // A session is known by the name that was asked for: one that was begun under other demands is not resumed.
        if greeting.names.iter().any(|name| **name != *sni) {
            config.resumption = Resumption::disabled();
        }
        let asked = Asked {
            names: greeting.names.into(),
            workload: greeting.workload.into(),
            instead: (self.config.auto_sni_san_validation && !sni.is_empty()).then(|| sni.into()),
        };
        let witness = Arc::new(Witness::new(&ready.verifier, true).asking(asked));
        greeting.choose_alpn(&mut config.alpn_protocols);
        if let Some(log) = self.key_log.as_ref().and_then(|log| log.of(ends(&socket))) {
            config.key_log = log;
        }
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, socket);
        let connected = Lasting::during(&witness, connecting).await;
        let stream = connected.map_err(|error| match witness.failure() {
            Some(why) => HandshakeError::refused(why),
            None if witness.has_looked() => self.failed(&error),
            None => HandshakeError::of_silent_host(&error, self.record.stats()),
        })?;
        let session = stream.get_ref().1;
        if !witness.look_again(session, KeyUsage::server_auth()) {
            return Err(HandshakeError::refused(witness.failure().unwrap_or_default()));
        }
        let peer = session.peer_certificates().unwrap_or_default();
        let info = TlsInfo {
            sni: sni.into(),
            local: ready.local.clone(),
            peer: certificate::read_chain(peer),
            validated: witness.validated(),
            took: Some(begun.elapsed()),
            ..record::agreed(session)
        };
        self.record.complete(&info, session, witness.scheme());
        Ok((TlsStream::from(stream), info))
    }

    /// What the library says of a handshake; counts it.
    fn failed(&self, error: &io::Error) -> HandshakeError {
        HandshakeError::new(error, self.record.stats())
    }

    /// The name of the server that is asked for; empty for none.
    fn server_name<'g>(&'g self, greeting: &Greeting<'g>) -> &'g str {
        match greeting.server_name {
            Some(name) => name,
            None if self.config.auto_host_sni && !greeting.hostname.is_empty() => greeting.hostname,
            None => &self.config.sni,
        }
    }
}

impl Follow for ClientContext {
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

fn ends(socket: &Socket) -> Ends {
    let ip = |address: Option<SocketAddr>| address.map(|address| address.ip());
    Ends { local: ip(socket.local_address()), remote: ip(socket.remote_address()) }
}

/// What a host is called where no name is asked for: nobody sees it, but sessions are kept by it.
fn unnamed() -> ServerName<'static> {
    ServerName::from(std::net::IpAddr::from([0; 4]))
}
