//! One case on a running program: its upstreams, its client, and what it shows.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::bootstrap::{self, Hosts, TCP_STATS, UDP_STATS, USUAL_STATS};
use crate::case::Case;
use crate::case::client::{Act, Move};
use crate::case::host::Upstream;
use crate::client::{self, Addresses, Closing};
use crate::common::Proxy;
use crate::common::text::show;
use crate::discovered;
use crate::handshake::Sessions;
use crate::observation::Observation;
use crate::plane::Plane;
use crate::upstream::{Host, Seen};
use crate::wire::Signals;

/// How long to wait for log lines, statistics and upstream requests that must come.
const PATIENCE: Duration = Duration::from_secs(3);
/// The same where the client has already seen something else, so that the case has failed.
const IMPATIENCE: Duration = Duration::from_millis(300);
/// When nothing says what must come: how long nothing may have changed.
const SETTLED: Duration = Duration::from_millis(400);
/// How long a case waits for statistics that it asks for.
const STATS_PATIENCE: Duration = Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// A case set up for a run.
pub(crate) struct Set<'a> {
    pub(crate) index: usize,
    pub(crate) case: &'a Case,
    /// Where the hosts listen.
    pub(crate) addresses: Hosts,
    seen: Seen,
    signals: Arc<Signals>,
    /// They listen for as long as this lives.
    _hosts: Vec<Host>,
    _planes: Vec<Plane>,
}

impl<'a> Set<'a> {
    /// Starts the upstreams.
    pub(crate) fn up(index: usize, case: &'a Case) -> Result<Self, String> {
        let (seen, signals) = (Seen::default(), Arc::new(Signals::default()));
        let (mut hosts, mut addresses) = (Vec::new(), Hosts::new());
        for name in bootstrap::host_names(case) {
            let host = Host::start(case, &name, &seen, &signals).map_err(|error| error.to_string())?;
            if let Some(host) = host {
                addresses.insert(name, host.address);
                hosts.push(host);
            }
        }
        // What they serve may tell the ports of the others.
        let mut planes = Vec::new();
        for (name, upstream) in &case.upstreams {
            if let Upstream::Xds { xds } = upstream {
                let plane = Plane::start(&bootstrap::filled(index, xds, &addresses))?;
                addresses.insert(name.clone(), plane.address);
                planes.push(plane);
            }
        }
        Ok(Self { index, case, addresses, seen, signals, _hosts: hosts, _planes: planes })
    }

    /// Plays the client, then waits until everything else is as expected, or has settled where nothing is.
    pub(crate) fn play(
        &self,
        proxy: &Proxy,
        to: Addresses,
        expected: Option<&Observation>,
        directory: &Path,
    ) -> Observation {
        let mut exchanges = expected.into_iter().flat_map(|expected| &expected.client);
        let client = thread::scope(|scope| {
            let meanwhile = scope.spawn(|| {
                let (acts, sessions) = (self.case.meanwhile.iter(), Sessions::default());
                let closing = Closing::Unexpected;
                acts.map(|act| self.act(act, proxy, to, closing, &sessions, directory)).collect::<String>()
            });
            let sessions = Sessions::default();
            let acts = self.case.client.iter().map(|act| {
                let closing = Closing::in_transcript(exchanges.next());
                self.act(act, proxy, to, closing, &sessions, directory)
            });
            let mut client: Vec<String> = acts.collect();
            let wrong = meanwhile.join().unwrap_or_else(|_| "<panicked>".to_owned());
            client.extend(Some(wrong).filter(|wrong| !wrong.is_empty()));
            client
        });
        match expected {
            Some(expected) => self.until(expected, proxy, &client, directory),
            None => self.until_settled(proxy, &client, directory),
        }
    }

    fn act(
        &self,
        act: &Act,
        proxy: &Proxy,
        to: Addresses,
        closing: Closing,
        sessions: &Sessions,
        directory: &Path,
    ) -> String {
        let done = |done: Result<(), String>| {
            done.map_or_else(|error| format!("<failed: {error}>"), |()| String::new())
        };
        match act {
            Act::Until(wanted) => self.wait_for(&wanted.until, proxy),
            Act::Move(Move { files: (from, to) }) => {
                let moved = bootstrap::move_file(self.index, from, to, directory);
                done(moved.map_err(|error| error.to_string()))
            }
            Act::Listeners(update) => {
                done(discovered::update(self.index, self.case, &update.listeners, directory))
            }
            Act::Signal(told) => {
                self.signals.give(&told.signal);
                String::new()
            }
            Act::Wait(told) => {
                self.signals.wait(&told.wait);
                String::new()
            }
            Act::Connect(exchange) => {
                let exchange = exchange.filled(&bootstrap::tag(self.index), to.listener, &self.addresses);
                client::play(&exchange, None, to, &self.signals, closing)
            }
            Act::Secure(secure) => {
                let exchange =
                    secure.exchange.filled(&bootstrap::tag(self.index), to.listener, &self.addresses);
                client::play(&exchange, Some((&secure.tls, sessions)), to, &self.signals, closing)
            }
        }
    }

