//! What a control plane sends: resources in wire form, and the table that routes become.

use std::io;
use std::sync::Arc;

use dragoman::base::headers::{Headers, Known};
use dragoman::config::extension::Extensions;
use dragoman::config::runtime::{Draw, Values};
use dragoman::config::{Cluster, Listener, LoadAssignment, RouteConfiguration};
use dragoman::route::matcher::Request;
use dragoman::route::{Found, Table};
use dragoman_proto::encode::{Options, encode};
use dragoman_proto::tree::{Node, Value, parse_yaml};

use super::Target;
use crate::corpus;

/// Bytes as a resource of the type that the first byte chooses.
pub(super) const RESOURCES: Target = Target {
    name: "resources",
    run: |data| {
        let Some((kind, bytes)) = data.split_first() else { return };
        match usize::from(*kind) % KINDS.len() {
            0 => twice(|| Cluster::parse(bytes, &EXTENSIONS).ok()),
            1 => twice(|| LoadAssignment::parse(bytes, &EXTENSIONS).ok()),
            2 => twice(|| Listener::parse(bytes, &EXTENSIONS).ok()),
            _ => twice(|| RouteConfiguration::parse(bytes, &EXTENSIONS).ok()),
        }
    },
    seeds: || {
        let resources = resources()?.into_iter();
        Ok(resources.map(|(kind, bytes)| [vec![kind], bytes].concat()).collect())
    },
    dictionary: &[
        b"type.googleapis.com/xds.type.v3.TypedStruct",
        b"%START_TIME(%s.%3f)%",
        b"\\1",
        b".*",
        b"*.",
    ],
};

/// A route configuration and a request: the table finds what going through the routes one by one finds.
pub(super) const ROUTES: Target = Target {
    name: "routes",
    run: |data| {
        let at = data.windows(BREAK.len()).position(|window| window == BREAK).unwrap_or(data.len());
        let request = data.get(at + BREAK.len()..).unwrap_or_default();
        if let Ok((configuration, _)) = RouteConfiguration::parse(&data[..at], &EXTENSIONS) {
            route(configuration, &headers(request));
        }
    },
    seeds: || {
        let routes = of_kind("routes")?.into_iter();
        let with_request = |bytes: Vec<u8>| REQUESTS.map(|request| [&bytes, BREAK, request].concat());
        Ok(routes.flat_map(with_request).collect())
    },
    dictionary: &[
        b"/",
        b"?",
        b"#",
        b"//",
        b"%2F",
        b"..",
        b"*",
        b"x-user: a\n",
        b"content-type: application/grpc\n",
    ],
};

/// Keys of the corpus files and what stands under them.
const KINDS: [(&str, &str); 4] = [
    ("clusters", "envoy.config.cluster.v3.Cluster"),
    ("endpoints", "envoy.config.endpoint.v3.ClusterLoadAssignment"),
    ("listeners", "envoy.config.listener.v3.Listener"),
    ("routes", "envoy.config.route.v3.RouteConfiguration"),
];

/// Between a route configuration and a request.
const BREAK: &[u8] = b"\0\0\xff";

const REQUESTS: [&[u8]; 5] = [
    b"GET / example.com\n",
    b"GET /EXACT www.a\n",
    b"GET /app/x?y a.example.com\nx-user: 1\n",
    b"POST /v1/x?debug b.example.com\ncontent-type: application/grpc\n",
    b"GET /old *\n",
];

/// The same bytes give the same value, or no value, every time: how an unchanged resource is recognised.
fn twice<T: PartialEq + std::fmt::Debug>(parse: impl Fn() -> Option<T>) {
    assert_eq!(parse(), parse());
}

/// `METHOD PATH HOST`, then a header a line.
fn headers(request: &[u8]) -> Headers {
    let mut lines = request.split(|byte| *byte == b'\n');
    let mut start = lines.next().unwrap_or_default().split(|byte| *byte == b' ');
    let mut headers = Headers::new();
    for known in [Known::Method, Known::Path, Known::Authority] {
        if let Some(value) = start.next() {
            headers.append(known, value);
        }
    }
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        if at > 0 {
            headers.append_received(&line[..at], line.get(at + 2..).unwrap_or_default());
        }
    }
    headers
}

fn route(configuration: RouteConfiguration, headers: &Headers) {
    let ignore_parameters = configuration.ignore_path_parameters_in_path_matching;
    let table = Table::new(Arc::new(configuration));
    // Where a tree chooses among the routes, the first that matches need not be the one.
    let host = table.virtual_host(headers).filter(|host| host.matcher.is_none());
    let runtime = Values::default();
    let draw = Draw { random: RANDOM, runtime: &runtime };
    match table.find(headers, draw) {
        Some(Found::Route(found)) => {
            let request = Request::new(headers, draw, ignore_parameters);
            let first =
                host.and_then(|host| host.routes.iter().find(|route| request.matches(&route.matcher)));
            assert!(
                first.is_some_and(|first| std::ptr::eq(first, found.route)),
                "not the first route: {found:?}"
            );
        }
        Some(Found::TlsRedirect(_)) => assert!(host.is_some()),
        None => {
            let request = Request::new(headers, draw, ignore_parameters);
            let overlooked =
                host.and_then(|host| host.routes.iter().find(|route| request.matches(&route.matcher)));
            assert!(overlooked.is_none(), "overlooked: {overlooked:?}");
        }
    }
}

const RANDOM: u64 = 4;

/// What is known beside the core.
pub(super) const EXTENSIONS: Extensions = Extensions::BUILT_IN;

/// The resources of the corpus under one key, in wire form.
pub(super) fn of_kind(key: &str) -> io::Result<Vec<Vec<u8>>> {
    let wanted = resources()?.into_iter().filter(|(kind, _)| KINDS[usize::from(*kind)].0 == key);
    Ok(wanted.map(|(_, bytes)| bytes).collect())
}

/// The resources of the corpus: index into [`KINDS`] and bytes.
fn resources() -> io::Result<Vec<(u8, Vec<u8>)>> {
    let mut resources = Vec::new();
    for file in corpus::load(&["fuzz/corpus/resources", "testdata/demo"])? {
        let text = String::from_utf8(file).map_err(io::Error::other)?;
        let document = parse_yaml(&text).map_err(|error| io::Error::other(error.to_string()))?;
        for (index, (key, message)) in (0..).zip(KINDS) {
            for resource in document.root.get(key).map_or(&[][..], elements) {
                let encoded = encode(resource, message, &Options::default());
                let encoded = encoded.map_err(|errors| io::Error::other(format!("{errors:?}")))?;
                resources.push((index, encoded.bytes));
            }
        }
    }
    Ok(resources)
}

fn elements(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(elements) => elements,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_accepted() {
        let known = &EXTENSIONS;
        for (kind, bytes) in resources().unwrap() {
            let refused = match kind {
                0 => Cluster::parse(&bytes, known).err(),
                1 => LoadAssignment::parse(&bytes, known).err(),
                2 => Listener::parse(&bytes, known).err(),
                _ => RouteConfiguration::parse(&bytes, known).err(),
            };
            assert_eq!(refused, None, "{}", KINDS[usize::from(kind)].0);
        }
    }
}
