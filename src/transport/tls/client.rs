//! TLS towards hosts.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::base::io::Io;
use crate::config::tls::UpstreamTls;
use crate::observability::stats::Registry;
use crate::observability::stream_info::{CertificateInfo, TlsInfo};

use super::failure::HandshakeError;
use super::verify::{Asked, Verifier};
use super::witness::Witness;
use super::{Record, certificate, provider, record};

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
    config: ClientConfig,
    sni: Box<str>,
    /// Whether a host that has a name is asked for by that.
    by_hostname: bool,
    /// Whether the certificate has to have the name that is asked for.
    verifies_sni: bool,
    verifier: Arc<Verifier>,
    local: Option<Arc<CertificateInfo>>,
    record: Record,
}

impl ClientContext {
    /// The context of a cluster whose statistics begin with `owner`.
    ///
    /// # Errors
    /// What the library does not take of the configuration.
    pub fn new(config: &UpstreamTls, registry: &Registry, owner: &str) -> Result<Self, rustls::Error> {
        let common = &config.common;
        let provider = provider::provider(common);
        let mut record = Record::new(registry, owner, "client");
        let stats = record.stats.clone();
        let verifier = Arc::new(Verifier::new(Arc::clone(&provider), common.validation.as_ref(), stats));
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&provider::versions(common.versions))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Witness::new(&verifier, true)));
        let mut library = match common.certificates.first() {
            Some(own) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own.certified()?)))
            }
            None => builder.with_no_client_auth(),
        };
        library.alpn_protocols.clone_from(&common.alpn_protocols);
        library.resumption = match config.max_session_keys {
            0 => Resumption::disabled(),
            keys => Resumption::in_memory_sessions(keys.min(MAX_SESSIONS) as usize),
        };
        let own = common.certificates.first().and_then(|own| own.chain.first());
        let local = own.and_then(|der| certificate::read(der)).map(Arc::new);
        record.tell_own(&local.iter().map(|local| &**local).collect::<Vec<_>>());
        record.tell_trusted(common.validation.as_ref());
        Ok(ClientContext {
            config: library,
            sni: config.sni.as_str().into(),
            by_hostname: config.auto_host_sni,
            verifies_sni: config.auto_sni_san_validation,
            verifier,
            local,
            record,
        })
    }

    /// Greets a host.
    ///
    /// # Errors
    /// Why that failed; it has been counted.
    pub async fn connect(&self, io: Io, greeting: Greeting<'_>) -> Result<(Io, TlsInfo), HandshakeError> {
        let failed = |error: io::Error| HandshakeError::new(&error, &self.record.stats);
        let Some(socket) = io.into_socket() else {
            return Err(failed(io::ErrorKind::Unsupported.into()));
        };
        let begun = Instant::now();
        let sni = self.server_name(&greeting);
        let name = match sni {
            "" => unnamed(),
            sni => ServerName::try_from(sni.to_owned()).map_err(|_| HandshakeError::no_name(sni))?,
        };
        let mut config = self.config.clone();
        config.enable_sni = !sni.is_empty();
        // A session is known by the name that was asked for: one that was begun under other demands is not resumed.
        if greeting.names.iter().any(|name| **name != *sni) {
            config.resumption = Resumption::disabled();
        }
        let asked = Asked {
            names: greeting.names.into(),
            instead: (self.verifies_sni && !sni.is_empty()).then(|| sni.into()),
        };
        let witness = Arc::new(Witness::new(&self.verifier, true).asking(asked));
        greeting.choose_alpn(&mut config.alpn_protocols);
        config.dangerous().set_certificate_verifier(Arc::clone(&witness) as _);
        let connected = TlsConnector::from(Arc::new(config)).connect(name, socket).await;
        let stream = connected.map_err(|error| match witness.failure() {
            Some(why) => HandshakeError::refused(why),
            None => failed(error),
        })?;
        let session = stream.get_ref().1;
        let peer = session.peer_certificates().unwrap_or_default();
        let info = TlsInfo {
            sni: sni.into(),
            local: self.local.clone(),
            peer: certificate::read_chain(peer),
            validated: witness.validated(session),
            took: begun.elapsed(),
            ..record::agreed(session)
        };
        self.record.complete(&info, session, witness.scheme());
        Ok((Io::from(TlsStream::from(stream)), info))
    }

    /// The name of the server that is asked for; empty for none.
    fn server_name<'g>(&'g self, greeting: &Greeting<'g>) -> &'g str {
        match greeting.server_name {
            Some(name) => name,
            None if self.by_hostname && !greeting.hostname.is_empty() => greeting.hostname,
            None => &self.sni,
        }
    }
}

/// What a host is called where no name is asked for: nobody sees it, but sessions are kept by it.
fn unnamed() -> ServerName<'static> {
    ServerName::from(std::net::IpAddr::from([0; 4]))
}
