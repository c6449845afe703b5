//! `/help` and `/`: what there is, from one table.

use std::fmt::Write;

use super::{
    Endpoint, Reply, Request, actions, certs, clusters, config_dump, fixed, listeners, logging, memory,
    profilers, runtime, server_info, stats, unsupported,
};

/// All endpoints, in the order of their paths, with Envoy's words; `/unsupported` is our own.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint { path: "/", post: false, help: "Admin home page", parameters: &[], answer: home },
    Endpoint {
        path: "/allocprofiler",
        post: true,
        help: "enable/disable the allocation profiler (if supported)",
        parameters: &[("enable", "enable/disable the allocation profiler; One of (y, n)")],
        answer: profilers::allocations,
    },
    Endpoint {
        path: "/certs",
        post: false,
        help: "print certs on machine",
        parameters: &[],
        answer: certs::certs,
    },
    Endpoint {
        path: "/clusters",
        post: false,
        help: "upstream cluster status",
        parameters: &[("filter", "Regular expression (Google re2) for filtering clusters by name")],
        answer: clusters::clusters,
    },
    Endpoint {
        path: "/config_dump",
        post: false,
        help: "dump current Envoy configs",
        parameters: &[
            ("resource", "The resource to dump"),
            (
                "mask",
                "The mask to apply. When both resource and mask are specified, the mask is applied to every element in the desired repeated field so that only a subset of fields are returned. The mask is parsed as a Protobuf::FieldMask",
            ),
            (
                "name_regex",
                "Dump only the currently loaded configurations whose names match the specified regex. Can be used with both resource and mask query parameters.",
            ),
            (
                "include_eds",
                "Dump currently loaded configuration including EDS. See the response definition for more information",
            ),
        ],
        answer: config_dump::config_dump,
    },
    Endpoint {
        path: "/contention",
        post: false,
        help: "dump current Envoy mutex contention stats (if enabled)",
        parameters: &[],
        answer: fixed::contention,
    },
    Endpoint {
        path: "/cpuprofiler",
        post: true,
        help: "enable/disable the CPU profiler",
        parameters: &[("enable", "enables the CPU profiler; One of (y, n)")],
        answer: profilers::cpu,
    },
    Endpoint {
        path: "/drain_listeners",
        post: true,
        help: "drain listeners",
        parameters: &[
            (
                "graceful",
                "When draining listeners, enter a graceful drain period prior to closing listeners. This behaviour and duration is configurable via server options or CLI",
            ),
            (
                "skip_exit",
                "When draining listeners, drain the connections but never stop the listeners. The graceful parameter has no effect when this is set, since the drain period only delays stopping the listeners",
            ),
            (
                "inboundonly",
                "Drains all inbound listeners. traffic_direction field in envoy_v3_api_msg_config.listener.v3.Listener is used to determine whether a listener is inbound or outbound.",
            ),
        ],
        answer: actions::drain_listeners,
    },
    Endpoint {
        path: "/healthcheck/fail",
        post: true,
        help: "cause the server to fail health checks",
        parameters: &[],
        answer: actions::fail_health_checks,
    },
    Endpoint {
        path: "/healthcheck/ok",
        post: true,
        help: "cause the server to pass health checks",
        parameters: &[],
        answer: actions::pass_health_checks,
    },
    Endpoint {
        path: "/heap_dump",
        post: false,
        help: "dump current Envoy heap (if supported)",
        parameters: &[],
        answer: profilers::heap_dump,
    },
    Endpoint {
        path: "/heapprofiler",
        post: true,
        help: "enable/disable the heap profiler",
        parameters: &[("enable", "enable/disable the heap profiler; One of (y, n)")],
        answer: profilers::heap,
    },
    Endpoint {
        path: "/help",
        post: false,
        help: "print out list of admin commands",
        parameters: &[],
        answer: help,
    },
    Endpoint {
        path: "/hot_restart_version",
        post: false,
        help: "print the hot restart compatibility version",
        parameters: &[],
        answer: fixed::hot_restart_version,
    },
    Endpoint {
        path: "/init_dump",
        post: false,
        help: "dump current Envoy init manager information (experimental)",
        parameters: &[(
            "mask",
            "The desired component to dump unready targets. The mask is parsed as a Protobuf::FieldMask. For example, get the unready targets of all listeners with /init_dump?mask=listener`",
        )],
        answer: fixed::init_dump,
    },
    Endpoint {
        path: "/listeners",
        post: false,
        help: "print listener info",
        parameters: &[("format", "File format to use; One of (text, json)")],
        answer: listeners::listeners,
    },
    Endpoint {
        path: "/logging",
        post: true,
        help: "query/change logging levels",
        parameters: &[
            (
                "paths",
                "Change multiple logging levels by setting to <logger_name1>:<desired_level1>,<logger_name2>:<desired_level2>. If fine grain logging is enabled, use __FILE__ or a glob experision as the logger name. For example, source/common*:warning",
            ),
            (
                "group",
                "Change given logger group to desired level, set to <logger_group_name>:<desired_level>. logger_group_name must be a logger name.",
            ),
            (
                "level",
                "desired logging level, this will change all loggers's level; One of (, trace, debug, info, warning, error, critical, off)",
            ),
        ],
        answer: logging::logging,
    },
    Endpoint {
        path: "/memory",
        post: false,
        help: "print current allocation/heap usage",
        parameters: &[],
        answer: memory::memory,
    },
    Endpoint {
        path: "/memory/tcmalloc",
        post: false,
        help: "print TCMalloc stats",
        parameters: &[],
        answer: profilers::tcmalloc,
    },
    Endpoint {
        path: "/peak_heap_dump",
        post: false,
        help: "dump peak Envoy heap (if supported)",
        parameters: &[],
        answer: profilers::heap_dump,
    },
    Endpoint {
        path: "/quitquitquit",
        post: true,
        help: "exit the server",
        parameters: &[],
        answer: actions::quit,
    },
    Endpoint {
        path: "/ready",
        post: false,
        help: "print server state, return 200 if LIVE, otherwise return 503",
        parameters: &[],
        answer: fixed::ready,
    },
    Endpoint {
        path: "/reopen_logs",
        post: true,
        help: "reopen access logs",
        parameters: &[],
        answer: actions::reopen_logs,
    },
    Endpoint {
        path: "/reset_counters",
        post: true,
        help: "reset all counters to zero",
        parameters: &[],
        answer: actions::reset_counters,
    },
    Endpoint {
        path: "/runtime",
        post: false,
        help: "print runtime values",
        parameters: &[],
        answer: runtime::runtime,
    },
    Endpoint {
        path: "/runtime_modify",
        post: true,
        help: "Adds or modifies runtime values as passed in query parameters. To delete a previously added key, use an empty string as the value. Note that deletion only applies to overrides added via this endpoint; values loaded from disk can be modified via override but not deleted. E.g. ?key1=value1&key2=value2...",
        parameters: &[],
        answer: runtime::modify,
    },
    Endpoint {
        path: "/server_info",
        post: false,
        help: "print server version/status information",
        parameters: &[],
        answer: server_info::server_info,
    },
    Endpoint {
        path: "/stats",
        post: false,
        help: "print server stats",
        parameters: &[
            ("usedonly", "Only include stats that have been written by system since restart"),
            ("filter", "Regular expression (Google re2) for filtering stats"),
            ("invert_filter", "Invert the filter regex"),
            ("format", "Format to use; One of (html, active-html, text, json)"),
            ("type", "Stat types to include.; One of (All, Counters, Histograms, Gauges, TextReadouts)"),
            (
                "histogram_buckets",
                "Histogram bucket display mode; One of (cumulative, disjoint, detailed, summary)",
            ),
        ],
        answer: stats::stats,
    },
    Endpoint {
        path: "/stats/prometheus",
        post: false,
        help: "print server stats in prometheus format",
        parameters: &[
            ("usedonly", "Only include stats that have been written by system since restart"),
            (
                "text_readouts",
                "Render text_readouts as new gaugues with value 0 (increases Prometheus data size)",
            ),
            ("filter", "Regular expression (Google re2) for filtering stats"),
            ("invert_filter", "Invert the filter regex"),
            ("histogram_buckets", "Histogram bucket display mode; One of (cumulative, summary)"),
        ],
        answer: stats::prometheus,
    },
    Endpoint {
        path: "/stats/recentlookups",
        post: false,
        help: "Show recent stat-name lookups",
        parameters: &[],
        answer: fixed::recent_lookups,
    },
    Endpoint {
        path: "/stats/recentlookups/clear",
        post: true,
        help: "clear list of stat-name lookups and counter",
        parameters: &[],
        answer: fixed::switch_recent_lookups,
    },
    Endpoint {
        path: "/stats/recentlookups/disable",
        post: true,
        help: "disable recording of reset stat-name lookup names",
        parameters: &[],
        answer: fixed::switch_recent_lookups,
    },
    Endpoint {
        path: "/stats/recentlookups/enable",
        post: true,
        help: "enable recording of reset stat-name lookup names",
        parameters: &[],
        answer: fixed::switch_recent_lookups,
    },
    Endpoint {
        path: "/unsupported",
        post: false,
        help: "print fields that are set and have no effect",
        parameters: &[("format", "File format to use; One of (text, json)")],
        answer: unsupported::unsupported,
    },
];

