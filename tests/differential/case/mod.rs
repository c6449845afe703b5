//! The form of a case file. `tests/differential/README.md` explains it to who writes one.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::dns::Zone;
use crate::tls::HostTls;

use client::Act;
use host::Upstream;

pub(crate) mod client;
pub(crate) mod host;
pub(crate) mod step;

/// One file in `cases/`: cases that share a process of each subject.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Topic {
    /// What the cases are about.
    #[allow(dead_code, reason = "for the reader of the file")]
    pub(crate) about: String,
    /// Merged over the bootstrap of the process.
    #[serde(default)]
    pub(crate) bootstrap: Value,
    /// What the DNS server of the process answers; there is one where this is not empty, and every name is asked of
    /// it.
    #[serde(default)]
    pub(crate) dns: Zone,
    /// The `log_format` of cases that have none.
    #[serde(default)]
    pub(crate) log_format: Option<Value>,
    /// Statistics that every case compares, beside its own.
    #[serde(default)]
    pub(crate) stats: Vec<String>,
    /// Whether what came to the host of one cluster before what came to that of another is left to chance.
    #[serde(default)]
    pub(crate) hosts_apart: bool,
    /// Whether listeners come over LDS, from a file, and may change. Each case has a process of its own then.
    #[serde(default)]
    pub(crate) discovered: bool,
    /// What the process is started with beside the usual arguments.
    #[serde(default)]
    pub(crate) arguments: Vec<String>,
    /// What stands in its environment beside the usual; `{pem:NAME}` there is what the file holds.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    /// The cases, in order.
    #[serde(default)]
    pub(crate) cases: Vec<Case>,
    /// The field of the API that is left out of the bootstrap, to see whether the cases notice.
    #[serde(skip)]
    pub(crate) without: Option<String>,
}

/// A listener with its routes, clusters and upstreams, and what a client does to it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Case {
    /// The behaviour, as a sentence.
    pub(crate) name: String,
    /// Merged over the listener; in here and in `hcm`, `{cluster:NAME}` stands for the name that a cluster has in the
    /// process.
    pub(crate) listener: Value,
    /// Listeners within the process by name, which clusters reach as `server_listener_name: "{cluster:NAME}"`.
    pub(crate) internal_listeners: BTreeMap<String, Value>,
    /// Other listeners by name, none of which is bound to its address.
    pub(crate) unbound_listeners: BTreeMap<String, Value>,
    /// Merged over the one filter chain of the listener.
    pub(crate) filter_chain: Value,
    /// The `DownstreamTlsContext` of that chain; none by default. `{pem:NAME}` and `{pem:NAME.key}`, here and elsewhere,
    /// stand for files in `testdata/tls`.
    pub(crate) listener_tls: Option<Value>,
    /// Merged over a TCP proxy, which is then the network filter in place of the HTTP connection manager.
    pub(crate) tcp_proxy: Option<Value>,
    /// The network filters before that one.
    pub(crate) network_filters: Vec<Value>,
    /// Merged over a UDP proxy, to which the listener, over UDP then, gives all datagrams.
    pub(crate) udp_proxy: Option<Value>,
    /// Merged over the HTTP connection manager.
    pub(crate) hcm: Value,
    /// Merged over the route configuration.
    pub(crate) route_config: Value,
    /// The virtual hosts, in place of the one for every domain.
    pub(crate) virtual_hosts: Option<Value>,
    /// Merged over the one virtual host.
    pub(crate) virtual_host: Value,
    /// The routes of the one virtual host, in place of the one that sends everything to `up`.
    pub(crate) routes: Option<Value>,
    /// Merged over the action of that one route.
    pub(crate) action: Value,
    /// The clusters by name, each merged over the default cluster; `up` when empty.
    pub(crate) clusters: BTreeMap<String, Value>,
    /// What the host of a cluster does; that of a cluster that is not listed answers 200 with its name. Names that are
    /// no cluster's are hosts for endpoints to refer to, as `port_value: "{port:NAME}"`.
    pub(crate) upstreams: BTreeMap<String, Upstream>,
    /// What the host of the cluster `up` does.
    pub(crate) upstream: Option<Upstream>,
    /// How the host of a cluster is greeted, where that is with TLS.
    pub(crate) host_tls: BTreeMap<String, HostTls>,
    /// Clusters whose connections begin with a header of the PROXY protocol.
    pub(crate) host_proxied: Vec<String>,
    /// What the host of a cluster answers to the CONNECT that its connections begin with.
    pub(crate) host_tunnels: BTreeMap<String, String>,
    /// Files by name, for `path: "{file:NAME}"` in clusters; their content is JSON with ports like those of endpoints,
    /// and `{cluster:NAME}` for the name that a cluster has in the process; or a text with `{port:NAME}` for such ports.
    pub(crate) files: BTreeMap<String, Value>,
    /// Instead of all that: a run of the program that ends by itself.
    pub(crate) command: Option<Command>,
    /// Where listeners are `discovered`: by name what they become when the client says so.
    pub(crate) updates: BTreeMap<String, Update>,
    /// What the client does, one connection after the other.
    pub(crate) client: Vec<Act>,
    /// What is done at the same time. What it shows is not compared, unless something is wrong.
    pub(crate) meanwhile: Vec<Act>,
    /// Statistics to compare afterwards, beside [`crate::bootstrap::USUAL_STATS`].
    pub(crate) stats: Vec<String>,
    /// The access log's `log_format`, in place of [`crate::bootstrap::LOG_FORMAT`].
    pub(crate) log_format: Option<Value>,
    /// The access log's `filter`.
    pub(crate) log_filter: Value,
    /// Whether what came to the host of one cluster before what came to that of another is left to chance.
    pub(crate) hosts_apart: bool,
    /// Parts of what was observed that are not compared (`client`, `upstream`, `log`, `stats`), each with the reason.
    pub(crate) uncompared: BTreeMap<String, String>,
    /// Where dragoman is meant to differ from Envoy.
    pub(crate) differs: Option<Differs>,
    /// Why dragoman does not yet agree. When it does, the case fails until this line is gone.
    pub(crate) known_gap: Option<String>,
}

