//! The admin interface's own access logs: `envoy.config.bootstrap.v3.Admin.access_log`.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use hyper::header::HeaderMap;
use hyper::{Method, Version};

use crate::base::connection_id;
use crate::base::headers::{Headers, Known, Name};
use crate::base::random::Rng;
use crate::config::runtime::Draw;
use crate::http::forwarding;
use crate::observability::access_log::AccessLog;
use crate::observability::format::{Context, LogType};
use crate::observability::stream_info::{Address, ConnectionInfo, Protocol, StreamInfo};
use crate::snapshot::Published;

/// What Envoy says of every answer of the admin interface.
const DETAILS: &str = "admin_filter_response";

/// The two ends of a connection; `None` for both of a Unix socket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends {
    /// The client.
    pub remote: Option<SocketAddr>,
    /// The admin interface.
    pub local: Option<SocketAddr>,
}

/// The logs. A clone writes to the same.
#[derive(Clone, Debug, Default)]
pub struct Logs(Option<Rc<Shared>>);

#[derive(Debug)]
struct Shared {
    logs: Box<[AccessLog]>,
    /// The runtime, which their filters may ask.
    published: Arc<Published>,
    random: RefCell<Rng>,
}

impl Logs {
    /// Lines go to each of these; what is published has the runtime's values.
    pub fn new(logs: Box<[AccessLog]>, published: Arc<Published>) -> Self {
        let shared = Shared { logs, published, random: RefCell::new(Rng::from_entropy()) };
        Logs((!shared.logs.is_empty()).then(|| Rc::new(shared)))
    }

    /// A line for a request that has come; `None` without logs.
    pub(super) fn line(
        &self,
        ends: Ends,
        method: &Method,
        target: &str,
        version: Version,
        headers: &HeaderMap,
    ) -> Option<Line> {
        let shared = Rc::clone(self.0.as_ref()?);
        let mut request = Headers::new();
        request.append(Known::Method, method.as_str().as_bytes());
        request.append(Known::Path, target.as_bytes());
        request.append(Known::Scheme, b"http");
        for (name, value) in headers {
            let name =
                if name == hyper::header::HOST { Known::Authority.into() } else { Name::new(name.as_ref()) };
            request.append(name, value.as_bytes());
        }
        request.append(Known::XForwardedProto, b"http");
        if let Some(remote) = ends.remote {
            forwarding::append(&mut request, remote.ip());
        }
        let mut info = StreamInfo::new(Instant::now(), SystemTime::now(), Rc::new(connection(ends)));
        info.protocol = Some(if version == Version::HTTP_10 { Protocol::Http10 } else { Protocol::Http11 });
        info.response_code_details = DETAILS.into();
        Some(Line { shared, request, response: Headers::new(), info })
    }
}

/// A line that is written when it is dropped: when the answer has been sent, or cannot be.
#[derive(Debug)]
pub(super) struct Line {
    shared: Rc<Shared>,
    request: Headers,
    response: Headers,
    info: StreamInfo,
}

impl Line {
    /// Bytes of the request's body.
    pub(super) fn received(&mut self, bytes: usize) {
        self.info.bytes_received += bytes as u64;
    }

    /// The answer begins.
    pub(super) fn answered(&mut self, status: u16, content_type: &str) {
        self.info.response_code = status;
        self.response.append(Known::ContentType, content_type.as_bytes());
    }

    /// Bytes of the answer's body.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.info.bytes_sent += bytes as u64;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.info.timing.complete = Some(self.info.start.elapsed());
        let context = Context {
            log_type: LogType::DownstreamEnd,
            ..Context::new(&self.info, &self.request, &self.response)
        };
        let Shared { logs, published, random } = &*self.shared;
        let snapshot = published.load();
        for log in logs {
            let random = random.borrow_mut().next_u64();
            log.write(&context, Draw { random, runtime: &snapshot.runtime });
        }
    }
}

fn connection(ends: Ends) -> ConnectionInfo {
    let address = |address: Option<SocketAddr>| match address {
        Some(address) => Address::Ip(address),
        None => Address::Pipe("".into()),
    };
    ConnectionInfo::new(connection_id::next(), address(ends.remote), address(ends.local))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config;
    use crate::config::access_log::AccessLogSink;
    use crate::config::format::{Format, SubstitutionFormat};
    use crate::observability::access_log::{Settings, Sinks};
    use crate::observability::stats::Registry;

    #[test]
    fn a_line_is_written_when_the_answer_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.log");
        let format = "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% \
                      %BYTES_SENT% %RESP(content-type)% %REQ(:AUTHORITY)% %RESPONSE_CODE_DETAILS% \
                      %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%\n";
        let format =
            SubstitutionFormat::Text { format: Format::parse(format).unwrap(), omit_empty_values: false };
        let sink = AccessLogSink::File(path.clone());
        let config = config::access_log::AccessLog { sink, format, filter: None };
        let settings =
            Settings { workers: 1, flush_size: 1 << 20, flush_interval: Duration::from_secs(3600) };
        let sinks = Sinks::new(settings, &Registry::new(1)).unwrap();
        let logs = Logs::new(AccessLog::build(&[config], &sinks).unwrap(), Arc::default());

        let mut headers = HeaderMap::new();
        headers.insert("host", "admin:1".parse().unwrap());
        let ends = Ends { remote: Some(([192, 0, 2, 9], 1).into()), local: None };
        let mut line =
            logs.line(ends, &Method::POST, "/logging?level=off", Version::HTTP_11, &headers).unwrap();
        line.received(3);
        line.answered(200, "text/plain");
        line.sent(5);
        sinks.flush();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
        drop(line);
        sinks.flush();
        // As Envoy 1.40 was seen to write it.
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "POST /logging?level=off HTTP/1.1 200 - 3 5 text/plain admin:1 admin_filter_response 192.0.2.9\n"
        );
        assert!(Logs::default().line(ends, &Method::GET, "/", Version::HTTP_11, &headers).is_none());
    }
}
