//! A host that is a management server: what comes over xDS, where a file cannot bring it.

use std::net::{Ipv4Addr, SocketAddr};

use dragoman_xds::{Handle, Resource, Server, VIRTUAL_HOST, load_str};
use serde_json::Value;
use tokio::runtime::Runtime;

/// A management server; it ends when dropped.
pub(crate) struct Plane {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    _handle: Handle,
    _runtime: Runtime,
}

impl Plane {
    /// Serves these resources, virtual hosts only to those who ask for them by name.
    pub(crate) fn start(resources: &Value) -> Result<Self, String> {
        let catalog = load_str(&resources.to_string()).map_err(|problems| format!("{problems:?}"))?;
        let named = |one: Resource| if one.type_url() == VIRTUAL_HOST { one.only_by_name() } else { one };
        let catalog: Vec<Resource> = catalog.into_iter().map(named).collect();
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().map_err(|error| error.to_string())?;
        let handle = runtime.block_on(Server::builder().resources(catalog).start());
        let handle = handle.map_err(|error| error.to_string())?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, handle.port()));
        Ok(Plane { address, _handle: handle, _runtime: runtime })
    }
}
