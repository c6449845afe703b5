//! Upstream hosts that do as a test tells them, one thread for each connection.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::frames;
use crate::wire::Wire;

/// What a host does with a connection; it may report bytes that it got.
pub(crate) type Script = dyn Fn(Wire, &Sender<Vec<u8>>) + Send + Sync;

/// A host.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    /// What the script reports.
    pub(crate) reports: Receiver<Vec<u8>>,
}

impl Upstream {
    pub(crate) fn running(script: impl Fn(Wire, &Sender<Vec<u8>>) + Send + Sync + 'static) -> Self {
        let script: Arc<Script> = Arc::new(script);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, reports) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, sender) = (Arc::clone(&script), sender.clone());
                thread::spawn(move || script(Wire::new(stream), &sender));
            }
        });
        Upstream { address, reports }
    }

    /// Answers every request that has no body with this, and reports its head.
    pub(crate) fn answering(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::running(move |mut wire, reports| {
            while let Some(head) = wire.head() {
                reports.send(head.into_bytes()).ok();
                wire.send(&response);
            }
        })
    }

    /// Takes connections and requests, and never answers.
    pub(crate) fn silent() -> Self {
        Self::running(|mut wire, reports| {
            while let Some(head) = wire.head() {
                reports.send(head.into_bytes()).ok();
            }
        })
    }

    /// Speaks HTTP/2: after the first request it does as told with the connection and the request's stream.
    pub(crate) fn http2(script: impl Fn(&mut Wire, u32) + Send + Sync + 'static) -> Self {
        Self::running(move |mut wire, reports| {
            let Some(_) = wire.take(frames::PREFACE.len()) else { return };
            wire.send(&frames::frame(frames::SETTINGS, 0, 0, &[]));
            while let Some(frame) = frames::read(&mut wire) {
                if frame.kind == frames::HEADERS {
                    reports.send(frame.payload).ok();
                    script(&mut wire, frame.stream);
                }
            }
        })
    }
}
