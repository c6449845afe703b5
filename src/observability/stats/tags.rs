//! Tags: what is taken out of a statistic's name and given as a label.
//!
//! Envoy's own rules are here as code on the parts of a name, for the tags that our statistics have. A rule looks at
//! the name only; a value ends at the next dot (a cluster `a.b` gives the tag `a` and leaves `b` in the name).

use crate::config::bootstrap::{StatsConfig, TagValue};

/// A name without its tags, and the tags in the order in which Envoy lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// The rest of the name, dots in it.
    pub name: String,
    /// Names and values.
    pub tags: Vec<(String, String)>,
}

pub(super) const RESPONSE_CODE: &str = "envoy.response_code";
pub(super) const RESPONSE_CODE_CLASS: &str = "envoy.response_code_class";
const RDS_ROUTE_CONFIG: &str = "envoy.rds_route_config";
const WORKER_ID: &str = "envoy.worker_id";
const HTTP_CONN_MANAGER_PREFIX: &str = "envoy.http_conn_manager_prefix";
const LISTENER_ADDRESS: &str = "envoy.listener_address";
const CLUSTER_NAME: &str = "envoy.cluster_name";
const ENDPOINT_ADDRESS: &str = "envoy.endpoint_address";
const FAULT_DOWNSTREAM_CLUSTER: &str = "envoy.fault_downstream_cluster";
const VIRTUAL_CLUSTER: &str = "envoy.virtual_cluster";
const VIRTUAL_HOST: &str = "envoy.virtual_host";
const ROUTE: &str = "envoy.route";
const TCP_PREFIX: &str = "envoy.tcp_prefix";
const UDP_PREFIX: &str = "envoy.udp_prefix";
const LOCAL_HTTP_RATELIMIT_PREFIX: &str = "envoy.local_http_ratelimit_prefix";

/// Takes the tags out of a name.
pub fn extract(config: &StatsConfig, name: &str) -> Extracted {
    let mut tags = Vec::new();
    let mut cuts = Cuts { name, taken: Vec::new() };
    for tag in &config.tags {
        if let TagValue::Fixed(value) = &tag.value {
            tags.push((tag.name.clone(), value.clone()));
        }
    }
    let wanted = |tag: &str| {
        config.use_all_default_tags
            || config.tags.iter().any(|other| other.name == tag && matches!(other.value, TagValue::Default))
    };
    for (tag, rule) in RULES {
        if wanted(tag)
            && let Some((cut, value)) = rule(name)
        {
            cuts.take(cut);
            let value = &name[value.0..value.1];
            let value = if *tag == ENDPOINT_ADDRESS { address(value) } else { value.to_owned() };
            tags.push(((*tag).to_owned(), value));
        }
    }
    for tag in &config.tags {
        if let TagValue::Regex(regex) = &tag.value
            // One that tries a million ways finds nothing.
            && let Ok(Some(found)) = regex.captures(name)
            && let Some(cut) = found.get(1)
        {
            cuts.take((cut.start(), cut.end()));
            let value = found.get(2).unwrap_or(cut);
            tags.push((tag.name.clone(), value.as_str().to_owned()));
        }
    }
    Extracted { name: cuts.rest(), tags }
}

/// Start and end of a part of a name.
type Range = (usize, usize);

/// Finds what to cut out of a name, and the value in it.
type Rule = fn(&str) -> Option<(Range, Range)>;

const RULES: &[(&str, Rule)] = &[
    (RESPONSE_CODE, response_code),
    (RESPONSE_CODE_CLASS, response_code_class),
    (RDS_ROUTE_CONFIG, rds_route_config),
    (WORKER_ID, worker_id),
    (FAULT_DOWNSTREAM_CLUSTER, fault_downstream_cluster),
    (HTTP_CONN_MANAGER_PREFIX, http_conn_manager_prefix),
    (LISTENER_ADDRESS, listener_address),
    (CLUSTER_NAME, cluster_name),
    (ENDPOINT_ADDRESS, endpoint_address),
    (VIRTUAL_CLUSTER, virtual_cluster),
    (VIRTUAL_HOST, virtual_host),
    (ROUTE, route),
    (TCP_PREFIX, tcp_prefix),
    (UDP_PREFIX, udp_prefix),
    (LOCAL_HTTP_RATELIMIT_PREFIX, local_http_ratelimit_prefix),
];

/// The parts of a name that have been cut out.
struct Cuts<'a> {
    name: &'a str,
    taken: Vec<Range>,
}

impl Cuts<'_> {
    fn take(&mut self, cut: Range) {
        self.taken.push(cut);
    }

    fn rest(mut self) -> String {
        self.taken.sort_unstable();
        let (mut rest, mut at) = (String::with_capacity(self.name.len()), 0);
        for (start, end) in self.taken {
            if start > at {
                rest.push_str(&self.name[at..start]);
            }
            at = at.max(end);
        }
        rest.push_str(&self.name[at..]);
        rest
    }
}

