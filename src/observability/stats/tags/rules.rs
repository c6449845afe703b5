//! Envoy's own rules, for the tags that our statistics have.
//!
//! Envoy writes them as patterns of steps, and as regular expressions where those do not suffice; they are here in its
//! order, which is that of the tags: first those that may stand in names of any beginning.

pub(in super::super) const RESPONSE_CODE: &str = "envoy.response_code";
pub(in super::super) const RESPONSE_CODE_CLASS: &str = "envoy.response_code_class";
pub(super) const SSL_CURVE: &str = "envoy.ssl_curve";
pub(super) const SSL_SIGALG: &str = "envoy.ssl_sigalg";
pub(super) const SSL_VERSION: &str = "envoy.ssl_version";
pub(super) const WORKER_ID: &str = "envoy.worker_id";
pub(super) const TLS_CERTIFICATE: &str = "envoy.tls_certificate";
pub(super) const LOCAL_HTTP_RATELIMIT_PREFIX: &str = "envoy.local_http_ratelimit_prefix";
pub(super) const RBAC_PREFIX: &str = "envoy.rbac_prefix";
pub(super) const RDS_ROUTE_CONFIG: &str = "envoy.rds_route_config";
pub(super) const SCOPED_RDS_CONFIG: &str = "envoy.scoped_rds_config";
pub(super) const HTTP_USER_AGENT: &str = "envoy.http_user_agent";
pub(super) const FAULT_DOWNSTREAM_CLUSTER: &str = "envoy.fault_downstream_cluster";
pub(super) const HTTP_CONN_MANAGER_PREFIX: &str = "envoy.http_conn_manager_prefix";
pub(super) const SSL_CIPHER: &str = "envoy.ssl_cipher";
pub(super) const LISTENER_ADDRESS: &str = "envoy.listener_address";
/// The suites that hosts agreed to; Envoy gives this tag no name of its own kind.
pub(super) const SSL_CIPHER_SUITE: &str = "cipher_suite";
pub(super) const CLUSTER_NAME: &str = "envoy.cluster_name";
pub(super) const HEALTH_CHECK_NAME: &str = "envoy.health_check_name";
pub(super) const ENDPOINT_ADDRESS: &str = "envoy.endpoint_address";
pub(super) const VIRTUAL_CLUSTER: &str = "envoy.virtual_cluster";
pub(super) const VIRTUAL_HOST: &str = "envoy.virtual_host";
pub(super) const ROUTE: &str = "envoy.route";
pub(super) const TCP_PREFIX: &str = "envoy.tcp_prefix";
pub(super) const UDP_PREFIX: &str = "envoy.udp_prefix";
pub(super) const RATELIMIT_PREFIX: &str = "envoy.ratelimit_prefix";
pub(super) const CONNECTION_LIMIT_PREFIX: &str = "envoy.connection_limit_prefix";
pub(super) const LOCAL_NETWORK_RATELIMIT_PREFIX: &str = "envoy.local_network_ratelimit_prefix";
pub(super) const LOCAL_LISTENER_RATELIMIT_PREFIX: &str = "envoy.local_listener_ratelimit_prefix";
pub(super) const PROXY_PROTOCOL_PREFIX: &str = "envoy.proxy_protocol_prefix";
pub(super) const PROXY_PROTOCOL_VERSION: &str = "envoy.proxy_protocol_version";
pub(super) const XDS_RESOURCE_NAME: &str = "envoy.xds_resource_name";

/// Start and end of a part of a name.
pub(super) type Range = (usize, usize);

/// What to cut out of a name, and the value in it.
type Found = Option<(Range, Range)>;

