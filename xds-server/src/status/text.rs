//! The status for people.

use std::fmt::{Display, Formatter, Result};

use super::{Status, StreamStatus, SubscriptionStatus, VerdictStatus};
use crate::kind::short_name;
use crate::load_reports::{ClusterLoad, Load};

/// More names than these are counted instead of listed.
const MAX_NAMES: usize = 8;

impl Display for Status {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "dragoman-xds serves generation {}", self.generation)?;
        for one in &self.resources {
            writeln!(f, "  {:<26} {:>6}  version {}", short_name(&one.type_url), one.count, one.version)?;
        }
        if !self.overrides.is_empty() {
            writeln!(f, "  overrides for {}", self.overrides.join(", "))?;
        }
        if !self.problems.is_empty() {
            writeln!(
                f,
                "\nThe newest content of the directory is REFUSED, what was there before is served:"
            )?;
            self.problems.iter().try_for_each(|problem| writeln!(f, "  {problem}"))?;
        }
        for (node, load) in &self.load {
            writeln!(f, "\nload that node {node:?} told in {} reports", load.reports)?;
            load.clusters.iter().try_for_each(|(name, load)| write_load(f, name, load))?;
        }
        writeln!(f, "\n{} streams", self.streams.len())?;
        self.streams.iter().try_for_each(|stream| stream.fmt(f))
    }
}

fn write_load(f: &mut Formatter<'_>, name: &str, load: &ClusterLoad) -> Result {
    writeln!(f, "  {name}: {} dropped", load.dropped)?;
    for (place, load) in load.localities.iter().chain(&load.endpoints) {
        let Load { issued, successful, failed, in_progress } = load;
        writeln!(
            f,
            "    {place}: {issued} issued, {successful} successful, {failed} failed, {in_progress} in progress"
        )?;
    }
    load.metrics.iter().try_for_each(|(name, metric)| {
        writeln!(f, "    {name}: {} in {} responses", metric.sum, metric.count)
    })
}

impl Display for StreamStatus {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.node {
            Some(node) => {
                write!(f, "\nnode {:?} of cluster {:?} ({})", node.id, node.cluster, node.user_agent)?
            }
            None => write!(f, "\na client that has not said who it is")?,
        }
        let service = self.service.map_or("aggregated", short_name);
        let (variant, peer) = (self.variant, &self.peer);
        writeln!(f, ", {variant} {service} stream from {peer} for {:.0} s", self.connected_seconds)?;
        writeln!(f, "  everything sent up to generation {}", self.generation)?;
        self.subscriptions.iter().try_for_each(|one| one.fmt(f))
    }
}

impl Display for SubscriptionStatus {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "  {:<26} {:>6}  asks for ", short_name(&self.type_url), self.resources)?;
        match (self.wildcard, self.names.len()) {
            (true, 0) => write!(f, "everything")?,
            (true, _) => write!(f, "everything and {}", self.listed_names())?,
            (false, 0) => write!(f, "nothing")?,
            (false, _) => write!(f, "{}", self.listed_names())?,
        }
        writeln!(f)?;
        if let Some(version) = &self.unanswered {
            writeln!(f, "    waits  version {version} is not answered")?;
        }
        if let Some(ack) = &self.last_ack {
            writeln!(f, "    ACK    {ack}")?;
        }
        if let Some(nack) = &self.last_nack {
            let over = if self.rejected { "" } else { " (accepted since)" };
            writeln!(f, "    NACK   {nack}{over}")?;
        }
        Ok(())
    }
}

impl SubscriptionStatus {
    fn listed_names(&self) -> String {
        let listed = self.names.iter().take(MAX_NAMES).cloned().collect::<Vec<_>>().join(", ");
        match self.names.len().saturating_sub(MAX_NAMES) {
            0 => listed,
            more => format!("{listed} and {more} more"),
        }
    }
}

impl Display for VerdictStatus {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "version {} {:.1} s ago", self.version, self.seconds_ago)?;
        match &self.error {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}
