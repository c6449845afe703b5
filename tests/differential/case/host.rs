//! What the hosts of a cluster do.

use serde::Deserialize;
use serde_json::Value;

use super::step::Step;

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
