//! Starting, steering and stopping a server.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use tokio::task::JoinSet;
use tonic::service::Routes;
use tonic::transport;

use crate::address::{Address, Connection, Listener};
use crate::control::Control;
use crate::hub::Hub;
use crate::load_reports::LoadReports;
use crate::snapshot::Catalog;
use crate::source::{self, Source};
use crate::{service, status};

/// How long the verdict on one type holds up the next. Envoy withholds that on clusters until they are warm.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(5);
/// How often an idle connection is asked whether it is still there, so that dead ones vanish from the status.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long a connection may take to answer that.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long connections may take to end when the server stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket could not be opened.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: Address,
        /// Why.
        source: io::Error,
    },
    /// The directory cannot be served.
    #[error(transparent)]
    Load(#[from] source::LoadError),
}

/// A server to be started.
#[derive(Debug)]
pub struct Builder {
    source: Source,
    listen: Vec<Address>,
    status: Option<Address>,
    patience: Duration,
    load: Option<LoadReports>,
}

/// A management server.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// A server that has nothing to serve yet and listens on any free port of the loopback interface.
    pub fn builder() -> Builder {
        Builder {
            source: Source::default(),
            listen: Vec::new(),
            status: None,
            patience: DEFAULT_PATIENCE,
            load: None,
        }
    }
}

impl Builder {
    /// Serves the resources of a directory, and follows its changes.
    pub fn directory(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.source.directory = Some(path.into());
        self
    }

    /// Serves these resources, until [`Control::set`] gives others. They are not checked.
    pub fn resources(mut self, catalog: impl Into<Catalog>) -> Self {
        self.source.catalog = catalog.into();
        self
    }

    /// Routes of the directory may lead to this cluster: it is in the clients' bootstrap.
    pub fn static_cluster(mut self, name: impl Into<String>) -> Self {
        self.source.static_clusters.insert(name.into());
        self
    }

    /// Listens here as well. Without any, on a free port of the loopback interface.
    pub fn listen(mut self, address: impl Into<Address>) -> Self {
        self.listen.push(address.into());
        self
    }

    /// Serves the status over HTTP at this address. Without it there is no status endpoint.
    pub fn status(mut self, address: impl Into<Address>) -> Self {
        self.status = Some(address.into());
        self
    }

    /// Takes reports of load (LRS), which clients are asked for. Without it there is no such service.
    pub fn load_reports(mut self, asked: LoadReports) -> Self {
        self.load = Some(asked);
        self
    }

    /// How long the verdict on one type holds up the next; 5 s unless set.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Reads the directory, opens the sockets and serves. Returns when clients can connect.
    ///
    /// # Errors
    ///
    /// When a socket cannot be opened, or the directory cannot be served as it is.
    pub async fn start(mut self) -> Result<Handle, StartError> {
        let hub = Arc::new(Hub::new(self.patience));
        let mut tasks = JoinSet::new();
        if self.listen.is_empty() {
            self.listen.push(Address::LOOPBACK);
        }
        let follow = self.source.start(&hub).await?;
        let mut addresses = Vec::new();
        let routes = service::routes(&hub, self.load);
        for address in &self.listen {
            let (listener, bound) = bind(address).await?;
            addresses.push(bound);
            tasks.spawn(serve(hub.clone(), routes.clone(), listener));
        }
        let mut status_address = None;
        if let Some(address) = &self.status {
            let (listener, bound) = bind(address).await?;
            status_address = Some(bound);
            tasks.spawn(status::http::serve(hub.clone(), listener));
        }
        if let Some(follow) = follow {
            tasks.spawn(follow);
        }
        Ok(Handle { addresses, status_address, control: Control::new(hub), tasks })
    }
}

async fn bind(address: &Address) -> Result<(Listener, Address), StartError> {
    let failed = |source| StartError::Listen { address: address.clone(), source };
    let listener = Listener::bind(address).await.map_err(failed)?;
    let bound = listener.address().map_err(failed)?;
    Ok((listener, bound))
}

/// Serves gRPC on one socket until the hub stops.
async fn serve(hub: Arc<Hub>, routes: Routes, listener: Listener) {
    let stopped = hub.stopped();
    let incoming = stream::unfold((hub, listener), |(hub, listener)| async move {
        let connection = accept(&hub, &listener).await;
        Some((Ok::<_, io::Error>(connection), (hub, listener)))
    });
    let served = transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stopped)
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the server failed");
    }
}

/// The next connection that is not refused on request.
async fn accept(hub: &Hub, listener: &Listener) -> Connection {
    loop {
        let connection = listener.accept().await;
        if !hub.is_refusing() {
            return connection;
        }
    }
}

/// A running server. It ends when this is dropped; [`shutdown`](Self::shutdown) ends it in order.
///
/// What a program does to it while it runs is in [`Control`], to which this dereferences.
#[derive(Debug)]
pub struct Handle {
    addresses: Vec<Address>,
    status_address: Option<Address>,
    control: Control,
    tasks: JoinSet<()>,
}

impl Handle {
    /// Where it listens, in the order asked for; a port 0 is replaced by the one that was free.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The first TCP port it listens on; 0 when there are only Unix sockets.
    pub fn port(&self) -> u16 {
        self.addresses.iter().find_map(Address::tcp).map_or(0, |address| address.port())
    }

    /// Where the status is served.
    pub fn status_address(&self) -> Option<&Address> {
        self.status_address.as_ref()
    }

    /// A steering wheel that can be given away.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Ends all streams with `UNAVAILABLE` (clients keep what they have and reconnect), closes the connections
    /// and the sockets, and returns when all is closed, or after 5 s.
    pub async fn shutdown(mut self) {
        self.control.hub().stop();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_GRACE, ended).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
    }
}

impl std::ops::Deref for Handle {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.control
    }
}
