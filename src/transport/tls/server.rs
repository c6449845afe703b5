//! TLS towards clients.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Instant;

use arc_swap::ArcSwapOption;

use rustls::ServerConfig;
use rustls::server::{Acceptor, ClientHello};
use rustls::sign::CertifiedKey;
use tokio::io::AsyncReadExt as _;
use tokio_rustls::LazyConfigAcceptor;
use webpki::KeyUsage;

use crate::base::io::{Io, Socket};
use crate::config::tls::{DownstreamTls, Params, Secret, Tickets, Version};
use crate::observability::stats::Registry;
use crate::observability::stream_info::TlsInfo;

use super::failure::HandshakeError;
use super::greeting::Listening;
use super::key_log::{Ends, KeyLog};
use super::materials::{Materials, Sources};
use super::own::Certificates;
use super::record::Expirations;
use super::resumption::{Resumption, audience};
use super::secrets::{Change, Follow, Secrets, Slot};
use super::shown::Shown;
use super::spoken::Spoken;
use super::verify::Asked;
use super::witness::Witness;
use super::{Record, certificate, record};

/// Bytes taken of a request that comes in plain text.
const MAX_REQUEST: usize = 16 * 1024;

/// What connections of a filter chain are greeted with. Shared by all workers.
#[derive(Debug)]
pub struct ServerContext {
    config: Arc<DownstreamTls>,
    record: Record,
    sources: Sources,
    key_log: Option<KeyLog>,
    this: Weak<Self>,
    /// `None` until all secrets have come.
    current: ArcSwapOption<Ready>,
}

/// What changes with the secrets. Sessions end with it: they are resumed by those who were shown these certificates.
#[derive(Debug)]
struct Ready {
    certificates: Certificates,
    /// How the protocol is spoken where the certificate that is shown does not say.
    spoken: Spoken,
    resumption: Resumption,
    materials: Materials,
    _expirations: Expirations,
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
        let sources = Sources::find(&config.common, config.ticket_secret(), secrets)?;
        let key_log = secrets.key_log(&config.common)?;
        let context = Arc::new_cyclic(|this| ServerContext {
            config: Arc::clone(config),
            record: Record::new(registry, owner, "server"),
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
        let own = materials.certificates.iter().map(|(_, own)| &**own);
        let validation = materials.validation.as_ref();
        let asked = validation.map(|(_, validation)| Arc::clone(validation));
        let speak = |params: &Params| Spoken::new(params, asked.clone(), self.record.stats());
        let certificates = Certificates::new(own, &self.config, speak)?;
        let names = materials.certificates.iter().map(|(name, _)| name.as_str());
        let own = names.zip(certificates.iter().map(|own| &*own.info));
        let expirations = self.record.expirations(own, validation);
        let keys = match &self.config.tickets {
            Tickets::Keys(keys) => Some(keys),
            Tickets::Secret(_) => materials.ticket_keys.as_ref(),
            Tickets::Own | Tickets::Disabled => None,
        };
        let own = certificates.iter().map(|own| &*own.info);
        let audience = audience(&self.config, own, asked.as_deref());
        let resumption = Resumption::new(&self.config, keys.map(|keys| &**keys), audience).map_err(told)?;
        let spoken = speak(&self.config.common.params).map_err(told)?;
        Ok(Ready { certificates, spoken, resumption, materials, _expirations: expirations })
    }

    /// Greets the client of a connection with these ends, on behalf of a workload; an empty one for none.
    ///
    /// # Errors
    /// Why that failed; it has been counted.
    pub async fn accept(&self, io: Io, ends: Ends, workload: &str) -> Result<(Io, TlsInfo), HandshakeError> {
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
        let socket = Listening::new(socket);
        let mut start = LazyConfigAcceptor::new(Acceptor::default(), socket).await.map_err(failed)?;
        let heard = start.io.heard();
        let hello = start.client_hello();
        let name: Box<str> = hello.server_name().unwrap_or_default().into();
        let choice = ready.certificates.choose(&hello, heard.asks_for_status, self.record.stats());
        let key = choice.as_ref().and_then(|choice| choice.key.clone());
        let is_unstapled = choice.is_some() && key.is_none();
        let own = choice.as_ref().and_then(|choice| choice.own.spoken.as_deref());
        let spoken = own.unwrap_or(&ready.spoken);
        let is_tls13 = spoken.most == Version::V1_3 && heard.offers_tls13;
        let demands = self.config.require_client_certificate || spoken.verifier.demands();
        let asked = Asked { workload: workload.into(), ..Asked::default() };
        let witness = Witness::new(&spoken.verifier, demands).asking(asked);
        let witness = Arc::new(if is_tls13 { witness } else { witness.of_tls12() });
        let mut config = self
            .config_for(spoken, &hello, key, &witness)
            .map_err(|error| failed(io::Error::other(error)))?;
        // Of the suites of TLS 1.3 the client's first is taken, as in BoringSSL where there is hardware for AES.
        config.ignore_client_order = !self.config.prefer_client_ciphers && !is_tls13;
        ready.resumption.apply(&mut config, is_tls13);
        if let Some(log) = self.key_log.as_ref().and_then(|log| log.of(ends)) {
            config.key_log = log;
        }
        let accepted = start.into_stream(Arc::new(config)).await;
        let stream = accepted.map_err(|error| match witness.failure() {
            Some(why) => HandshakeError::refused(why),
            None if is_unstapled => HandshakeError::unstapled(self.record.stats()),
            None => failed(error),
        })?;
        let (_, session) = stream.get_ref();
        if !witness.look_again(session, KeyUsage::client_auth()) {
            return Err(HandshakeError::refused(witness.failure().unwrap_or_default()));
        }
        let peer = session.peer_certificates().unwrap_or_default();
        let info = TlsInfo {
            sni: name,
            local: choice.map(|choice| Arc::clone(&choice.own.info)),
            peer: certificate::read_chain(peer),
            validated: witness.validated(),
            took: begun.elapsed(),
            ..record::agreed(session)
        };
        self.record.complete(&info, session, witness.scheme());
        let (socket, session) = stream.into_inner();
        Ok((Io::from((socket.into_socket(), session)), info))
    }

    /// What the library is told for one client.
    fn config_for(
        &self,
        spoken: &Spoken,
        hello: &ClientHello<'_>,
        key: Option<Arc<CertifiedKey>>,
        witness: &Arc<Witness>,
    ) -> Result<ServerConfig, rustls::Error> {
        let common = &self.config.common;
        let asks = spoken.verifier.asks() || self.config.require_client_certificate;
        let mut config = spoken.config(key, asks.then_some(witness))?;
        // As in Envoy a client that speaks none of the protocols is served all the same, without an agreement.
        let shared =
            |protocol: &Vec<u8>| hello.alpn().is_some_and(|mut offered| offered.any(|one| one == protocol));
        if common.alpn_protocols.iter().any(shared) {
            config.alpn_protocols.clone_from(&common.alpn_protocols);
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

/// Whether a client speaks HTTP in plain text, as BoringSSL finds out.
async fn begins_a_request(socket: &Socket) -> io::Result<bool> {
    let mut first = [0; 5];
    let count = socket.peek(&mut first).await?;
    Ok([&b"GET "[..], b"POST ", b"HEAD ", b"PUT "].iter().any(|method| first[..count].starts_with(method)))
}
