//! What the demo says: where things are, what to try, and how changes of the files fare.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use dragoman_xds::{Handle, ROUTE, Status};

use super::{ADMIN_PORT, PROXY, UPSTREAMS};

/// Prints the guide when the proxy has its routes, then a line for each change of the directory. Does not end.
pub(super) async fn print(plane: &Handle, directory: &Path) {
    plane.wait_for(|status| has_routes(status).then_some(())).await;
    say(&guide(plane, directory));
    let mut seen = plane.wait_for(|status| Some(Seen::of(status))).await;
    loop {
        seen = plane.wait_for(|status| Some(Seen::of(status)).filter(|now| *now != seen)).await;
        if !seen.problems.is_empty() {
            say(&format!("not served, the configuration before stays:\n  {}", seen.problems.join("\n  ")));
            continue;
        }
        match plane.settled().await {
            Ok(()) => say("the change is in force"),
            Err(rejected) => say(&format!("the proxy rejected the change: {rejected}")),
        }
    }
}

/// What of the status tells that the directory has changed.
#[derive(PartialEq)]
struct Seen {
    generation: u64,
    problems: Vec<String>,
}

impl Seen {
    fn of(status: &Status) -> Self {
        Self { generation: status.generation, problems: status.problems.clone() }
    }
}

/// Whether a proxy has accepted the routes, the last thing it needs to serve.
fn has_routes(status: &Status) -> bool {
    let mut subscriptions = status.streams.iter().flat_map(|stream| &stream.subscriptions);
    subscriptions.any(|subscription| subscription.type_url == ROUTE && subscription.last_ack.is_some())
}

fn guide(plane: &Handle, directory: &Path) -> String {
    let directory = directory.display();
    let mut text = format!("\nThe demo runs.\n\n  proxy          http://{PROXY}\n");
    // Writing to a string cannot fail.
    writeln!(text, "  admin          http://127.0.0.1:{ADMIN_PORT}").unwrap_or_default();
    for address in plane.addresses() {
        writeln!(text, "  control plane  {address}").unwrap_or_default();
    }
    if let Some(address) = plane.status_address() {
        writeln!(text, "  its status     http://{address}").unwrap_or_default();
    }
    for (name, address) in UPSTREAMS {
        writeln!(text, "  upstream       {address} ({name})").unwrap_or_default();
    }
    writeln!(text, "  configuration  {directory}\n").unwrap_or_default();
    text.push_str(&format!(
        "Ask the proxy, change a route, ask again:\n\n  \
         curl http://{PROXY}/\n  \
         sed -i 's/{{cluster: blue}}/{{cluster: green}}/' {directory}/routes.yaml\n  \
         curl http://{PROXY}/\n\n\
         Also: /mixed (both upstreams in turn), /about (answered by the proxy itself).\n\
         Ctrl-C drains and ends.\n"
    ));
    text
}

fn say(text: &str) {
    let mut out = std::io::stdout();
    // Whoever closed the pipe wants to hear no more.
    writeln!(out, "{text}").and_then(|()| out.flush()).unwrap_or_default();
}
