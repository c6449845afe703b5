//! The client of a case: plays an exchange and returns its transcript.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::case::client::{Exchange, Frames, Request};
use crate::case::step::{Frame, Step};
use crate::common::http1::{self, Kind};
use crate::common::text::{show, wire};
use crate::datagrams;
use crate::handshake;
use crate::handshake::Sessions;
use crate::http2;
use crate::script;
use crate::tls::ClientTls;
use crate::upstream::run_steps;
use crate::wire::{PATIENCE, Signals, Wire};

/// At the end of a transcript: the subject closed the connection.
pub(crate) const CLOSED: &str = "<closed>";

/// At the end of a transcript of bytes: the subject reset the connection.
pub(crate) const RESET: &str = "<reset>";

/// The same: an alert said that access is denied.
const DENIED: &str = "<denied>";

/// At the end of a transcript: the client itself left.
const LEFT: &str = "<left>";

/// How to find out whether the subject closes the connection at the end of an exchange.
#[derive(Clone, Copy)]
pub(crate) enum Closing {
    /// It must: wait for it.
    Expected,
    /// It must not: a short look. It can miss a late close, but never sees one that is not there.
    Unexpected,
    /// Nobody knows yet: look for longer than any subject takes.
    Unknown,
}

impl Closing {
    /// What `transcript` lets one expect.
    pub(crate) fn in_transcript(transcript: Option<&String>) -> Self {
        match transcript {
            Some(text) if text.ends_with(CLOSED) || text.ends_with(RESET) => Self::Expected,
            Some(_) => Self::Unexpected,
            None => Self::Unknown,
        }
    }

    fn wait(self) -> Duration {
        match self {
            Self::Expected => Duration::from_secs(2),
            Self::Unexpected => Duration::from_millis(30),
            Self::Unknown => Duration::from_millis(400),
        }
    }
}

/// Where the parts of a subject listen.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) listener: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// Plays `exchange` on a connection of its own, over TLS where that is told.
pub(crate) fn play(
    exchange: &Exchange,
    tls: Option<(&ClientTls, &Sessions)>,
    to: Addresses,
    signals: &Signals,
    closing: Closing,
) -> String {
    if let Exchange::Datagrams(told) = exchange {
        return datagrams::play(told, to.listener, signals);
    }
    let target = match exchange {
        Exchange::Request(request) if request.admin => to.admin,
        _ => to.listener,
    };
    let stream = match TcpStream::connect_timeout(&target, PATIENCE) {
        Ok(stream) => stream,
        Err(error) => return format!("<no connection: {}>", error.kind()),
    };
    if let Exchange::Frames(Frames { receive_buffer: Some(bytes), .. }) = exchange {
        // Left to itself the system lets the buffer of a client that does not read grow to megabytes.
        socket2::SockRef::from(&stream).set_recv_buffer_size(*bytes).expect("the size of a buffer");
    }
    let greeted = match tls {
        None => Wire::new(stream).map(|wire| (wire, String::new())),
        Some((tls, sessions)) => {
            let patient = stream.set_read_timeout(Some(PATIENCE));
            let greeted = patient.and_then(|()| handshake::connect(stream, tls, sessions));
            greeted.map(|(wire, agreed)| (wire, agreed + "\n"))
        }
    };
    let Ok((mut wire, agreed)) = greeted else {
        // Which alert it was is the library's choice.
        return "<no handshake>".to_owned();
    };
    agreed + &exchange_over(&mut wire, exchange, signals, closing)
}

fn exchange_over(wire: &mut Wire, exchange: &Exchange, signals: &Signals, closing: Closing) -> String {
    match exchange {
        Exchange::Raw(text) => http1(wire, &crate::common::text::wire(text), &[], 1, signals, closing),
        Exchange::Request(request) if request.version == "2" => {
            http2_exchange(wire, &request_frames(request), &[], signals, closing)
        }
        Exchange::Request(request) => http1(wire, &script::request(request), &[], 1, signals, closing),
        Exchange::Steps(told) => http1(wire, &[], &told.steps, told.responses, signals, closing),
        Exchange::Bytes(told) => bytes(wire, &told.bytes, signals, closing),
        Exchange::Frames(told) => http2_exchange(wire, &[], &told.frames, signals, closing),
        // They have no connection.
        Exchange::Datagrams(_) => String::new(),
    }
}

fn http1(
    wire: &mut Wire,
    first: &[u8],
    steps: &[Step],
    count: usize,
    signals: &Signals,
    closing: Closing,
) -> String {
    let sent = sent_bytes(first, steps);
    wire.send(first);
    let methods = methods(&sent);
    let stays = run_steps(wire, steps, signals);
    if stays {
        wire.until(|wire| wire.closed || responses(wire, &methods).1 >= count);
        wire.until_closed(closing.wait());
    }
    let (mut transcript, _, length) = responses(wire, &methods);
    transcript.push_str(&show(&wire.received[length..]));
    transcript + ending(stays, wire)
}