/// The part from `start` to the next dot, which is cut out with it.
fn token(name: &str, start: usize) -> Option<(Range, Range)> {
    let end = start + name[start..].find('.')?;
    Some(((start, end + 1), (start, end)))
}

/// `…_rq_503`
fn response_code(name: &str) -> Option<(Range, Range)> {
    let start = name.len().checked_sub(3)?;
    let is_code = name.is_char_boundary(start) && name[start..].bytes().all(|byte| byte.is_ascii_digit());
    (is_code && name[..start].ends_with("_rq_")).then_some(((start - 1, name.len()), (start, name.len())))
}

/// `…_rq_5xx`
fn response_code_class(name: &str) -> Option<(Range, Range)> {
    let digit = name.strip_suffix("xx")?.len().checked_sub(1)?;
    let is_class = name.as_bytes()[digit].is_ascii_digit() && name[..digit].ends_with("_rq_");
    is_class.then_some(((digit, digit + 1), (digit, digit + 1)))
}

/// `http.<prefix>.rds.<route configuration>.<rest without dots>`
fn rds_route_config(name: &str) -> Option<(Range, Range)> {
    let start = name.strip_prefix("http.").and_then(|rest| rest.find(".rds.")).map(|at| at + 10)?;
    let end = name.rfind('.').filter(|end| *end > start)?;
    Some(((start, end + 1), (start, end)))
}

/// `listener.<address>.worker_<id>.…`, `server.worker_<id>.…`
fn worker_id(name: &str) -> Option<(Range, Range)> {
    let known = ["listener.", "server.", "thread_local_cluster_manager."];
    if !known.iter().any(|start| name.starts_with(start)) {
        return None;
    }
    let start = name.find(".worker_")? + ".worker_".len();
    let digits = name[start..].bytes().take_while(u8::is_ascii_digit).count();
    let end = start + digits;
    // The underscore goes with the number.
    (digits > 0 && name[end..].starts_with('.')).then_some(((start - 1, end), (start, end)))
}

/// `http.<prefix>.fault.<downstream cluster>.…`
fn fault_downstream_cluster(name: &str) -> Option<(Range, Range)> {
    let ((_, end), _) = token(name.strip_prefix("http.").map(|_| name)?, "http.".len())?;
    name[end..].starts_with("fault.").then(|| token(name, end + "fault.".len())).flatten()
}

/// `http.<prefix>.…`, `listener.<address>.http.<prefix>.…`
fn http_conn_manager_prefix(name: &str) -> Option<(Range, Range)> {
    if name.starts_with("http.") {
        return token(name, "http.".len());
    }
    let start = name.strip_prefix("listener.")?.find(".http.")? + "listener.".len() + ".http.".len();
    token(name, start)
}

/// `listener.<address>.…`; only what looks like an address.
fn listener_address(name: &str) -> Option<(Range, Range)> {
    const START: usize = "listener.".len();
    let rest = name.strip_prefix("listener.")?;
    let is_v4 = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'_' | b'.');
    let is_v6 = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'_' | b'[' | b']');
    let v4 = rest.bytes().take_while(is_v4).count();
    let v6 = rest.bytes().take_while(is_v6).count();
    let longest =
        |length: usize| rest[..length].rfind('.').or((rest[length..].starts_with('.')).then_some(length));
    let length =
        longest(v4).filter(|length| *length > 0).or_else(|| longest(v6).filter(|length| *length > 0))?;
    Some(((START, START + length + 1), (START, START + length)))
}

/// `cluster.<name>.…`
fn cluster_name(name: &str) -> Option<(Range, Range)> {
    name.strip_prefix("cluster.")?;
    token(name, "cluster.".len())
}

/// `cluster.app.endpoint.10.0.0.1_80.`: all between the word and the last dot.
fn endpoint_address(name: &str) -> Option<(Range, Range)> {
    const WORD: &str = ".endpoint.";
    name.strip_prefix("cluster.")?;
    let start = name.find(WORD)? + WORD.len();
    let end = name.rfind('.').filter(|end| *end > start)?;
    Some(((start, end + 1), (start, end)))
}

/// `vhost.<name>.vcluster.<name>.…`
fn virtual_cluster(name: &str) -> Option<(Range, Range)> {
    token(name, below_virtual_host(name, "vcluster.")?)
}

/// `vhost.<name>.…`
fn virtual_host(name: &str) -> Option<(Range, Range)> {
    name.strip_prefix("vhost.")?;
    token(name, "vhost.".len())
}

/// `vhost.<name>.route.<stat_prefix>.…`
fn route(name: &str) -> Option<(Range, Range)> {
    token(name, below_virtual_host(name, "route.")?)
}

/// `tcp.<prefix>.…`
fn tcp_prefix(name: &str) -> Option<(Range, Range)> {
    name.strip_prefix("tcp.")?;
    token(name, 4)
}

/// `udp.<prefix>.…`
fn udp_prefix(name: &str) -> Option<(Range, Range)> {
    name.strip_prefix("udp.")?;
    token(name, 4)
}

