//! What either side does on its connection, one thing after another.

use serde::Deserialize;
use serde_json::Value;

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
