//! Reports as text: `cpu_utilization=0.3, named_metrics.queue=7`.

use std::collections::HashSet;

use super::report::Report;

/// Reads a report; `None` where any part of it makes no sense.
pub(super) fn read(text: &str) -> Option<Report> {
    let mut report = Report::default();
    let mut known = HashSet::new();
    for entry in text.split(',').map(str::trim_ascii).filter(|entry| !entry.is_empty()) {
        let (name, value) = entry.split_once(['=', ':'])?;
        if !known.insert(name) {
            return None;
        }
        let value: f64 = value.trim_ascii().parse().ok()?;
        if !value.is_finite() || value < 0.0 {
            return None;
        }
        place(&mut report, name, value)?;
    }
    Some(report)
}

fn place(report: &mut Report, name: &str, value: f64) -> Option<()> {
    let field = match name {
        "cpu_utilization" => &mut report.cpu_utilization,
        "mem_utilization" => &mut report.mem_utilization,
        "application_utilization" => &mut report.application_utilization,
        "eps" => &mut report.eps,
        "rps_fractional" => &mut report.rps_fractional,
        name => {
            let (map, key) = match name.split_once('.')? {
                ("named_metrics", key) => (&mut report.named_metrics, key),
                ("utilization", key) => (&mut report.utilization, key),
                _ => return None,
            };
            if key.is_empty() {
                return None;
            }
            map.insert(key.to_owned(), value);
            return Some(());
        }
    };
    *field = value;
    Some(())
}
