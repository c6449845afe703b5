//! What the client does.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use crate::tls::ClientTls;

use super::step::Step;

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
    /// With the tag that names of the case carry in place of `{tag}` in the path of a request, and in place of
    /// `{port:NAME}` there, in its host and in its headers the port of a host, of `{port}` that of the listener.
    #[allow(dead_code, reason = "the listing of evidence plays nothing")]
    pub(crate) fn filled(
        &self,
        tag: &str,
        listener: SocketAddr,
        hosts: &BTreeMap<String, SocketAddr>,
    ) -> Self {
        let mut exchange = self.clone();
        if let Exchange::Request(request) = &mut exchange {
            request.path = request.path.replace("{tag}", tag);
            let texts = request.headers.iter_mut().chain([&mut request.path, &mut request.host]);
            for text in texts.filter(|text| text.contains("{port")) {
                *text = text.replace("{port}", &listener.port().to_string());
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
    /// Bytes that the system keeps for a client that does not read; by default as many as it likes.
    #[serde(default)]
    pub(crate) receive_buffer: Option<usize>,
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
