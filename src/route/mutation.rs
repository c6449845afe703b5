//! Headers added to and removed from requests and responses, level by level.
//!
//! A member of a weighted cluster comes first. Then route, virtual host and table, so that the table has the
//! last word, or the other way round with `most_specific_header_mutations_wins`. Within a level headers are
//! removed, then all values are rendered from the headers as they are, then headers are overwritten, then added.

use smallvec::SmallVec;

use super::rate_limit::RateLimits;
use super::statistics::Groups;
use super::table::Matched;
use crate::base::headers::{Headers, Known, Name, joined_in_requests, joined_in_responses};
use crate::config::extension::ExtensionConfig;
use crate::config::format::Format;
use crate::config::metadata::Labels;
use crate::config::route::{
    Action, AppendAction, FilterConfig, HeaderMutations, HeaderValueOption, WeightedCluster,
};
use crate::observability::stats::RouteStats;

/// Renders a header's value, given the headers as they are.
pub type Render<'r> = &'r mut dyn FnMut(&Format, &Headers, &mut Vec<u8>);

/// The levels of the route table that have a say in one request.
#[derive(Clone, Copy, Debug)]
pub struct Levels<'t> {
    matched: Matched<'t>,
    weighted: Option<&'t WeightedCluster>,
    groups: Option<&'t Groups<'t>>,
}

impl<'t> Levels<'t> {
    /// The levels of a route and of the member of its weighted clusters.
    pub fn new(matched: &Matched<'t>, weighted: Option<&'t WeightedCluster>) -> Self {
        Levels { matched: *matched, weighted, groups: None }
    }

    /// The same, of a request that is counted in these.
    pub fn counted(self, groups: Option<&'t Groups<'t>>) -> Self {
        Levels { groups, ..self }
    }