/// `<stat_prefix>.http_local_rate_limit.…`
fn local_http_ratelimit_prefix(name: &str) -> Option<(Range, Range)> {
    let ((start, end), value) = token(name, 0)?;
    name[end..].starts_with("http_local_rate_limit.").then_some(((start, end), value))
}

/// Where it goes on behind the name of a virtual host, which has no dots, and a word.
fn below_virtual_host(name: &str, word: &str) -> Option<usize> {
    let ((_, end), _) = virtual_host(name)?;
    name[end..].starts_with(word).then_some(end + word.len())
}

/// An address as it was before names of statistics had `_` for `:`; a path stays as it is.
fn address(part: &str) -> String {
    if part.starts_with(['/', '@']) { part.to_owned() } else { part.replace('_', ":") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::bootstrap::TagSpecifier;

    fn check(name: &str, rest: &str, tags: &[(&str, &str)]) {
        let extracted = extract(&StatsConfig::default(), name);
        let found: Vec<_> =
            extracted.tags.iter().map(|(tag, value)| (tag.as_str(), value.as_str())).collect();
        assert_eq!((extracted.name.as_str(), &found[..]), (rest, tags), "{name}");
    }

    #[test]
    fn the_address_of_a_host_has_its_colon_again() {
        let cluster = (CLUSTER_NAME, "app");
        for (part, address) in [("10.0.0.1_80", "10.0.0.1:80"), ("[__1]_80", "[::1]:80"), ("/a_b", "/a_b")] {
            let name = format!("cluster.app.endpoint.{part}.");
            check(&name, "cluster.endpoint.", &[cluster, (ENDPOINT_ADDRESS, address)]);
        }
    }

    #[test]
    fn expressions_may_look_ahead() {
        const ISTIO: &str =
            r"^listener(?=\.).*?\.http\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)";
        for (pattern, name, rest, value) in [
            (
                ISTIO,
                "listener.0.0.0.0_80.http.10.0.0.1.downstream_rq",
                "listener.0.0.0.0_80.http.downstream_rq",
                "10.0.0.1",
            ),
            (
                r"^cluster\..*\.(.*?(?=_total|$))",
                "cluster.up.upstream_rq_total",
                "cluster.up._total",
                "upstream_rq",
            ),
            (r"^server\.(?!live)((.+?)_)", "server.memory_allocated", "server.allocated", "memory"),
        ] {
            let tag = TagSpecifier {
                name: "t".to_owned(),
                value: TagValue::Regex(fancy_regex::Regex::new(pattern).expect("an expression")),
            };
            let config =
                StatsConfig { use_all_default_tags: false, tags: vec![tag], ..StatsConfig::default() };
            let tags = vec![("t".to_owned(), value.to_owned())];
            assert_eq!(extract(&config, name), Extracted { name: rest.to_owned(), tags });
        }
    }

    #[test]
    fn tags_are_those_of_envoy() {
        check(
            "cluster.app.upstream_rq_503",
            "cluster.upstream_rq",
            &[(RESPONSE_CODE, "503"), (CLUSTER_NAME, "app")],
        );
        check(
            "cluster.app.external.upstream_rq_5xx",
            "cluster.external.upstream_rq_xx",
            &[(RESPONSE_CODE_CLASS, "5"), (CLUSTER_NAME, "app")],
        );
        check("cluster.a.b_c.membership_total", "cluster.b_c.membership_total", &[(CLUSTER_NAME, "a")]);
        check(
            "listener.127.0.0.1_80.http.web.downstream_rq_2xx",
            "listener.http.downstream_rq_xx",
            &[
                (RESPONSE_CODE_CLASS, "2"),
                (HTTP_CONN_MANAGER_PREFIX, "web"),
                (LISTENER_ADDRESS, "127.0.0.1_80"),
            ],
        );
        check(
            "listener.127.0.0.1_80.worker_1.downstream_cx_total",
            "listener.worker.downstream_cx_total",
            &[(WORKER_ID, "1"), (LISTENER_ADDRESS, "127.0.0.1_80")],
        );
        check(
            "listener.[__1]_80.downstream_cx_total",
            "listener.downstream_cx_total",
            &[(LISTENER_ADDRESS, "[__1]_80")],
        );
        check("listener.admin.downstream_cx_total", "listener.admin.downstream_cx_total", &[]);
        check(
            "http.web.rds.a.b.version_text",
            "http.rds.version_text",
            &[(RDS_ROUTE_CONFIG, "a.b"), (HTTP_CONN_MANAGER_PREFIX, "web")],
        );
        check(
            "http.web.fault.svc.aborts_injected",
            "http.fault.aborts_injected",
            &[(FAULT_DOWNSTREAM_CLUSTER, "svc"), (HTTP_CONN_MANAGER_PREFIX, "web")],
        );
        check(
            "http.web.fault.aborts_injected",
            "http.fault.aborts_injected",
            &[(HTTP_CONN_MANAGER_PREFIX, "web")],
        );
        check("server.worker_0.watchdog_miss", "server.worker.watchdog_miss", &[(WORKER_ID, "0")]);
        check("cluster_manager.cluster_added", "cluster_manager.cluster_added", &[]);
    }
}
