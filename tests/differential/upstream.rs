//! Hosts that answer as a case says, and remember what they were asked.

use std::io::Write as _;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::case::Case;
use crate::case::host::{Answer, On, Response, Special, Then, Told, Upstream};
use crate::case::step::Step;
use crate::client::{CLOSED, RESET};
use crate::common::http1::{self, Kind};
use crate::common::text::{show, wire};
use crate::datagrams;
use crate::grpc;
use crate::handshake;
use crate::http2;
use crate::proxied;
use crate::script;
use crate::spans;
use crate::tls::HostTls;
use crate::tunnel;
use crate::wire::{PATIENCE, Signals, Wire};

/// How long a host keeps a connection on which nothing comes; longer than any case takes.
const IDLE: Duration = Duration::from_secs(30);

/// See [`Step::Pause`].
pub(crate) const PAUSE: Duration = Duration::from_millis(500);

/// The requests of a case that arrived at its hosts, in order.
pub(crate) type Seen = Arc<Mutex<Vec<String>>>;

/// One host; it stops listening when dropped.
pub(crate) struct Host {
    /// Where it listens, or would.
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    /// Holds the port of a host that refuses.
    _refusing: Option<Refusing>,
}

impl Host {
    /// Starts the host of `cluster`; `None` for a cluster without one.
    pub(crate) fn start(
        case: &Case,
        cluster: &str,
        seen: &Seen,
        signals: &Arc<Signals>,
    ) -> std::io::Result<Option<Self>> {
        let of_up = case.upstream.as_ref().filter(|_| cluster == "up");
        let wants_datagrams =
            case.udp_proxy.as_ref().is_some_and(|proxy| proxy.get("tunneling_config").is_none());
        let (answers, speaks) = match case.upstreams.get(cluster).or(of_up) {
            Some(Upstream::Special(Special::None) | Upstream::Xds { .. }) => return Ok(None),
            Some(Upstream::Special(Special::Refused)) if wants_datagrams => {
                let socket = datagrams::refusing()?;
                let address = socket.local_addr()?;
                return Ok(Some(Self {
                    address,
                    stop: Arc::default(),
                    _refusing: Some(Refusing::Udp(socket)),
                }));
            }
            Some(Upstream::Special(Special::Refused)) => return Self::refusing().map(Some),
            Some(Upstream::Udp { udp, ipv6 }) => {
                return Self::of_datagrams(udp.clone(), *ipv6, cluster, seen).map(Some);
            }
            None if case.udp_proxy.is_some() => {
                return Self::of_datagrams(vec![vec!["{datagram}".to_owned()]], false, cluster, seen)
                    .map(Some);
            }
            Some(Upstream::Answers(answers)) => (answers.clone(), Speaks::Http1),
            Some(Upstream::Http2 { http2 }) => (http2.clone(), Speaks::Http2),
            Some(Upstream::Tcp { tcp }) => {
                (tcp.iter().cloned().map(|told| Answer::Told(Box::new(told))).collect(), Speaks::Bytes)
            }
            None if case.tcp_proxy.is_some() => (vec![usual_echo()], Speaks::Bytes),
            None => (vec![usual_answer(cluster)], Speaks::Http1),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let stop = Arc::new(AtomicBool::new(false));
        let host = Self { address: listener.local_addr()?, stop: Arc::clone(&stop), _refusing: None };
        let label = label(cluster);
        let script = Arc::new(Script {
            label,
            proxied: case.host_proxied.iter().any(|name| name == cluster),
            tunnel: case.host_tunnels.get(cluster).cloned(),
            tls: case.host_tls.get(cluster).cloned(),
            answers,
            answered: AtomicUsize::new(0),
            seen: Arc::clone(seen),
            signals: Arc::clone(signals),
        });
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let script = Arc::clone(&script);
                thread::spawn(move || match speaks {
                    Speaks::Http1 => script.serve_http1(stream),
                    Speaks::Http2 => script.serve_http2(stream),
                    Speaks::Bytes => script.serve_bytes(stream),
                });
            }
        });
        Ok(Some(host))
    }

    /// A host that is sent datagrams.
    fn of_datagrams(
        answers: Vec<Vec<String>>,
        ipv6: bool,
        cluster: &str,
        seen: &Seen,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let address = datagrams::serve(answers, ipv6, label(cluster), Arc::clone(seen), Arc::clone(&stop))?;
        Ok(Self { address, stop, _refusing: None })
    }

    /// A bound port that nobody listens on.
    fn refusing() -> std::io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let address = socket.local_addr()?.as_socket().expect("an IPv4 socket has an IPv4 address");
        Ok(Self { address, stop: Arc::default(), _refusing: Some(Refusing::Tcp(socket)) })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread, which then sees the flag; a refusing host has none to wake.
        drop(TcpStream::connect(self.address));
    }
}