    /// By what filters limit the request: what the route says, what its virtual host says, and whether that counts
    /// in any case. `None` where the route leads to no cluster.
    pub fn rate_limits(&self) -> Option<RateLimits<'t>> {
        let Matched { virtual_host, route, .. } = self.matched;
        let of_virtual_host = &virtual_host.rate_limits[..];
        match &route.action {
            Action::Route(action) => Some(RateLimits {
                of_route: &action.rate_limits,
                of_virtual_host,
                include_virtual_host: action.include_vh_rate_limits,
            }),
            Action::NonForwarding => {
                Some(RateLimits { of_route: &[], of_virtual_host, include_virtual_host: false })
            }
            Action::Redirect(_) | Action::DirectResponse(_) => None,
        }
    }

    /// What the request is counted in beside its cluster.
    pub fn groups(&self) -> impl Iterator<Item = &'t RouteStats> + use<'t> {
        self.groups.into_iter().flat_map(Groups::iter)
    }

    /// What the metadata of hosts has to be, if anything.
    pub fn metadata_match(&self) -> Option<&'t Labels> {
        let of_route = || match &self.matched.route.action {
            Action::Route(action) => action.metadata_match.as_ref(),
            Action::Redirect(_) | Action::DirectResponse(_) | Action::NonForwarding => None,
        };
        self.weighted.and_then(|cluster| cluster.metadata_match.as_ref()).or_else(of_route)
    }

    /// Whether the route leads to a cluster, and does not answer itself.
    pub fn leads_to_cluster(&self) -> bool {
        matches!(self.matched.route.action, Action::Route(_) | Action::NonForwarding)
    }

    /// What the levels say to the filter of this name, the most specific first.
    pub fn filter_configs(self, name: &str) -> impl DoubleEndedIterator<Item = &'t FilterConfig> {
        let Matched { table, virtual_host, route, .. } = self.matched;
        let weighted = self.weighted.map(|cluster| &cluster.filter_configs);
        let levels = [
            weighted,
            Some(&route.filter_configs),
            Some(&virtual_host.filter_configs),
            Some(&table.filter_configs),
        ];
        levels.into_iter().flatten().filter_map(move |level| level.get(name))
    }

    /// What the older field `cors` of the route and of its virtual host says, in this order.
    pub fn cors(self) -> impl Iterator<Item = &'t ExtensionConfig> {
        let Matched { virtual_host, route, .. } = self.matched;
        let of_route = match &route.action {
            Action::Route(action) => action.cors.as_deref(),
            Action::Redirect(_) | Action::DirectResponse(_) | Action::NonForwarding => None,
        };
        of_route.into_iter().chain(virtual_host.cors.as_deref())
    }

    /// The changes of headers, in the order in which they apply.
    fn header_mutations(&self) -> impl Iterator<Item = &'t HeaderMutations> {
        let Matched { table, virtual_host, route, .. } = self.matched;
        let mut of_route = [&route.headers, &virtual_host.headers, &table.headers];
        if table.most_specific_header_mutations_wins {
            of_route.reverse();
        }
        self.weighted.map(|cluster| &cluster.headers).into_iter().chain(of_route)
    }

    /// Tells the client in `x-envoy-attempt-count` how often the request was tried, where that is wanted.
    pub fn tell_attempts(&self, response: &mut Headers, attempts: u32) {
        if self.matched.virtual_host.include_attempt_count_in_response && attempts > 0 {
            response.set(Known::XEnvoyAttemptCount, itoa::Buffer::new().format(attempts).as_bytes());
        }
    }

    /// How much of the request's body may be kept, where the route says something of it.
    pub fn body_limit(&self) -> Option<u64> {
        self.matched.route.body_limit
    }

    /// Tells the host in `x-envoy-attempt-count` which attempt this is, where that is wanted.
    pub fn tell_host_attempts(&self, request: &mut Headers, attempts: u32) {
        if self.matched.virtual_host.include_request_attempt_count {
            request.set(Known::XEnvoyAttemptCount, itoa::Buffer::new().format(attempts).as_bytes());
        }
    }

    /// Whether retries tell in `x-envoy-is-timeout-retry` why they are made.
    pub fn tells_timeout_retries(&self) -> bool {
        self.matched.virtual_host.include_is_timeout_retry_header
    }

    /// Changes the headers of a request; the host and path are rewritten after that.
    pub fn mutate_request(&self, headers: &mut Headers, render: Render<'_>) {
        for level in self.header_mutations() {
            mutate(headers, &level.request_remove, &level.request_add, joined_in_requests, render);
        }
    }

    /// Changes the headers of a response, local replies included.
    pub fn mutate_response(&self, headers: &mut Headers, render: Render<'_>) {
        for level in self.header_mutations() {
            mutate(headers, &level.response_remove, &level.response_add, joined_in_responses, render);
        }
    }
}

/// Adds headers to a request, as one level does.
pub fn add_to_request(headers: &mut Headers, add: &[HeaderValueOption], render: Render<'_>) {
    mutate(headers, &[], add, joined_in_requests, render);
}

/// Adds headers to a response, as one level does.
pub fn add_to_response(headers: &mut Headers, add: &[HeaderValueOption], render: Render<'_>) {
    mutate(headers, &[], add, joined_in_responses, render);
}

/// Takes headers off a request and adds others, as one level does.
pub fn change_request(
    headers: &mut Headers,
    remove: &[String],
    add: &[HeaderValueOption],
    render: Render<'_>,
) {
    mutate(headers, remove, add, joined_in_requests, render);
}

/// A part of a message: in each Envoy keeps other headers as one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The headers of a request.
    Request,
    /// Its trailers.
    RequestTrailers,
    /// The headers of a response.
    Response,
    /// Its trailers.
    ResponseTrailers,
}

impl Part {
    fn joined(self) -> fn(Known) -> bool {
        match self {
            Part::Request => joined_in_requests,
            Part::RequestTrailers => |_| false,
            Part::Response => joined_in_responses,
            Part::ResponseTrailers => |name| matches!(name, Known::GrpcMessage | Known::GrpcStatus),
        }
    }
}

