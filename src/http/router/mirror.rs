//! Copies of a request for other clusters (`request_mirror_policies` of its cluster or its route): which there are, and
//! what each of them is given.
//!
//! A copy has a task of its own (`shadow`), as it goes on when the client has its answer. Its exchange owns it only
//! until the request is complete: a request that is given up takes its copies along. As in Envoy a copy that falls behind
//! holds the request up.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::spawn_local;

use crate::base::headers::{Headers, Known};
use crate::codec::{Frame, StreamError};
use crate::config::route::{MirrorCluster, RequestMirrorPolicy, RouteAction};
use crate::config::runtime::{Draw, RuntimeFraction};
use crate::http::downstream::Downstream;
use crate::http::exchange::Exchange;
use crate::http::render::render;
use crate::route::header_mutation::apply_to_request;
use crate::upstream::Cluster;

use super::copy_log::Logs;
use super::shadow::Shadow;

/// The end of a copy that its exchange has.
#[derive(Debug)]
pub(in crate::http) struct Mirror {
    sender: UnboundedSender<Option<Frame>>,
    queue: Rc<Queue>,
    /// Bytes that may wait for the copy's host before the request waits, too.
    limit: u64,
}

/// What waits between the two ends of a copy.
#[derive(Debug, Default)]
struct Queue {
    bytes: Cell<u64>,
    /// Waits for there to be less.
    waiting: RefCell<Option<Waker>>,
}

impl Queue {
    /// What a frame takes of the room: tiny ones more than they have bytes.
    fn size(frame: &Frame) -> u64 {
        match frame {
            Frame::Data(data) => data.len().max(size_of::<Frame>()) as u64,
            Frame::Trailers(_) => 0,
        }
    }

    fn wake(&self) {
        // Not borrowed any more when it wakes.
        let waker = self.waiting.take();
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Mirror {
    /// Gives the copy a piece of the request, or its end. False when the copy needs no more: it is complete, or its host
    /// has gone away.
    pub(in crate::http) fn give(&self, frame: Option<&Frame>) -> bool {
        let size = frame.map_or(0, Queue::size);
        self.queue.bytes.set(self.queue.bytes.get() + size);
        let ends = !matches!(frame, Some(Frame::Data(_)));
        self.sender.send(frame.cloned()).is_ok() && !ends
    }

    /// Ready when the copy may be given more, or needs no more.
    pub(in crate::http) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.queue.bytes.get() <= self.limit || self.sender.is_closed() {
            return Poll::Ready(());
        }
        *self.queue.waiting.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// The end of a copy that its task has: the request's body.
#[derive(Debug)]
pub(super) struct Copied {
    receiver: UnboundedReceiver<Option<Frame>>,
    queue: Rc<Queue>,
}

impl Drop for Copied {
    fn drop(&mut self) {
        self.receiver.close();
        self.queue.wake();
    }
}

impl Copied {
    /// The next piece of the body. An error when the request was given up.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        self.receiver.poll_recv(cx).map(|given| match given {
            Some(frame) => {
                if let Some(frame) = &frame {
                    self.queue.bytes.set(self.queue.bytes.get() - Queue::size(frame));
                    self.queue.wake();
                }
                Ok(frame)
            }
            None => Err(StreamError::Closed),
        })
    }
}

impl<D: Downstream> Exchange<'_, D> {
    /// Begins the copies of the request, which is ready to be sent.
    pub(super) fn begin_mirrors(&mut self, policies: &[RequestMirrorPolicy], body_limit: Option<u64>) {
        if self.headers.request.get(Known::Method) == Some(b"CONNECT") {
            return;
        }
        let bodiless = self.request_is_bodiless();
        let limit = body_limit.unwrap_or_else(|| self.connection_buffer());
        let worker = &self.connection.worker;
        let snapshot = worker.snapshot();
        let random = worker.random();
        for policy in policies {
            let draw = Draw { random, runtime: &snapshot.runtime };
            let name = cluster_name(policy, &self.headers.request, draw);
            let Some(cluster) = name.and_then(|name| snapshot.clusters.get(name)) else { continue };
            let mut headers = self.headers.request.clone();
            let (info, response) = (&self.info, &self.headers.response);
            apply_to_request(&policy.request_headers_mutations, &mut headers, &mut |format, request, out| {
                render(info, request, response, format, out);
            });
            prepare_copy(policy, &mut headers, worker.local_ip());
            let (mirror, body) = pair(limit);
            let body = (!bodiless).then_some(body);
            let shadow = Shadow {
                worker: Rc::clone(worker),
                cluster: Arc::clone(cluster),
                headers,
                body,
                timeout: self.timeouts.global,
                hosted: self.hosted.cloned(),
                logs: Logs {
                    logs: Arc::clone(self.upstream_logs),
                    moments: self.router.upstream_log_moments,
                },
            };
            spawn_local(shadow.run());
            if !bodiless {
                self.mirrors.push(mirror);
            }
        }
    }
}