/// The port of a host that refuses.
enum Refusing {
    Tcp(#[expect(dead_code, reason = "held, not read")] Socket),
    Udp(#[expect(dead_code, reason = "held, not read")] UdpSocket),
}

/// What stands before what came to the host of a cluster.
fn label(cluster: &str) -> String {
    if cluster == "up" { String::new() } else { format!("[{cluster}] ") }
}

/// What a host speaks.
#[derive(Clone, Copy)]
enum Speaks {
    Http1,
    Http2,
    Bytes,
}

/// What came is sent back.
fn usual_echo() -> Answer {
    Answer::Told(Box::new(Told { then: Then::Echo, ..Told::default() }))
}

/// 200 with the cluster's name.
fn usual_answer(cluster: &str) -> Answer {
    let response = Response { body: cluster.to_owned(), ..Response::default() };
    Answer::Told(Box::new(Told { response: Some(response), ..Told::default() }))
}

struct Script {
    label: String,
    proxied: bool,
    tunnel: Option<String>,
    tls: Option<HostTls>,
    answers: Vec<Answer>,
    answered: AtomicUsize,
    seen: Seen,
    signals: Arc<Signals>,
}

impl Script {
    fn next(&self) -> &Answer {
        &self.answers[self.answered.load(Ordering::Relaxed).min(self.answers.len() - 1)]
    }

    fn start_of_next(&self) -> On {
        match self.next() {
            Answer::Raw(_) => On::Request,
            Answer::Told(told) => told.start,
        }
    }

    fn take_next(&self) -> &Answer {
        let index = self.answered.fetch_add(1, Ordering::Relaxed);
        &self.answers[index.min(self.answers.len() - 1)]
    }

    fn saw(&self, request: &str) {
        self.seen.lock().expect("no holder panics").push(format!("{}{request}", self.label));
    }

    /// The connection once the handshake is done, where there is one.
    fn greeted(&self, mut stream: TcpStream) -> Option<Wire> {
        if let Some(answer) = &self.tunnel {
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            self.saw(&tunnel::read(&mut stream).unwrap_or_else(|_| "<no CONNECT>".to_owned()));
            stream.write_all(&crate::common::text::wire(answer)).ok()?;
        }
        if self.proxied {
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            self.saw(&proxied::read(&mut stream).unwrap_or_else(|_| "<no header>".to_owned()));
        }
        let Some(tls) = &self.tls else { return Wire::new(stream).ok() };
        let patient = stream.set_read_timeout(Some(PATIENCE));
        match patient.and_then(|()| handshake::accept(stream, tls)) {
            Ok((wire, agreed)) => {
                self.saw(&agreed);
                Some(wire)
            }
            Err(_) => {
                self.saw("<no handshake>");
                None
            }
        }
    }

    fn serve_http1(&self, stream: TcpStream) {
        let Some(mut wire) = self.greeted(stream) else { return };
        if self.start_of_next() == On::Connect && !self.answer_http1(&mut wire) {
            return;
        }
        loop {
            let mut answered = false;
            if self.start_of_next() == On::Head {
                if !until(&mut wire, |wire| http1::head(&wire.received).is_some()) {
                    break;
                }
                answered = true;
                if !self.answer_http1(&mut wire) {
                    self.saw(&aborted(&wire));
                    return;
                }
            }
            if !until(&mut wire, |wire| http1::read(&wire.received, Kind::Request, false).is_some()) {
                break;
            }
            let request = http1::read(&wire.received, Kind::Request, false).expect("it was just there");
            self.saw(spans::shown(&request).as_ref().unwrap_or(&request.shown));
            wire.take(request.length);
            if !answered && !self.answer_http1(&mut wire) {
                return;
            }
        }
        if !wire.received.is_empty() {
            self.saw(&aborted(&wire));
        }
    }

    /// Gives the next answer; whether the connection goes on.
    fn answer_http1(&self, wire: &mut Wire) -> bool {
        match self.take_next() {
            Answer::Raw(text) => {
                wire.send(&crate::common::text::wire(text));
                true
            }
            Answer::Told(told) => {
                if let Some(response) = &told.response {
                    wire.send(&script::response(response));
                }
                run_steps(wire, &told.steps, &self.signals) && end(wire, told.then)
            }
        }
    }

    fn serve_bytes(&self, stream: TcpStream) {
        let Some(mut wire) = self.greeted(stream) else { return };
        let Answer::Told(told) = self.take_next() else { return };
        let mut came = Vec::new();
        if run_steps(&mut wire, &told.steps, &self.signals) {
            match told.then {
                Then::Echo => {
                    while !wire.received.is_empty() || wire.fill(Instant::now() + IDLE) && !wire.closed {
                        let bytes = wire.take(wire.received.len());
                        wire.send(&bytes);
                        came.extend(bytes);
                    }
                }
                Then::Keep => {
                    until(&mut wire, |wire| wire.closed);
                }
                Then::Close | Then::Reset => {
                    end(&mut wire, told.then);
                }
            }
        }
        came.extend_from_slice(&wire.received);
        let ending = match (wire.reset, wire.closed) {
            (true, _) => RESET,
            (false, true) => CLOSED,
            (false, false) => "",
        };
        self.saw(&(show(&came) + ending));
    }

    fn serve_http2(&self, stream: TcpStream) {
        let Some(mut wire) = self.greeted(stream) else { return };
        if !until(&mut wire, |wire| wire.received.len() >= http2::PREFACE.len()) {
            self.saw(&aborted(&wire));
            return;
        }
        if !wire.received.starts_with(http2::PREFACE) {
            self.saw(&format!("<no preface>{}", show(&wire.received)));
            return;
        }
        wire.take(http2::PREFACE.len());
        wire.send(&http2::opening());
        let mut reader = http2::Reader::default();
        let mut answered = Vec::new();
        let mut seen = Vec::new();
        loop {
            reader.read(&mut wire);
            for (id, stream) in &reader.streams {
                // Before the answer: what it leads to may be seen by another host.
                if stream.ended && !seen.contains(id) {
                    seen.push(*id);
                    self.saw(&stream.shown());
                }
                let begins = stream.ended || (stream.started && self.start_of_next() == On::Head);
                if begins && !answered.contains(id) {
                    answered.push(*id);
                    if !self.answer_http2(&mut wire, *id, &reader) {
                        return;
                    }
                }
            }
            if !wire.fill(Instant::now() + IDLE) {
                return;
            }
        }
    }

    fn answer_http2(&self, wire: &mut Wire, stream: u32, reader: &http2::Reader) -> bool {
        let told = match self.take_next() {
            Answer::Raw(text) => {
                wire.send(&crate::common::text::wire(text));
                return true;
            }
            Answer::Told(told) => told,
        };
        if told.steps.iter().any(|step| matches!(step, Step::Limits)) {
            self.saw(&reader.limits());
        }
        if let Some(response) = &told.response {
            wire.send(&http2_response(stream, response));
        }
        if !run_steps(wire, &told.steps, &self.signals) {
            return false;
        }
        if told.then == Then::Reset {
            wire.send(&http2::reset(stream, 2));
            return true;
        }
        end(wire, told.then)
    }
}

fn http2_response(stream: u32, response: &Response) -> Vec<u8> {
    if let Some(message) = &response.grpc {
        return grpc_response(stream, response, message);
    }
    let body = wire(&[response.body.as_str(), &response.chunks.concat()].concat());
    let no_trailers = response.trailers.is_empty();
    let mut bytes = http2::fields(stream, &script::response_fields(response), body.is_empty() && no_trailers);
    if !body.is_empty() {
        bytes.extend_from_slice(&http2::data(stream, &body, no_trailers));
    }
    if !no_trailers {
        bytes.extend_from_slice(&http2::fields(stream, &response.trailers, true));
    }
    bytes
}

/// The answer to a call of gRPC.
fn grpc_response(stream: u32, response: &Response, message: &Value) -> Vec<u8> {
    let mut fields = script::response_fields(response);
    fields.push("content-type: application/grpc".to_owned());
    let is_well = ["grpc-status: 0".to_owned()];
    let trailers = if response.trailers.is_empty() { &is_well[..] } else { &response.trailers };
    let head = http2::fields(stream, &fields, false);
    [head, http2::data(stream, &grpc::body(message), false), http2::fields(stream, trailers, true)].concat()
}

/// Does `steps` in order; false when the connection is at its end.
pub(crate) fn run_steps(wire: &mut Wire, steps: &[Step], signals: &Signals) -> bool {
    for step in steps {
        match step {
            Step::Send(text) => wire.send(&crate::common::text::wire(text)),
            Step::Await(text) => {
                wire.until_contains(&crate::common::text::wire(text));
            }
            Step::Responses(count) => {
                wire.until(|wire| wire.closed || crate::client::responses(wire, &[]).1 >= *count);
            }
            Step::Signal(name) => signals.give(name),
            Step::Wait(name) => signals.wait(name),
            Step::Closed => {
                wire.until(|wire| wire.closed);
            }
            Step::Pause => thread::sleep(PAUSE),
            // It was shown before.
            Step::Limits => {}
            Step::HalfClose => wire.shut(Shutdown::Write),
            Step::Reset => return end(wire, Then::Reset),
            Step::Close => return end(wire, Then::Close),
            Step::Frame(frame) => wire.send(&http2::bytes(frame)),
            Step::Message(message) => wire.send(&http2::data(1, &grpc::body(message), false)),
        }
    }
    true
}

/// Ends an answer; whether the connection goes on.
fn end(wire: &mut Wire, then: Then) -> bool {
    match then {
        Then::Keep => return true,
        Then::Close => wire.shut(Shutdown::Both),
        Then::Reset => wire.reset_on_close(),
        Then::Echo => {
            while wire.fill(Instant::now() + IDLE) && !wire.closed {
                let bytes = wire.take(wire.received.len());
                wire.send(&bytes);
            }
        }
    }
    false
}

/// Waits for `done` for as long as a host waits; false when the connection ended first.
fn until(wire: &mut Wire, done: impl Fn(&Wire) -> bool) -> bool {
    let deadline = Instant::now() + IDLE;
    while !done(wire) {
        if wire.closed || !wire.fill(deadline) {
            return false;
        }
    }
    true
}

fn aborted(wire: &Wire) -> String {
    format!("{}<aborted>", show(&wire.received))
}