/// Plays the steps, and gives all that came.
fn bytes(wire: &mut Wire, steps: &[Step], signals: &Signals, closing: Closing) -> String {
    let stays = run_steps(wire, steps, signals);
    if stays {
        wire.until_closed(closing.wait());
    }
    let end = match (stays, wire.reset, wire.denied) {
        (true, true, _) => RESET,
        (_, _, true) => DENIED,
        _ => ending(stays, wire),
    };
    show(&wire.received) + end
}

/// How the connection ended, as transcripts say it.
fn ending(stays: bool, wire: &Wire) -> &'static str {
    match (stays, wire.closed) {
        (false, _) => LEFT,
        (true, true) => CLOSED,
        (true, false) => "",
    }
}

/// The responses at the start of what came: their transcripts, how many are final, and how many bytes they took.
pub(crate) fn responses(wire: &Wire, methods: &[String]) -> (String, usize, usize) {
    let (mut shown, mut count, mut at) = (String::new(), 0, 0);
    loop {
        let head = methods.get(count).is_some_and(|method| method == "HEAD");
        let kind = if head { Kind::ResponseToHead } else { Kind::Response };
        let Some(message) = http1::read(&wire.received[at..], kind, wire.closed) else { break };
        shown.push_str(&message.shown);
        shown.push('\n');
        at += message.length;
        let interim = matches!(message.status, 100..=199) && message.status != 101;
        count += usize::from(!interim);
        if message.until_close || message.status == 101 {
            break;
        }
    }
    (shown, count, at)
}

/// All that the client sends, to know the methods in it.
fn sent_bytes(first: &[u8], steps: &[Step]) -> Vec<u8> {
    let mut bytes = first.to_vec();
    for step in steps {
        if let Step::Send(text) = step {
            bytes.extend_from_slice(&wire(text));
        }
    }
    bytes
}

fn methods(mut sent: &[u8]) -> Vec<String> {
    let mut methods = Vec::new();
    while let Some(request) = http1::read(sent, Kind::Request, false) {
        methods.push(request.shown.split(' ').next().unwrap_or_default().to_owned());
        sent = &sent[request.length..];
    }
    methods
}

fn request_frames(request: &Request) -> Vec<u8> {
    let body = wire(&[request.body.as_deref().unwrap_or_default(), &request.chunks.concat()].concat());
    let no_body = request.body.is_none() && request.chunks.is_empty();
    let no_trailers = request.trailers.is_empty();
    let mut bytes = http2::fields(1, &script::request_fields(request), no_body && no_trailers);
    if !no_body {
        bytes.extend_from_slice(&http2::data(1, &body, no_trailers));
    }
    if !no_trailers {
        bytes.extend_from_slice(&http2::fields(1, &request.trailers, true));
    }
    bytes
}

/// Sends `first` and the frames of `steps`, and reads until each stream they open has ended.
fn http2_exchange(
    wire: &mut Wire,
    first: &[u8],
    steps: &[Step],
    signals: &Signals,
    closing: Closing,
) -> String {
    wire.send(http2::PREFACE);
    wire.send(&http2::opening());
    wire.send(first);
    let mut reader = http2::Reader::default();
    let mut shows_limits = false;
    for step in steps {
        match step {
            Step::Await(text) => {
                let text = text.as_str();
                read_frames(wire, &mut reader, |reader| {
                    reader.streams.values().any(|s| s.shown().contains(text))
                });
            }
            Step::Limits => shows_limits = true,
            Step::Responses(count) => read_frames(wire, &mut reader, |reader| ended(reader) >= *count),
            step => {
                if !run_steps(wire, std::slice::from_ref(step), signals) {
                    return transcript(&reader, wire) + LEFT;
                }
            }
        }
    }
    let opened = opened_streams(steps);
    read_frames(wire, &mut reader, |reader| ended(reader) >= opened);
    let deadline = Instant::now() + closing.wait();
    while !wire.closed && wire.fill(deadline) {
        reader.read(wire);
    }
    let limits = if shows_limits { reader.limits() } else { String::new() };
    transcript(&reader, wire) + &limits + ending(true, wire)
}

fn read_frames(wire: &mut Wire, reader: &mut http2::Reader, done: impl Fn(&http2::Reader) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        reader.read(wire);
        if done(reader) || wire.closed || !wire.fill(deadline) {
            return;
        }
    }
}

fn ended(reader: &http2::Reader) -> usize {
    reader.streams.values().filter(|stream| stream.ended).count()
}

/// How many streams the client opens: one when the frames do not say.
fn opened_streams(steps: &[Step]) -> usize {
    let mut streams: Vec<u32> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Frame(Frame::Headers(headers)) => Some(headers.stream),
            _ => None,
        })
        .collect();
    streams.sort_unstable();
    streams.dedup();
    streams.len().max(1)
}

fn transcript(reader: &http2::Reader, wire: &Wire) -> String {
    let mut text = String::new();
    for (id, stream) in &reader.streams {
        if reader.streams.len() > 1 || *id != 1 {
            text.push_str(&format!("[stream {id}]\n"));
        }
        text.push_str(&stream.shown());
        text.push('\n');
    }
    if let Some(error) = &reader.goaway {
        text.push_str(&format!("<goaway {error}>\n"));
    }
    text.push_str(&show(&wire.received));
    text
}
