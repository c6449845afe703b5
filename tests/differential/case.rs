//! The form of a case file. `tests/differential/README.md` explains it to who writes one.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::dns::Zone;
use crate::tls::{ClientTls, HostTls};

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

/// The hosts of a cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Upstream {
    /// `refused`: a host that refuses connections; `none`: no host at all.
    Special(Special),
    /// One HTTP/1.1 host; the answers in order, the last one for all further requests.
    Answers(Vec<Answer>),
    /// One host that speaks HTTP/2; answers as above.
    Http2 { http2: Vec<Answer> },
    /// One host that is sent bytes: what it does on each connection in turn. All that came on one is what it saw, with
    /// how it ended.
    Tcp { tcp: Vec<Told> },
    /// One host that is sent datagrams: what it sends back for each in turn, the last for all that come later.
    /// `{datagram}` there is what came, `{from}` the address that it came from. The host is at ::1 where it says so.
    Udp {
        udp: Vec<Vec<String>>,
        #[serde(default)]
        ipv6: bool,
    },
    /// One host that serves these resources over xDS, each with its `@type`. In them stands what may stand in `files`.
    Xds { xds: Value },
}

/// A cluster without a host that answers.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Special {
    Refused,
    None,
}

/// What an upstream does about one request.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    /// These bytes.
    Raw(String),
    /// A response or a sequence of steps.
    Told(Box<Told>),
}

/// An answer in parts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Told {
    /// When the answer starts; once the request is complete by default.
    pub(crate) start: On,
    /// A response to write first.
    pub(crate) response: Option<Response>,
    /// What to do (next).
    pub(crate) steps: Vec<Step>,
    /// What becomes of the connection in the end.
    pub(crate) then: Then,
}

/// The moment an answer starts.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum On {
    /// The connection was accepted.
    Connect,
    /// The request's head is there.
    Head,
    /// The whole request is there.
    #[default]
    Request,
}

/// The end of an answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Then {
    /// The connection stays for the next request.
    #[default]
    Keep,
    /// It is closed.
    Close,
    /// It is reset (TCP RST; in HTTP/2 RST_STREAM with INTERNAL_ERROR).
    Reset,
    /// Everything that comes is sent back.
    Echo,
}

/// A response to write.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Response {
    /// 200 when 0.
    pub(crate) status: u16,
    /// `name: value`.
    pub(crate) headers: Vec<String>,
    /// The body, with `content-length` unless there are `chunks`.
    pub(crate) body: String,
    /// A body in chunks.
    pub(crate) chunks: Vec<String>,
    /// After the chunks.
    pub(crate) trailers: Vec<String>,
    /// Of HTTP/2: the answer to a call of gRPC, which is well unless `trailers` say otherwise. The message names its type
    /// in `@type`.
    pub(crate) grpc: Option<Value>,
}

/// A thing either side does on its connection.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    /// Write these bytes.
    Send(String),
    /// Wait until what has come contains this.
    Await(String),
    /// Wait until so many responses have come in all.
    Responses(usize),
    /// Tell the other side of the case.
    Signal(String),
    /// Wait for [`Step::Signal`] with this name.
    Wait(String),
    /// Wait until the other side has closed.
    Closed,
    /// Do nothing for half a second: only where what did not happen by then is the point.
    Pause,
    /// Close the sending half.
    HalfClose,
    /// Reset the connection, and end.
    Reset,
    /// Close the connection, and end.
    Close,
    /// HTTP/2 only: a frame.
    Frame(Frame),
    /// HTTP/2 only: a message of gRPC on the first stream, which names its type in `@type`.
    Message(Value),
    /// HTTP/2 only: show what the other side says of its table, streams and windows; a host sees the proxy's.
    Limits,
}

/// What the client does next.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Act {
    /// Waits until each of these statistics is at least this.
    Until(Until),
    /// Moves what a file of the case holds into the place of another.
    Move(Move),
    /// Lets the listeners become what an update of the case says.
    Listeners(Listeners),
    /// Tells the other acts.
    Signal(Signalled),
    /// Waits until they tell.
    Wait(Waited),
    /// Makes a connection with TLS.
    Secure(Secure),
    /// Makes a connection.
    Connect(Exchange),
}

/// See [`Act::Secure`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secure {
    pub(crate) tls: ClientTls,
    /// What comes after the handshake.
    pub(crate) exchange: Exchange,
}

/// See [`Act::Until`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Until {
    pub(crate) until: BTreeMap<String, u64>,
}