/// `/help`
fn help(_: &Request<'_>) -> Reply {
    Reply::text(200, text())
}

/// The list of the endpoints and their parameters.
pub(super) fn text() -> String {
    let mut text = "admin commands are:\n".to_owned();
    for endpoint in ENDPOINTS {
        let post = if endpoint.post { " (POST)" } else { "" };
        // Writing to a string does not fail.
        writeln!(text, "  {}{post}: {}", endpoint.path, endpoint.help).unwrap_or_default();
        for (name, meaning) in endpoint.parameters {
            writeln!(text, "      {name}: {meaning}").unwrap_or_default();
        }
    }
    text
}

/// `/`: the same for a browser.
fn home(_: &Request<'_>) -> Reply {
    let mut page = String::from(HEAD);
    for endpoint in ENDPOINTS {
        let (path, help) = (endpoint.path, escape(endpoint.help));
        let row = if endpoint.post {
            let form = format!("<form action='{}' method='post'><button>{path}</button></form>", &path[1..]);
            format!("<tr><td>{form}</td><td>{help}</td></tr>\n")
        } else {
            format!("<tr><td><a href='{}'>{path}</a></td><td>{help}</td></tr>\n", &path[1..])
        };
        page.push_str(&row);
    }
    page.push_str("</table>\n</body>\n</html>\n");
    Reply::html(page)
}

const HEAD: &str = "<!DOCTYPE html>
<html lang='en'>
<head>
<meta charset='utf-8'>
<title>Envoy Admin</title>
<style>body { font-family: sans-serif } td { padding: 4px } form { margin: 0 }</style>
</head>
<body>
<table>
<tr><th align='left'>Command</th><th align='left'>Description</th></tr>
";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
