//! The way of a session to its host over a stream of HTTP: CONNECT-UDP (RFC 9298), or a POST.
//!
//! What is sent goes into the stream as it comes: capsules are made by a filter before it. What comes back goes to the
//! session as it comes, frame by frame.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::time::Instant;

use crate::base::headers::Headers;
use crate::codec::{Frame, MessageStream, StreamError};
use crate::http::{Tunnel, transport_failure};
use crate::observability::format::LogType;
use crate::observability::stream_info::{ResponseFlags, WireBytes};
use crate::upstream::Host;
use crate::upstream::pool::{AcquireError, HostPool};

use super::datagrams::{BATCH, Shared};
use super::held::Held;
use super::session::{Destination, Session};
use super::tunneling::Tunneling;

/// Bytes that may wait for the host where its cluster says nothing, as in Envoy.
const DEFAULT_BUFFER_LIMIT_BYTES: u32 = 1 << 20;

/// A stream of HTTP that datagrams go into, once it is granted.
#[derive(Debug)]
pub(super) struct Tunnelled {
    stream: RefCell<Option<Tunnel>>,
    /// The stream that is not granted yet.
    asked: RefCell<Option<Tunnel>>,
    /// Datagrams that wait for the stream, or for room in it.
    held: Held,
    /// Whether more waits in the stream than may.
    is_full: Cell<bool>,
    /// Wakes what moves bytes when there are some to send.
    waker: RefCell<Option<Waker>>,
    facts: RefCell<Facts>,
}

/// What access logs tell of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The host that was asked last.
    pub(super) host: Option<Arc<Host>>,
    /// The connection to it.
    pub(super) connection_id: Option<u64>,
    /// Why there is none.
    pub(super) failure: Option<Cow<'static, str>>,
    /// How often a host was asked.
    pub(super) attempts: u32,
    /// What came and went, of all attempts that are over.
    pub(super) wire: WireBytes,
}

impl Tunnelled {
    /// One that is not there yet.
    pub(super) fn new(tunneling: &Tunneling) -> Self {
        Tunnelled {
            stream: RefCell::default(),
            asked: RefCell::default(),
            held: Held::new(tunneling.room),
            is_full: Cell::new(false),
            waker: RefCell::default(),
            facts: RefCell::default(),
        }
    }

    /// What access logs tell of it by now.
    pub(super) fn facts(&self) -> Facts {
        let mut facts = self.facts.borrow().clone();
        for stream in [&self.asked, &self.stream] {
            if let Some(stream) = &*stream.borrow() {
                facts.wire = facts.wire + stream.wire();
            }
        }
        facts
    }

    /// Passes a datagram on, or keeps it until there is room.
    pub(super) fn send(&self, datagram: &[u8], to: &Destination) {
        let mut stream = self.stream.borrow_mut();
        match stream.as_mut().filter(|_| !self.is_full.get()) {
            Some(stream) => {
                self.put(stream, Bytes::copy_from_slice(datagram));
                if let Some(waker) = &*self.waker.borrow() {
                    waker.wake_by_ref();
                }
            }
            None => {
                if self.held.push(datagram).is_err() {
                    to.stats.sess_tunnel_buffer_overflow().inc();
                }
            }
        }
    }

    fn put(&self, stream: &mut Tunnel, data: Bytes) {
        stream.send_data(data);
        let limit = stream.buffer_limit_bytes().unwrap_or(DEFAULT_BUFFER_LIMIT_BYTES) as usize;
        self.is_full.set(limit > 0 && stream.buffered() > limit);
    }

    /// Asks hosts for a tunnel, this one first, and moves what it carries to its end.
    pub(super) async fn run(self: Rc<Self>, session: Rc<Session>, shared: Rc<Shared>, first: Rc<HostPool>) {
        let pauses =
            session.proxy.config.tunneling.as_ref().and_then(|tunneling| tunneling.retries.back_off.clone());
        let (mut pauses, mut next) = (pauses, Some(first));
        while let (Some(pool), Some(to)) = (next, session.destination()) {
            self.facts.borrow_mut().attempts += 1;
            if let Some(tunnel) = self.ask(&session, &pool).await {
                self.carry(tunnel, &session, to).await;
                break;
            }
            let attempts = self.facts.borrow().attempts;
            if !shared.may_tunnel(&session, to, attempts) {
                break;
            }
            if let Some(pauses) = &mut pauses {
                let pause = pauses.next_pause(&mut shared.worker.rng.borrow_mut());
                tokio::time::sleep(pause).await;
            }
            to.cluster.stats.upstream_rq_retry().inc();
            next = shared.tunnel_pool(&session, to);
        }
        shared.sessions.end(&session.key);
    }

    /// Asks a host for a tunnel; `None` where it grants none.
    async fn ask(&self, session: &Session, pool: &Rc<HostPool>) -> Option<Tunnel> {
        let tunneling = session.proxy.config.tunneling.as_ref()?;
        let opened = Tunnel::open(pool).await;
        // A pool that had no room has asked no host.
        if !matches!(opened, Err(AcquireError::Overflow | AcquireError::NoPool)) {
            self.facts.borrow_mut().host = Some(Arc::clone(&pool.host));
        }
        let mut tunnel = opened.map_err(|error| self.note_failure(&error, session)).ok()?;
        if !tunnel.begin() {
            return None;
        }
        let established = tunnel.established();
        self.facts.borrow_mut().connection_id = Some(established.id);
        session.idle_since.set(Instant::now());
        let request = tunneling.request(established.tls.is_some(), &session.info());
        if let Some(mut request) = request {
            tunnel.ask(&mut request, tunneling.upgrades());
            self.asked.replace(Some(tunnel));
            let granted = self.is_granted(tunneling, session).await;
            let tunnel = self.asked.take()?;
            if granted {
                return Some(tunnel);
            }
            self.note_end(&tunnel);
        }
        session.flag(ResponseFlags::UF);
        None
    }