/// Where a tag stands.
pub(super) enum Rule {
    /// Steps between dots: `$` is the value, `*` any step, `**` all that follows.
    Steps(&'static str),
    /// Anything else.
    Code(fn(&str) -> Found),
}

use Rule::{Code, Steps};

pub(super) const RULES: &[(&str, Rule)] = &[
    (RESPONSE_CODE, Code(response_code)),
    (RESPONSE_CODE_CLASS, Code(response_code_class)),
    (SSL_CURVE, Code(|name| agreed(name, ".ssl.curves."))),
    (SSL_SIGALG, Code(|name| agreed(name, ".ssl.sigalgs."))),
    (SSL_VERSION, Code(|name| agreed(name, ".ssl.versions."))),
    (WORKER_ID, Code(worker_id)),
    (TLS_CERTIFICATE, Code(tls_certificate)),
    (LOCAL_HTTP_RATELIMIT_PREFIX, Steps("$.http_local_rate_limit.**")),
    (RBAC_PREFIX, Steps("$.rbac.**")),
    (RDS_ROUTE_CONFIG, Code(rds_route_config)),
    (SCOPED_RDS_CONFIG, Code(scoped_rds_config)),
    (HTTP_USER_AGENT, Steps("http.*.user_agent.$.**")),
    (FAULT_DOWNSTREAM_CLUSTER, Steps("http.*.fault.$.**")),
    (HTTP_CONN_MANAGER_PREFIX, Steps("http.$.**")),
    (SSL_CIPHER, Code(ssl_cipher)),
    (HTTP_CONN_MANAGER_PREFIX, Code(http_of_listener)),
    (LISTENER_ADDRESS, Code(listener_address)),
    (SSL_CIPHER_SUITE, Code(ssl_cipher_suite)),
    (HEALTH_CHECK_NAME, Code(health_check_name)),
    (CLUSTER_NAME, Steps("cluster.$.**")),
    (ENDPOINT_ADDRESS, Code(endpoint_address)),
    (VIRTUAL_CLUSTER, Steps("vhost.*.vcluster.$.**")),
    (VIRTUAL_HOST, Steps("vhost.$.**")),
    (ROUTE, Steps("vhost.*.route.$.**")),
    (TCP_PREFIX, Steps("tcp.$.**")),
    (UDP_PREFIX, Steps("udp.$.**")),
    (RATELIMIT_PREFIX, Steps("ratelimit.$.**")),
    (CONNECTION_LIMIT_PREFIX, Steps("connection_limit.$.**")),
    (LOCAL_NETWORK_RATELIMIT_PREFIX, Steps("local_rate_limit.$.**")),
    (LOCAL_LISTENER_RATELIMIT_PREFIX, Steps("listener_local_ratelimit.$.**")),
    (PROXY_PROTOCOL_PREFIX, Code(proxy_protocol_prefix)),
    (PROXY_PROTOCOL_VERSION, Code(proxy_protocol_version)),
    (XDS_RESOURCE_NAME, Steps("sds.$.**")),
];

impl Rule {
    /// Finds the tag in a name.
    pub(super) fn find(&self, name: &str) -> Found {
        match self {
            Steps(pattern) => steps(pattern, name),
            Code(find) => find(name),
        }
    }
}

fn steps(pattern: &str, name: &str) -> Found {
    let (mut at, mut found) = (0, None);
    for step in pattern.split('.') {
        if step == "**" {
            return found;
        }
        let part = token(name, at)?;
        let ((_, next), (start, end)) = part;
        match step {
            "$" => found = Some(part),
            "*" => {}
            word if word == &name[start..end] => {}
            _ => return None,
        }
        at = next;
    }
    None
}

/// The part from `start` to the next dot, which is cut out with it.
fn token(name: &str, start: usize) -> Found {
    let end = start + name.get(start..)?.find('.')?;
    Some(((start, end + 1), (start, end)))
}

/// `…_rq_503`
fn response_code(name: &str) -> Found {
    let start = name.len().checked_sub(3)?;
    let is_code = name.is_char_boundary(start) && name[start..].bytes().all(|byte| byte.is_ascii_digit());
    (is_code && name[..start].ends_with("_rq_")).then_some(((start - 1, name.len()), (start, name.len())))
}

/// `…_rq_5xx`
fn response_code_class(name: &str) -> Found {
    let digit = name.strip_suffix("xx")?.len().checked_sub(1)?;
    let is_class = name.as_bytes()[digit].is_ascii_digit() && name[..digit].ends_with("_rq_");
    is_class.then_some(((digit, digit + 1), (digit, digit + 1)))
}

/// What is behind `word` in statistics of a listener or a cluster.
fn of_tls(name: &str, word: &str) -> Option<usize> {
    let known = name.starts_with("listener.") || name.starts_with("cluster.");
    known.then(|| name.find(word).map(|at| at + word.len())).flatten()
}

/// `listener.<address>.ssl.versions.<name>`, with the dot before the name. Names of versions have dots in them.
fn agreed(name: &str, word: &str) -> Found {
    let start = of_tls(name, word)?;
    let is_version = word == ".ssl.versions.";
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte) || is_version && byte == b'.';
    let fits = start < name.len() && name[start..].bytes().all(allowed);
    fits.then_some(((start - 1, name.len()), (start, name.len())))
}

/// `listener.<address>.ssl.ciphers.<name>`
fn ssl_cipher(name: &str) -> Found {
    name.strip_prefix("listener.")?;
    agreed(name, ".ssl.ciphers.")
}

/// `cluster.<name without dots>.ssl.ciphers.<name>`
fn ssl_cipher_suite(name: &str) -> Found {
    let ((_, end), _) = token(name, name.strip_prefix("cluster.").map(|_| "cluster.".len())?)?;
    name[end..].starts_with("ssl.ciphers.").then(|| agreed(name, ".ssl.ciphers.")).flatten()
}

/// `cluster.<name without dots>.health_check.name.<name without dots>.…`; with the dot before `name`.
fn health_check_name(name: &str) -> Found {
    const WORD: &str = "health_check.name.";
    let ((_, below), _) = token(name, name.strip_prefix("cluster.").map(|_| "cluster.".len())?)?;
    let start = name[below..].starts_with(WORD).then_some(below + WORD.len())?;
    let (_, (_, end)) = token(name, start)?;
    Some(((start - ".name.".len(), end), (start, end)))
}