/// Applies one change by itself; its value has been rendered.
pub fn change(headers: &mut Headers, option: &HeaderValueOption, value: &[u8], part: Part) {
    if value.is_empty() && !option.keep_empty_value {
        return;
    }
    let name = Name::new(option.name.as_bytes());
    let there = headers.get_by_name(option.name.as_bytes()).is_some();
    match option.append_action {
        AppendAction::AddIfAbsent if there => {}
        AppendAction::OverwriteIfExists if !there => {}
        AppendAction::AppendIfExistsOrAdd | AppendAction::AddIfAbsent => {
            append(headers, name, value, part.joined());
        }
        AppendAction::OverwriteIfExistsOrAdd | AppendAction::OverwriteIfExists => {
            overwrite(headers, name, value);
        }
    }
}

fn mutate(
    headers: &mut Headers,
    remove: &[String],
    add: &[HeaderValueOption],
    joined: fn(Known) -> bool,
    render: Render<'_>,
) {
    for name in remove {
        headers.remove(Name::new(name.as_bytes()));
    }
    if add.is_empty() {
        return;
    }
    let rendered = Rendered::new(headers, add, render);
    for (option, value) in rendered.iter(add) {
        let overwrites = matches!(
            option.append_action,
            AppendAction::OverwriteIfExistsOrAdd | AppendAction::OverwriteIfExists
        );
        if overwrites {
            overwrite(headers, Name::new(option.name.as_bytes()), value);
        }
    }
    for (option, value) in rendered.iter(add) {
        if matches!(option.append_action, AppendAction::AppendIfExistsOrAdd | AppendAction::AddIfAbsent) {
            append(headers, Name::new(option.name.as_bytes()), value, joined);
        }
    }
}

/// The values of those options that apply.
struct Rendered {
    text: Vec<u8>,
    /// Which option, and where its value ends in `text`; it begins where the one before ends.
    values: SmallVec<[(usize, usize); 8]>,
}

impl Rendered {
    fn new(headers: &Headers, add: &[HeaderValueOption], render: Render<'_>) -> Self {
        let mut rendered = Rendered { text: Vec::with_capacity(128), values: SmallVec::new() };
        for (number, option) in add.iter().enumerate() {
            let there = || headers.get_by_name(option.name.as_bytes()).is_some();
            let applies = match option.append_action {
                AppendAction::AppendIfExistsOrAdd | AppendAction::OverwriteIfExistsOrAdd => true,
                AppendAction::AddIfAbsent => !there(),
                AppendAction::OverwriteIfExists => there(),
            };
            if !applies {
                continue;
            }
            let start = rendered.text.len();
            render(&option.value, headers, &mut rendered.text);
            if rendered.text.len() > start || option.keep_empty_value {
                rendered.values.push((number, rendered.text.len()));
            }
        }
        rendered
    }

    fn iter<'a>(
        &'a self,
        add: &'a [HeaderValueOption],
    ) -> impl Iterator<Item = (&'a HeaderValueOption, &'a [u8])> {
        let mut start = 0;
        self.values.iter().map(move |(number, end)| {
            let value = &self.text[start..*end];
            start = *end;
            (&add[*number], value)
        })
    }
}

/// Adds a value to a message, as a header of its own or after a comma where Envoy keeps one header only.
pub fn add(headers: &mut Headers, name: Name<'_>, value: &[u8], part: Part) {
    append(headers, name, value, part.joined());
}

/// Gives a header one value. Not in its old place: Envoy removes the header and adds it anew.
fn overwrite(headers: &mut Headers, name: Name<'_>, value: &[u8]) {
    headers.remove(name);
    headers.append(name, value);
}