    /// Whether the host lets datagrams pass, by its answer.
    async fn is_granted(&self, tunneling: &Tunneling, session: &Session) -> bool {
        let mut answer = Headers::new();
        let answered = poll_fn(|cx| match &mut *self.asked.borrow_mut() {
            Some(tunnel) => tunnel.poll_answer(&mut answer, cx),
            // It was given up.
            None => Poll::Ready(Err(StreamError::Closed)),
        });
        match answered.await {
            Ok(head) => {
                if tunneling.propagates_headers {
                    session.note_headers(&answer);
                }
                tunneling.is_granted_by(head.status, &answer) && !head.end
            }
            Err(error) => {
                if let Some(tunnel) = &mut *self.asked.borrow_mut() {
                    tunnel.broke(error);
                }
                false
            }
        }
    }

    fn note_failure(&self, error: &AcquireError, session: &Session) {
        match error {
            AcquireError::Overflow | AcquireError::NoPool => {}
            AcquireError::Timeout => session.flag(ResponseFlags::UF),
            AcquireError::Connect(error) => {
                self.facts.borrow_mut().failure = Some(transport_failure(error).into());
                session.flag(ResponseFlags::UF);
            }
        }
    }

    /// Moves what the tunnel carries, until the host ends it.
    async fn carry(&self, tunnel: Tunnel, session: &Session, to: &Destination) {
        to.stats.sess_tunnel_success().inc();
        *self.stream.borrow_mut() = Some(tunnel);
        if session.proxy.config.logs_tunnels {
            session.log(LogType::UdpTunnelUpstreamConnected);
        }
        self.send_held();
        poll_fn(|cx| self.poll(session, to, cx)).await;
        let stream = self.stream.borrow_mut().take();
        if let Some(stream) = stream {
            self.note_end(&stream);
        }
    }

    /// Resets the stream, if it has not ended.
    pub(super) fn give_up(&self) {
        for stream in [self.asked.take(), self.stream.take()].into_iter().flatten() {
            let mut facts = self.facts.borrow_mut();
            facts.wire = facts.wire + stream.wire_when_given_up();
        }
    }

    /// Notes what passed on a stream that is over.
    fn note_end(&self, stream: &Tunnel) {
        let mut facts = self.facts.borrow_mut();
        facts.wire = facts.wire + stream.wire();
    }

    /// Sends what waited, if there is room.
    fn send_held(&self) {
        let mut stream = self.stream.borrow_mut();
        let Some(stream) = stream.as_mut().filter(|_| !self.is_full.get()) else { return };
        // All at once, as in Envoy: in one frame, where it is long enough.
        let held = self.held.take();
        if !held.is_empty() {
            self.put(stream, held.into());
        }
    }

    /// Sends what waits in the stream, and what waits for room in it: nothing wakes for the room that comes of this.
    fn flush(&self, cx: &mut Context<'_>) {
        loop {
            self.send_held();
            let mut stream = self.stream.borrow_mut();
            // What keeps it from being sent is told by what is read.
            let Some(Poll::Ready(Ok(()))) = stream.as_mut().map(|stream| stream.poll_flush(cx)) else {
                return;
            };
            if !self.is_full.replace(false) {
                return;
            }
        }
    }

    fn poll(&self, session: &Session, to: &Destination, cx: &mut Context<'_>) -> Poll<()> {
        self.waker.borrow_mut().get_or_insert_with(|| cx.waker().clone()).clone_from(cx.waker());
        for _ in 0..BATCH {
            self.flush(cx);
            let Some(came) = self.poll_stream(cx) else { return Poll::Pending };
            match came {
                Ok(Some(Frame::Data(data))) => {
                    to.stats.sess_rx_datagrams().inc();
                    to.cluster.stats.upstream_cx_rx_bytes_total().add(data.len() as u64);
                    session.idle_since.set(Instant::now());
                    session.give(&data);
                }
                Ok(Some(Frame::Trailers(trailers))) => {
                    if session.proxy.config.tunneling.as_ref().is_some_and(|one| one.propagates_trailers) {
                        session.note_trailers(&trailers);
                    }
                    return Poll::Ready(());
                }
                Ok(None) | Err(_) => return Poll::Ready(()),
            }
        }
        // Others have their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes what came; `None` where nothing did.
    fn poll_stream(&self, cx: &mut Context<'_>) -> Option<Result<Option<Frame>, StreamError>> {
        let mut stream = self.stream.borrow_mut();
        let stream = stream.as_mut()?;
        match stream.poll_frame(cx) {
            Poll::Ready(came) => {
                if let Err(error) = came {
                    stream.broke(error);
                    if error == StreamError::Closed {
                        stream.closed_by_host();
                    }
                    return Some(Err(error));
                }
                Some(came)
            }
            Poll::Pending => None,
        }
    }
}
