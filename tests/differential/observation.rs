//! What a case shows, in a form that two proxies can be compared in.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use crate::bootstrap::untag;
use crate::case::{Case, Replaced};

/// Everything that is compared.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Observation {
    /// What the client received in each exchange.
    pub(crate) client: Vec<String>,
    /// The requests that arrived at the upstreams.
    pub(crate) upstream: Vec<String>,
    /// The lines of the access log.
    pub(crate) log: Vec<String>,
    /// The statistics that the case names.
    pub(crate) stats: BTreeMap<String, u64>,
}

impl Observation {
    /// Takes out what differs from run to run: tags of the case, ports, dates, ids, milliseconds.
    pub(crate) fn normalised(mut self, tag: &str) -> Self {
        for text in self.client.iter_mut().chain(&mut self.upstream).chain(&mut self.log) {
            *text = normalise(untag(text, tag).trim_end_matches('\n'));
        }
        self
    }

    /// Takes out what `case` does not compare.
    pub(crate) fn of_interest(mut self, case: &Case) -> Self {
        if case.hosts_apart {
            // Those of the hosts beside `up` begin with a name.
            let host = |text: &String| {
                text.strip_prefix('[').and_then(|rest| rest.split(']').next()).map(str::to_owned)
            };
            self.upstream.sort_by_key(host);
        }
        for part in case.uncompared.keys() {
            match part.as_str() {
                "client" => self.client.clear(),
                "upstream" => self.upstream.clear(),
                "log" => self.log.clear(),
                _ => self.stats.clear(),
            }
        }
        self
    }

    /// What dragoman is expected to show where it differs on purpose.
    pub(crate) fn replaced(mut self, by: &Replaced) -> Self {
        replace(&mut self.client, by.client.as_ref());
        replace(&mut self.upstream, by.upstream.as_ref());
        replace(&mut self.log, by.log.as_ref());
        for (name, value) in by.stats.iter().flatten() {
            self.stats.insert(name.clone(), *value);
        }
        // What is zero is not shown.
        self.stats.retain(|_, value| *value > 0);
        self
    }

    /// The parts by name, as text.
    pub(crate) fn parts(&self) -> [(&'static str, String); 4] {
        let stats: Vec<String> = self.stats.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        [
            ("client", self.client.join("\n====\n")),
            ("upstream", self.upstream.join("\n====\n")),
            ("log", self.log.join("\n")),
            ("stats", stats.join("\n")),
        ]
    }
}

fn replace(part: &mut Vec<String>, by: Option<&Vec<String>>) {
    if let Some(by) = by {
        part.clone_from(by);
    }
}

/// The address of this machine, which a proxy appends to `x-forwarded-for` where the peer's is a loopback address.
static LOCAL_ADDRESS: LazyLock<String> = LazyLock::new(|| {
    // Connecting a UDP socket sends nothing; it only chooses the address. 192.0.2.1 is nobody's (RFC 5737).
    let address = UdpSocket::bind("0.0.0.0:0")
        .and_then(|socket| socket.connect("192.0.2.1:9").map(|()| socket))
        .and_then(|socket| socket.local_addr());
    address.map_or_else(|_| "127.0.0.1".to_owned(), |address| address.ip().to_string())
});

static VOLATILE: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let local_address = format!(r"(?m)^(x-forwarded-for: (?:.*,)?){}$", regex::escape(&LOCAL_ADDRESS));
    [
        (local_address.as_str(), "${1}<local address>"),
        (r"127\.0\.0\.1:\d{4,5}\b", "127.0.0.1:<port>"),
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uuid>"),
        (r#""port_value": \d{4,5}"#, r#""port_value": <port>"#),
        (r"(?mi)^x-forwarded-port: \d{4,5}$", "x-forwarded-port: <port>"),
        (r"(?mi)^date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$", "date: <date>"),
        (r"(?m)^last-modified: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$", "last-modified: <date>"),
        (r"(?mi)^x-envoy-upstream-service-time: \d+$", "x-envoy-upstream-service-time: <ms>"),
        // The value of a cookie that a proxy makes of a connection's addresses.
        (r#"="[0-9a-f]{16}"(;|$)"#, "=\"<hash>\"$1"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z", "<time>"),
        // Numbers of traces and spans, but for small ones, which are those of cases.
        (
            r#"(x-b3-(?:traceid|spanid|parentspanid): |"(?:id|traceId|parentId)": "|trace=)0{0,6}[1-9a-f][0-9a-f]{9,31}\b"#,
            "${1}<id>",
        ),
        (r"(?m)^(b3: )0{0,6}[1-9a-f][0-9a-f]{9,31}-0{0,6}[1-9a-f][0-9a-f]{9,15}\b", "${1}<id>-<id>"),
        (r"(?m)^(b3: [0-9a-f]+-)0{0,6}[1-9a-f][0-9a-f]{9,15}\b", "${1}<id>"),
        (r"(?m)^(traceparent: 00-)0{0,6}[1-9a-f][0-9a-f]{25,31}-", "${1}<id>-"),
        (r"(?m)^(traceparent: 00-[^-]+-)0{0,6}[1-9a-f][0-9a-f]{9,15}-", "${1}<id>-"),
        (r"OTel-OTLP-Exporter-Envoy/\S+", "OTel-OTLP-Exporter-Envoy/<version>"),
        (r"\bspan=[0-9a-f]{16}\b", "span=<id>"),
        (r#""port_value":\d{4,5}"#, r#""port_value":<port>"#),
        (r#""secs_since_last_action":"\d+""#, r#""secs_since_last_action":"<s>""#),
    ]
    .map(|(pattern, instead)| (Regex::new(pattern).expect("a regular expression"), instead))
    .into()
});

/// Takes out what differs from run to run.
pub(crate) fn normalise(text: &str) -> String {
    VOLATILE
        .iter()
        .fold(text.to_owned(), |text, (pattern, instead)| pattern.replace_all(&text, *instead).into_owned())
}