/// Where copies of a request to the cluster go: the cluster's word counts before the route's.
pub(super) fn policies<'p>(cluster: &'p Cluster, action: &'p RouteAction) -> &'p [RequestMirrorPolicy] {
    match &cluster.config.http.policies.request_mirror_policies[..] {
        [] => &action.request_mirror_policies,
        own => own,
    }
}

/// A copy of a body: the end that is given it, and the end that sends it on.
fn pair(limit: u64) -> (Mirror, Copied) {
    let (sender, receiver) = unbounded_channel();
    let queue = Rc::new(Queue::default());
    (Mirror { sender, queue: Rc::clone(&queue), limit }, Copied { receiver, queue })
}

/// The cluster that a copy goes to, if there is to be one.
fn cluster_name<'a>(
    policy: &'a RequestMirrorPolicy,
    request: &'a Headers,
    draw: Draw<'_>,
) -> Option<&'a str> {
    let taken = |share: &RuntimeFraction| share.value(draw.runtime).takes(draw.random);
    if !policy.runtime_fraction.as_ref().is_none_or(taken) {
        return None;
    }
    match &policy.cluster {
        MirrorCluster::Name(name) => Some(name),
        MirrorCluster::Header(header) => std::str::from_utf8(request.get_by_name(header.as_bytes())?).ok(),
    }
}

/// Gives the headers of a copy a host that tells it from its request, and what Envoy adds to requests of its own.
fn prepare_copy(policy: &RequestMirrorPolicy, headers: &mut Headers, local: IpAddr) {
    match &policy.host_rewrite_literal {
        Some(host) => headers.set(Known::Authority, host.as_bytes()),
        None if policy.disable_shadow_host_suffix_append => {}
        None => {
            let host = with_suffix(headers.get(Known::Authority).unwrap_or_default());
            headers.set(Known::Authority, &host);
        }
    }
    headers.set(Known::XEnvoyInternal, b"true");
    let mut forwarded = headers.get(Known::XForwardedFor).unwrap_or_default().to_vec();
    if !forwarded.is_empty() {
        forwarded.push(b',');
    }
    forwarded.extend_from_slice(local.to_string().as_bytes());
    headers.set(Known::XForwardedFor, &forwarded);
}

/// A host with a suffix to its name, before its port.
fn with_suffix(host: &[u8]) -> Vec<u8> {
    let port = host.iter().rposition(|byte| *byte == b':').filter(|colon| {
        let digits = &host[colon + 1..];
        !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
    });
    let (name, port) = host.split_at(port.unwrap_or(host.len()));
    [name, b"-shadow", port].concat()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_copy_has_a_host_of_its_own() {
        for (host, expected) in [
            ("a.b", "a.b-shadow"),
            ("a.b:80", "a.b-shadow:80"),
            ("[::1]", "[::1]-shadow"),
            ("[::1]:80", "[::1]-shadow:80"),
            ("a:", "a:-shadow"),
        ] {
            assert_eq!(with_suffix(host.as_bytes()), expected.as_bytes(), "{host}");
        }
    }

    #[test]
    fn a_copy_that_falls_behind_holds_the_request_up() {
        let (mirror, mut copied) = pair(500);
        let piece = |length: usize| Frame::Data(Bytes::from(vec![b'a'; length]));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(mirror.give(Some(&piece(400))) && mirror.poll_room(&mut cx).is_ready());
        assert!(mirror.give(Some(&piece(200))) && mirror.poll_room(&mut cx).is_pending());
        assert!(matches!(copied.poll_next(&mut cx), Poll::Ready(Ok(Some(_)))));
        assert!(mirror.poll_room(&mut cx).is_ready());
    }

    #[test]
    fn tiny_pieces_take_more_room_than_they_have_bytes() {
        let (mirror, mut copied) = pair(500);
        let mut cx = Context::from_waker(Waker::noop());
        let tiny = Frame::Data(Bytes::from_static(b"a"));
        let given = (0..500).take_while(|_| mirror.give(Some(&tiny)) && mirror.poll_room(&mut cx).is_ready());
        assert!(given.count() < 20);
        while mirror.poll_room(&mut cx).is_pending() {
            assert!(matches!(copied.poll_next(&mut cx), Poll::Ready(Ok(Some(_)))));
        }
    }

    #[test]
    fn a_copy_that_needs_no_more_holds_nothing_up() {
        let (mirror, copied) = pair(0);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(mirror.give(Some(&Frame::Data(Bytes::from_static(b"a")))));
        assert!(mirror.poll_room(&mut cx).is_pending());
        drop(copied);
        assert!(mirror.poll_room(&mut cx).is_ready() && !mirror.give(None));
    }

    #[test]
    fn a_copy_of_a_request_that_is_given_up_ends_in_an_error() {
        let (mirror, mut copied) = pair(5);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(copied.poll_next(&mut cx).is_pending());
        drop(mirror);
        assert_eq!(copied.poll_next(&mut cx).map(|next| next.is_err()), Poll::Ready(true));
    }
}