    /// Waits until each statistic is at least what is `wanted`; says which are not in the end.
    fn wait_for(&self, wanted: &BTreeMap<String, u64>, proxy: &Proxy) -> String {
        let started = Instant::now();
        loop {
            let now = self.stats_named(wanted.keys().map(String::as_str), proxy);
            let short: Vec<_> = wanted.iter().filter(|(name, least)| now.get(*name) < Some(least)).collect();
            if short.is_empty() || started.elapsed() > STATS_PATIENCE {
                return short.iter().map(|(name, least)| format!("<{name} stays below {least}>")).collect();
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    fn until(
        &self,
        expected: &Observation,
        proxy: &Proxy,
        client: &[String],
        directory: &Path,
    ) -> Observation {
        let started = Instant::now();
        loop {
            // Statistics cost the most to look at, and come last.
            let mut now = self.observe(client, directory);
            let patience = if now.client == expected.client { PATIENCE } else { IMPATIENCE };
            let late = started.elapsed() > patience;
            let rest_agrees = Observation { stats: expected.stats.clone(), ..now.clone() } == *expected;
            if (rest_agrees || late) && !self.case.uncompared.contains_key("stats") {
                now.stats = self.stats(proxy);
            }
            if late || now == *expected {
                return now;
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    fn until_settled(&self, proxy: &Proxy, client: &[String], directory: &Path) -> Observation {
        let mut last = Observation::default();
        let mut changed = Instant::now();
        while changed.elapsed() < SETTLED {
            let stats = self.stats(proxy);
            let now = Observation { stats, ..self.observe(client, directory) }.of_interest(self.case);
            if now != last {
                (last, changed) = (now, Instant::now());
            }
            thread::sleep(LOOK_AGAIN);
        }
        last
    }

    /// Everything but the statistics.
    fn observe(&self, client: &[String], directory: &Path) -> Observation {
        let tag = bootstrap::tag(self.index);
        let observation = Observation {
            client: client.to_vec(),
            upstream: self.seen.lock().expect("no holder panics").clone(),
            log: read_log(&directory.join(format!("{tag}access.log"))),
            stats: BTreeMap::new(),
        };
        observation.normalised(&tag).of_interest(self.case)
    }

    /// The statistics to compare that are not zero.
    fn stats(&self, proxy: &Proxy) -> BTreeMap<String, u64> {
        let usual = match (&self.case.tcp_proxy, &self.case.udp_proxy) {
            (Some(_), _) => &TCP_STATS[..],
            (None, Some(_)) => &UDP_STATS,
            (None, None) => &USUAL_STATS,
        };
        let named = usual.iter().copied().chain(self.case.stats.iter().map(String::as_str));
        // What connections of HTTP/2 begin with is as long as each program has settings to tell.
        let speaks_http2 = |host: &Upstream| matches!(host, Upstream::Http2 { .. });
        let tunnels_datagrams =
            self.case.udp_proxy.as_ref().is_some_and(|proxy| proxy.get("tunneling_config").is_some());
        let begins_anyhow = match tunnels_datagrams {
            true => self.case.upstream.iter().chain(self.case.upstreams.values()).any(speaks_http2),
            false => self.case.tcp_proxy.is_some() && self.case.upstream.as_ref().is_some_and(speaks_http2),
        };
        self.stats_named(
            named.filter(|name| !(begins_anyhow && name.ends_with("upstream_cx_tx_bytes_total"))),
            proxy,
        )
    }

    /// Of these statistics those that are not zero.
    fn stats_named<'s>(&self, names: impl Iterator<Item = &'s str>, proxy: &Proxy) -> BTreeMap<String, u64> {
        let tag = bootstrap::tag(self.index);
        let names: Vec<&str> = names.collect();
        // Names that carry no tag are the case's own by themselves.
        let bare = names.iter().filter(|name| !bootstrap::tagged_stat(name, &tag).contains(&tag));
        let filter: String = std::iter::once(&*tag).chain(bare.copied()).collect::<Vec<_>>().join("|");
        let answer = proxy.get(&format!("/stats?usedonly&histogram_buckets=cumulative&filter={filter}"));
        let text = answer.map(|answer| answer.body).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let values: BTreeMap<&str, u64> = text
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter_map(|(name, value)| Some((name, number(value)?)))
            .collect();
        names
            .into_iter()
            .filter_map(|name| {
                let value = values.get(bootstrap::tagged_stat(name, &tag).as_str()).copied().unwrap_or(0);
                (value > 0).then(|| (name.to_owned(), value))
            })
            .collect()
    }
}

/// What a program logged of a case, line by line and whatever bytes it has; nothing where there is no such log.
fn read_log(path: &Path) -> Vec<String> {
    let log = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        read => read.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
    };
    let lines = log.split_inclusive(|byte| *byte == b'\n');
    lines.map(|line| show(line.strip_suffix(b"\n").unwrap_or(line))).collect()
}

/// A statistic as a number: of a histogram, how many values there are, which its last bucket tells.
fn number(value: &str) -> Option<u64> {
    let of_buckets = || value.rsplit_once(',')?.1.strip_suffix(')')?.parse().ok();
    value.parse().ok().or_else(of_buckets)
}
