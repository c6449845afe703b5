//! TLS towards clients.

use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use rustls::ServerConfig;
use rustls::server::{Acceptor, ClientHello};
use rustls::sign::CertifiedKey;
use tokio::io::AsyncReadExt as _;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};
use webpki::KeyUsage;

use crate::base::io::Io;
use crate::config::tls::{Certificate, DownstreamTls, Secret, Version};
use crate::observability::stats::Registry;
use crate::observability::stream_info::TlsInfo;

use super::failure::{FIRST_BYTES, HandshakeError};
use super::greeting::Listening;
use super::key_log::{Ends, KeyLog};
use super::materials::Sources;
use super::on_demand::OnDemand;
use super::own::{Choice, Own};
use super::progress::Progress;
use super::ready::{self, Ready};
use super::record::{Expirations, Ledger};
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
    /// The certificates that handshakes ask for, where they do: no other is shown then.
    on_demand: Option<Arc<OnDemand>>,
    key_log: Option<KeyLog>,
    this: Weak<Self>,
    /// `None` until all secrets have come.
    current: ArcSwapOption<Ready>,
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
            on_demand: (config.common.on_demand.as_ref())
                .map(|config| OnDemand::new(config, this, registry, owner, secrets)),
            key_log,
            this: Weak::clone(this),
            current: ArcSwapOption::empty(),
        });
        if let Some(materials) = context.sources.materials(&config.common, None)? {
            context.current.store(Some(Arc::new(Ready::new(config, &context.record, materials)?)));
        }
        let this: Weak<dyn Follow> = context.this.clone();
        context.sources.follow(&this);
        secrets.add_server(&context);
        if let Some(on_demand) = &context.on_demand {
            on_demand.prefetch();
        }
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

    /// A certificate that handshakes ask for, of the secret of this name.
    ///
    /// # Errors
    /// It cannot be used.
    pub(super) fn own_on_demand(
        &self,
        name: &str,
        certificate: &Certificate,
        ledger: &Ledger,
    ) -> Result<(Own, Expirations), String> {
        let current = self.current.load();
        let validation = current.as_ref().and_then(|ready| ready.materials.validation.as_ref());
        ready::own_on_demand(&self.config, (name, certificate), ledger, validation)
    }

    /// What a client is shown; `None` where there is nothing.
    async fn choose(&self, ready: &Ready, start: &StartHandshake<Listening>, asks: bool) -> Option<Choice> {
        let hello = start.client_hello();
        match &self.on_demand {
            None => ready.certificates.choose(&hello, asks, self.record.stats()),
            Some(on_demand) => {
                let name = hello.server_name().unwrap_or_default();
                let own = Box::pin(on_demand.certificate(name, start.io.socket())).await;
                own.map(|own| own.shown(asks))
            }
        }
    }

    /// Greets the client of a connection with these ends, on behalf of a workload; an empty one for none. It may take so
    /// long.
    ///
    /// # Errors
    /// Why that failed; it has been counted, but for one that took too long.
    pub async fn accept(
        &self,
        io: Io,
        ends: Ends,
        workload: &str,
        limit: Option<Duration>,
    ) -> Result<(Io, TlsInfo), HandshakeError> {
        let Some(ready) = self.current.load_full() else {
            self.record.factory.downstream_context_secrets_not_ready().inc();
            return Err(HandshakeError::no_secret());
        };
        let mut progress = Progress::new(ready.certificates.iter().next().map(|own| &own.info));
        let greeting = self.greet(io, ends, workload, &ready, &mut progress);
        let greeted = match limit {
            None => greeting.await,
            Some(limit) => {
                let greeted = tokio::time::timeout(limit, greeting).await;
                greeted.unwrap_or_else(|_| Err(HandshakeError::too_late()))
            }
        };
        greeted.map_err(|error| error.seeing(progress.seen()))
    }

    async fn greet(
        &self,
        io: Io,
        ends: Ends,
        workload: &str,
        ready: &Ready,
        progress: &mut Progress,
    ) -> Result<(Io, TlsInfo), HandshakeError> {
        let failed = |error: io::Error| HandshakeError::new(&error, self.record.stats());
        let Some(mut socket) = io.into_socket() else {
            return Err(failed(io::ErrorKind::Unsupported.into()));
        };
        let mut first = [0; FIRST_BYTES];
        let count = socket.peek(&mut first).await.map_err(failed)?;
        let first = &first[..count];
        if let Some(error) = HandshakeError::without_greeting(first, self.record.stats()) {
            // What is there is taken, or the connection would be reset and not closed.
            let mut request = Box::new([0; MAX_REQUEST]);
            socket.read(&mut request[..]).await.map_err(failed)?;
            return Err(error);
        }
        let begun = Instant::now();
        let socket = Listening::new(socket);
        let start = LazyConfigAcceptor::new(Acceptor::default(), socket).await;
        let mut start =
            start.map_err(|error| HandshakeError::of_greeting(&error, first, self.record.stats()))?;
        let heard = start.io.heard();
        let choice = self.choose(ready, &start, heard.asks_for_status).await;
        let hello = start.client_hello();
        let name: Box<str> = hello.server_name().unwrap_or_default().into();
        let key = choice.as_ref().and_then(|choice| choice.key.clone());
        let has_none = key.is_none() && (choice.is_some() || self.on_demand.is_some());
        let asked = self.on_demand.as_ref().map(|on_demand| &on_demand.ledger);
        let spoken = ready.spoken(choice.as_ref().map(|choice| &*choice.own), asked);
        let is_tls13 = spoken.most == Version::V1_3 && heard.offers_tls13;
        let demands = self.config.require_client_certificate || spoken.verifier.demands();
        let asked = Asked { workload: workload.into(), ..Asked::default() };
        let witness = Witness::new(&spoken.verifier, demands).asking(asked);
        let witness = Arc::new(if is_tls13 { witness } else { witness.of_tls12() });
        progress.greeted(is_tls13, choice.as_ref().map(|choice| &choice.own.info), &witness);
        let mut config = self
            .config_for(spoken, &hello, key, &witness)
            .map_err(|error| failed(io::Error::other(error)))?;
        // Of the suites of TLS 1.3 the client's first is taken, as in BoringSSL where there is hardware for AES.
        config.ignore_client_order = !self.config.prefer_client_ciphers && !is_tls13;
        ready.resumption.apply(&mut config, is_tls13);
        // A network filter may have the session end with an alert of its own, which is sealed without the library's help.
        config.enable_secret_extraction = true;
        if let Some(log) = self.key_log.as_ref().and_then(|log| log.of(ends)) {
            config.key_log = log;
        }
        let accepted = start.into_stream_with(Arc::new(config), |session| progress.answered(session)).await;
        let stream = accepted.map_err(|error| match witness.failure() {
            Some(why) => HandshakeError::refused(why),
            None if has_none => HandshakeError::no_certificate(self.record.stats()),
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
            took: Some(begun.elapsed()),
            ..record::agreed(session)
        };
        self.record.complete(&info, session, witness.scheme());
        let (socket, session) = stream.into_inner();
        let mut io = Io::from((socket.into_socket(), session));
        io.on_tls_fault(self.record.count_fault());
        Ok((io, info))
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
        let Some(ready) =
            materials.map(|materials| Ready::new(&self.config, &self.record, materials)).transpose()?
        else {
            return Ok(Box::new(|| ()));
        };
        let validation = ready.materials.validation.as_ref();
        let make = |name: &str, certificate: &Certificate, ledger: &Ledger| {
            ready::own_on_demand(&self.config, (name, certificate), ledger, validation)
        };
        let renewed = self.on_demand.as_ref().map(|on_demand| on_demand.renewed(make)).transpose()?;
        let this = Weak::clone(&self.this);
        Ok(Box::new(move || {
            if let Some(this) = this.upgrade() {
                this.current.store(Some(Arc::new(ready)));
                if let (Some(on_demand), Some(renewed)) = (&this.on_demand, renewed) {
                    on_demand.put_all(renewed);
                }
                this.record.factory.ssl_context_update_by_sds().inc();
            }
        }))
    }
}