/// See [`Act::Listeners`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listeners {
    /// The update.
    pub(crate) listeners: String,
}

/// See [`Act::Signal`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signalled {
    pub(crate) signal: String,
}

/// See [`Act::Wait`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Waited {
    pub(crate) wait: String,
}

/// See [`Act::Move`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Move {
    /// The file that is there, and the one that it takes the place of.
    #[serde(rename = "move")]
    pub(crate) files: (String, String),
}

/// One connection of the client.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Exchange {
    /// These bytes, then one response.
    Raw(String),
    /// A request.
    Request(Box<Request>),
    /// HTTP/1.1 step by step.
    Steps(Steps),
    /// HTTP/2 in frames after the preface.
    Frames(Frames),
    /// Bytes that are no HTTP.
    Bytes(Bytes),
    /// Datagrams from one socket.
    Datagrams(Datagrams),
}

impl Exchange {
    /// With the tag that names of the case carry in place of `{tag}` in the path of a request, and the port of a host in
    /// place of `{port:NAME}` there and in its headers.
    #[allow(dead_code, reason = "the listing of evidence plays nothing")]
    pub(crate) fn filled(&self, tag: &str, hosts: &BTreeMap<String, SocketAddr>) -> Self {
        let mut exchange = self.clone();
        if let Exchange::Request(request) = &mut exchange {
            request.path = request.path.replace("{tag}", tag);
            let texts = request.headers.iter_mut().chain([&mut request.path, &mut request.host]);
            for text in texts.filter(|text| text.contains("{port:")) {
                for (name, host) in hosts {
                    *text = text.replace(&format!("{{port:{name}}}"), &host.port().to_string());
                }
            }
        }
        exchange
    }
}

/// See [`Exchange::Steps`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Steps {
    pub(crate) steps: Vec<Step>,
    /// How many final responses to wait for in the end.
    #[serde(default = "one")]
    pub(crate) responses: usize,
}

/// See [`Exchange::Bytes`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bytes {
    pub(crate) bytes: Vec<Step>,
}

/// See [`Exchange::Datagrams`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Datagrams {
    /// `send`, `await` of a whole datagram, `signal` and `wait`.
    pub(crate) datagrams: Vec<Step>,
    /// Where the client is; 127.0.0.1 by default, or ::1 where the listener is.
    #[serde(default)]
    pub(crate) from: Option<IpAddr>,
    /// Where it finds the listener, likewise.
    #[serde(default)]
    pub(crate) to: Option<IpAddr>,
}

/// See [`Exchange::Frames`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Frames {
    pub(crate) frames: Vec<Step>,
}

fn one() -> usize {
    1
}

/// A well-formed request on a connection of its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Request {
    /// Sent to the admin interface instead of the case's listener.
    pub(crate) admin: bool,
    /// `1.1`, `1.0` or `2`.
    pub(crate) version: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) host: String,
    /// `name: value`, after the host.
    pub(crate) headers: Vec<String>,
    /// With `content-length`, unless there are `chunks`.
    pub(crate) body: Option<String>,
    pub(crate) chunks: Vec<String>,
    /// After the chunks, or after an HTTP/2 body.
    pub(crate) trailers: Vec<String>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            admin: false,
            version: "1.1".into(),
            method: "GET".into(),
            path: "/".into(),
            host: "example.com".into(),
            headers: Vec::new(),
            body: None,
            chunks: Vec::new(),
            trailers: Vec::new(),
        }
    }
}

/// An HTTP/2 frame to send.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Frame {
    /// HEADERS with END_HEADERS.
    Headers(HeadersFrame),
    /// DATA.
    Data(DataFrame),
    /// RST_STREAM with this code.
    Rst { stream: u32, code: u32 },
    /// Any frame.
    Raw {
        kind: u8,
        #[serde(default)]
        flags: u8,
        #[serde(default)]
        stream: u32,
        #[serde(default)]
        payload: String,
    },
}

/// See [`Frame::Headers`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeadersFrame {
    #[serde(default = "first_stream")]
    pub(crate) stream: u32,
    /// `name: value`, encoded without Huffman and table.
    pub(crate) fields: Vec<String>,
    /// Whether the frame carries END_STREAM.
    #[serde(default)]
    pub(crate) end: bool,
}

/// See [`Frame::Data`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataFrame {
    #[serde(default = "first_stream")]
    pub(crate) stream: u32,
    pub(crate) content: String,
    #[serde(default)]
    pub(crate) end: bool,
}

fn first_stream() -> u32 {
    1
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
