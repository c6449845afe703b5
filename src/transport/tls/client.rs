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
use super::verify::Verifier;
use super::witness::Witness;
use super::{Record, certificate, provider, record};

/// Sessions that a cluster keeps at most: room for them is taken at once.
const MAX_SESSIONS: u32 = 1024;

/// How hosts of a cluster are greeted. Shared by all workers.
#[derive(Debug)]
pub struct ClientContext {
    config: ClientConfig,
    name: ServerName<'static>,
    sni: Box<str>,
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
        library.enable_sni = !config.sni.is_empty();
        library.resumption = match config.max_session_keys {
            0 => Resumption::disabled(),
            keys => Resumption::in_memory_sessions(keys.min(MAX_SESSIONS) as usize),
        };
        let own = common.certificates.first().and_then(|own| own.chain.first());
        let local = own.and_then(|der| certificate::read(der)).map(Arc::new);
        record.tell_own(&local.iter().map(|local| &**local).collect::<Vec<_>>());
        record.tell_trusted(common.validation.as_ref());
        let name = ServerName::try_from(config.sni.clone()).unwrap_or_else(|_| unnamed());
        Ok(ClientContext { config: library, name, sni: config.sni.as_str().into(), verifier, local, record })
    }

    /// Greets a host; `alpn` is offered where nothing is configured, unless it is empty.
    ///
    /// # Errors
    /// Why that failed; it has been counted.
    pub async fn connect(&self, io: Io, alpn: &[u8]) -> Result<(Io, TlsInfo), HandshakeError> {
        let failed = |error: io::Error| HandshakeError::new(&error, &self.record.stats);
        let Some(socket) = io.into_socket() else {
            return Err(failed(io::ErrorKind::Unsupported.into()));
        };
        let begun = Instant::now();
        let witness = Arc::new(Witness::new(&self.verifier, true));
        let mut config = self.config.clone();
        if config.alpn_protocols.is_empty() && !alpn.is_empty() {
            config.alpn_protocols.push(alpn.to_owned());
        }
        config.dangerous().set_certificate_verifier(Arc::clone(&witness) as _);
        let connected = TlsConnector::from(Arc::new(config)).connect(self.name.clone(), socket).await;
        let stream = connected.map_err(|error| match witness.failure() {
            Some(why) => HandshakeError::refused(why),
            None => failed(error),
        })?;
        let session = stream.get_ref().1;
        let peer = session.peer_certificates().unwrap_or_default();
        let info = TlsInfo {
            sni: self.sni.clone(),
            local: self.local.clone(),
            peer: certificate::read_chain(peer),
            validated: witness.validated(session),
            took: begun.elapsed(),
            ..record::agreed(session)
        };
        self.record.complete(&info, session, witness.scheme());
        Ok((Io::from(TlsStream::from(stream)), info))
    }
}

/// What a host is called where no name is asked for: nobody sees it, but sessions are kept by it.
fn unnamed() -> ServerName<'static> {
    ServerName::from(std::net::IpAddr::from([0; 4]))
}