/// `listener.<address>.ssl.certificate.<name>.…`
fn tls_certificate(name: &str) -> Found {
    token(name, of_tls(name, ".ssl.certificate.")?)
}

/// `http.<prefix>.rds.<route configuration>.<rest without dots>`
fn rds_route_config(name: &str) -> Found {
    discovered(name, "rds.", b"_-./")
}

/// `http.<prefix>.scoped_rds.<name of the scopes>.<rest without dots>`
fn scoped_rds_config(name: &str) -> Found {
    discovered(name, "scoped_rds.", b"_-.")
}

/// A name of letters, digits and `others`, dots among them, behind `word` and before the last dot.
fn discovered(name: &str, word: &str, others: &[u8]) -> Found {
    let ((_, below), _) = steps("http.$.**", name)?;
    let start = name[below..].starts_with(word).then_some(below + word.len())?;
    let end = name.rfind('.').filter(|end| *end > start)?;
    let fits = name[start..end].bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte));
    fits.then_some(((start, end + 1), (start, end)))
}

/// `listener.<address>.worker_<id>.…`, `server.worker_<id>.…`
fn worker_id(name: &str) -> Found {
    const WORD: &str = "worker_";
    let above = match token(name, 0)? {
        (_, (_, end)) if name[..end] == *"listener" => below_listener(name)? + 1,
        ((_, next), (_, end)) => ["server", "listener_manager", "thread_local_cluster_manager"]
            .contains(&&name[..end])
            .then_some(next)?,
    };
    let start = name[above..].starts_with(WORD).then_some(above + WORD.len())?;
    let end = start + name[start..].bytes().take_while(u8::is_ascii_digit).count();
    // The underscore goes with the number.
    (end > start && name[end..].starts_with('.')).then_some(((start - 1, end), (start, end)))
}

/// `listener.<address>.http.<prefix>.…`
fn http_of_listener(name: &str) -> Found {
    let start = name.strip_prefix("listener.")?.find(".http.")? + "listener.".len() + ".http.".len();
    token(name, start)
}

/// `listener.<address or prefix>.…`, but for the admin interface's.
fn listener_address(name: &str) -> Found {
    let start = "listener.".len();
    let end = below_listener(name)?;
    (name[start..end] != *"admin").then_some(((start, end + 1), (start, end)))
}

/// Where the address or the prefix of a listener ends: before a dot, and an address of IPv4 has some in itself.
fn below_listener(name: &str) -> Option<usize> {
    let rest = name.strip_prefix("listener.")?;
    let end = address_length(rest).filter(|end| rest[*end..].starts_with('.')).or_else(|| rest.find('.'))?;
    (end > 0).then_some("listener.".len() + end)
}

/// The length of `127.0.0.1_80` or `[__1]_80` at the start of a text.
fn address_length(text: &str) -> Option<usize> {
    let digits = |at: usize| text[at..].bytes().take_while(u8::is_ascii_digit).count();
    let host = if let Some(rest) = text.strip_prefix('[') {
        let inner = rest.bytes().take_while(|byte| byte.is_ascii_hexdigit() || *byte == b'_').count();
        (inner > 0 && rest[inner..].starts_with(']')).then_some(inner + 2)?
    } else {
        let (mut at, mut parts) = (0, 0);
        while parts < 4 {
            let count = digits(at);
            let separator = if parts < 3 { '.' } else { '_' };
            ((1..=3).contains(&count) && text[at + count..].starts_with(separator)).then_some(())?;
            (at, parts) = (at + count + 1, parts + 1);
        }
        at - 1
    };
    let port = text[host..].starts_with('_').then(|| digits(host + 1)).filter(|count| *count > 0)?;
    Some(host + 1 + port)
}

/// `cluster.app.endpoint.10.0.0.1_80.`: all between the word and the last dot.
fn endpoint_address(name: &str) -> Found {
    const WORD: &str = ".endpoint.";
    name.strip_prefix("cluster.")?;
    let start = name.find(WORD)? + WORD.len();
    let end = name.rfind('.').filter(|end| *end > start)?;
    Some(((start, end + 1), (start, end)))
}

/// `proxy_proto.<prefix>.…`
fn proxy_protocol_prefix(name: &str) -> Found {
    steps("proxy_proto.$.**", name).filter(|(_, (start, end))| name[*start..*end] != *"versions")
}

/// `proxy_proto.<prefix>.versions.v<version>.…`, with or without a prefix, which is cut out as well.
fn proxy_protocol_version(name: &str) -> Found {
    let below = "proxy_proto.".len();
    let ((start, next), (_, end)) =
        steps("proxy_proto.versions.$.**", name).or_else(|| steps("proxy_proto.*.versions.$.**", name))?;
    let is_version = name[start..end].starts_with('v') && end == start + 2;
    is_version.then_some(((below, next), (start + 1, end)))
}