/// Adds a value: as a header of its own, or after a comma where Envoy keeps one header only.
fn append(headers: &mut Headers, name: Name<'_>, value: &[u8], joined: fn(Known) -> bool) {
    if let Name::Known(known) = name
        && joined(known)
        && let Some(old) = headers.get(known)
    {
        let value = [old, value].join(&b","[..]);
        headers.set(known, &value);
        return;
    }
    headers.append(name, value);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{of, request, route, text, virtual_host};
    use super::*;
    use crate::config::format::Part;
    use crate::config::route::{FilterConfigs, PathMatch, RouteConfiguration};

    /// A literal, or `$name` for the first value of a header.
    fn option(name: &str, value: &str, append_action: AppendAction) -> HeaderValueOption {
        let value = Format { parts: vec![Part::Literal(value.into())] };
        HeaderValueOption { name: name.into(), value, append_action, keep_empty_value: false }
    }

    fn render(format: &Format, headers: &Headers, out: &mut Vec<u8>) {
        let [Part::Literal(text)] = &format.parts[..] else { return };
        match text.strip_prefix('$') {
            Some(name) => out.extend_from_slice(headers.get_by_name(name.as_bytes()).unwrap_or_default()),
            None => out.extend_from_slice(text.as_bytes()),
        }
    }

    fn mutated(received: &[(&str, &str)], mutations: HeaderMutations) -> String {
        let mut headers = Headers::new();
        received.iter().for_each(|(name, value)| headers.append_received(name.as_bytes(), value.as_bytes()));
        let add = &mutations.request_add;
        mutate(&mut headers, &mutations.request_remove, add, joined_in_requests, &mut render);
        text(&headers)
    }

    fn mutations() -> HeaderMutations {
        use AppendAction::*;
        HeaderMutations {
            request_add: vec![
                option("x-a", "1", AppendIfExistsOrAdd),
                option("x-b", "2", OverwriteIfExistsOrAdd),
                option("x-c", "3", AddIfAbsent),
                option("x-d", "4", OverwriteIfExists),
                option("x-a", "$x-b", AppendIfExistsOrAdd),
                option("x-e", "", AppendIfExistsOrAdd),
                HeaderValueOption { keep_empty_value: true, ..option("x-f", "", AppendIfExistsOrAdd) },
            ],
            request_remove: vec!["x-rm".into(), "host".into()],
            ..HeaderMutations::default()
        }
    }

    #[test]
    fn headers_are_removed_then_overwritten_then_added() {
        let received = [("x-rm", "1"), ("x-a", "0"), ("x-b", "0"), ("x-b", "00"), ("x-c", "0"), ("x-d", "0")];
        assert_eq!(
            mutated(&received, mutations()),
            "x-a: 0 | x-c: 0 | x-b: 2 | x-d: 4 | x-a: 1 | x-a: 0 | x-f: "
        );
        assert_eq!(mutated(&[], mutations()), "x-b: 2 | x-a: 1 | x-c: 3 | x-f: ");
    }

    #[test]
    fn some_headers_are_kept_as_one_list() {
        let add = HeaderMutations {
            request_add: vec![
                option("via", "b", AppendAction::AppendIfExistsOrAdd),
                option("cookie", "b", AppendAction::AppendIfExistsOrAdd),
            ],
            ..HeaderMutations::default()
        };
        assert_eq!(mutated(&[("via", "a"), ("cookie", "a")], add), "via: a,b | cookie: a | cookie: b");
    }

    fn levels(most_specific_wins: bool) -> String {
        let level = |name: &str| HeaderMutations {
            request_add: vec![option("l", name, AppendAction::AppendIfExistsOrAdd)],
            ..HeaderMutations::default()
        };
        let mut route = route(PathMatch::Prefix("/".into()));
        route.headers = level("route");
        let mut host = virtual_host(vec![route]);
        host.headers = level("vhost");
        let table = RouteConfiguration {
            headers: level("table"),
            most_specific_header_mutations_wins: most_specific_wins,
            ..of(vec![host])
        };
        let weighted = WeightedCluster {
            cluster: crate::config::route::ClusterSpecifier::Cluster("u".into()),
            weight: 1,
            runtime_key: None,
            headers: level("wc"),
            filter_configs: FilterConfigs::default(),
            host_rewrite_literal: None,
            metadata_match: None,
        };
        let virtual_host = &table.virtual_hosts[0];
        let matched =
            Matched { table: &table, virtual_host, route: &virtual_host.routes[0], statistics: None };
        let mut headers = request("h", "/");
        Levels::new(&matched, Some(&weighted)).mutate_request(&mut headers, &mut render);
        let values = headers.get_all(Name::new(b"l")).map(String::from_utf8_lossy);
        values.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_least_specific_level_has_the_last_word_unless_configured_otherwise() {
        assert_eq!(levels(false), "wc route vhost table");
        assert_eq!(levels(true), "wc table vhost route");
    }
}