/// What becomes of the listeners of a case: what it says of them, with this merged over it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Update {
    pub(crate) listener: Value,
    pub(crate) filter_chain: Value,
    pub(crate) hcm: Value,
    pub(crate) route_config: Value,
    pub(crate) udp_proxy: Value,
    /// In place of those that there are.
    pub(crate) internal_listeners: Option<BTreeMap<String, Value>>,
    /// In place of those that there are.
    pub(crate) unbound_listeners: Option<BTreeMap<String, Value>>,
    /// Whether the listener of the case itself goes.
    pub(crate) gone: bool,
}

/// A difference on purpose. It is listed in `docs/differences.md` too.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Differs {
    /// Why dragoman's answer is better.
    #[allow(dead_code, reason = "for the reader of the file")]
    pub(crate) why: String,
    /// The parts of the expectation that are replaced for dragoman.
    pub(crate) dragoman: Replaced,
}

/// Parts of an expectation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Replaced {
    pub(crate) client: Option<Vec<String>>,
    pub(crate) upstream: Option<Vec<String>>,
    pub(crate) log: Option<Vec<String>>,
    pub(crate) stats: Option<BTreeMap<String, u64>>,
}

/// A run of the program that ends by itself. Its exit code is compared, and the lines that are asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Command {
    /// Arguments; `{dir}` is the directory of the files.
    pub(crate) args: Vec<String>,
    /// Files to write first, by name.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// The output is compared in what this regular expression finds, one line each; not at all without it.
    #[serde(default)]
    pub(crate) output: Option<String>,
}

impl Topic {
    /// Reads the file at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut topic: Topic =
            serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        for case in topic.cases.iter_mut().filter(|case| case.command.is_none()) {
            if case.log_format.is_none() {
                case.log_format.clone_from(&topic.log_format);
            }
            case.hosts_apart |= topic.hosts_apart;
            case.stats.extend_from_slice(&topic.stats);
        }
        Ok(topic)
    }
}
