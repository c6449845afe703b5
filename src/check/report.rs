//! The findings on paper: text for people, JSON and SARIF for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::finding::{Finding, Severity};
use super::rules;

/// What was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looked {
    /// Files, or lines of a corpus.
    pub(super) sources: usize,
    /// Resources in them.
    pub(super) resources: usize,
    /// Findings that are not told, there being too many.
    pub(super) omitted: usize,
    /// Whether any finding blocks, told or not.
    pub(super) is_blocked: bool,
}

impl Looked {
    /// `3 sources, 14 resources: 2 errors, 3 unsupported, …`.
    pub(super) fn summary(self, findings: &[Finding]) -> String {
        let counts = Severity::ALL.iter().map(|severity| match (severity, count(findings, *severity)) {
            (Severity::Error | Severity::Warning, many) => number(many, severity.name()),
            (_, many) => format!("{many} {severity}"),
        });
        let counts: Vec<_> = counts.collect();
        let Self { sources, resources, .. } = self;
        format!("{}, {}: {}", number(sources, "source"), number(resources, "resource"), counts.join(", "))
    }
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

/// `1 source`, `2 sources`.
pub(super) fn number(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A line for each finding, then the sum.
pub(super) fn text(findings: &[Finding], looked: Looked, out: &mut impl Write) -> io::Result<()> {
    for finding in findings {
        writeln!(out, "{finding}")?;
    }
    if looked.omitted > 0 {
        writeln!(out, "{} left out", number(looked.omitted, "more finding"))?;
    }
    writeln!(out, "{}", looked.summary(findings))
}

/// `{"findings": […], "summary": {…}}`.
pub(super) fn json(findings: &[Finding], looked: Looked, out: &mut impl Write) -> io::Result<()> {
    let counts: serde_json::Map<String, Value> = Severity::ALL
        .iter()
        .map(|severity| (severity.name().to_owned(), count(findings, *severity).into()))
        .collect();
    let summary = json!({ "sources": looked.sources, "resources": looked.resources, "findings": counts, "omitted": looked.omitted });
    serde_json::to_writer_pretty(&mut *out, &json!({ "findings": findings, "summary": summary }))?;
    writeln!(out)
}

/// The Static Analysis Results Interchange Format, version 2.1.0 (OASIS), as code scanning services take it.
pub(super) fn sarif(findings: &[Finding], looked: Looked, out: &mut impl Write) -> io::Result<()> {
    let rules: Vec<_> = rules::described()
        .map(|(id, what)| json!({ "id": id, "shortDescription": { "text": what } }))
        .collect();
    let results: Vec<_> = findings.iter().map(result).collect();
    let driver = json!({ "name": "dragoman check", "version": env!("CARGO_PKG_VERSION"), "rules": rules });
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": driver },
            "columnKind": "unicodeCodePoints",
            "results": results,
            "properties": { "omitted": looked.omitted },
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &log)?;
    writeln!(out)
}

fn result(finding: &Finding) -> Value {
    let level = match finding.severity {
        Severity::Error | Severity::Unsupported => "error",
        Severity::Warning | Severity::Unknown => "warning",
        Severity::Deprecated | Severity::Ignored => "note",
    };
    let said =
        [finding.resource.as_str(), &finding.path, &finding.reason, finding.hint.as_deref().unwrap_or("")];
    let said: Vec<_> = said.into_iter().filter(|part| !part.is_empty()).collect();
    let mut place = json!({ "artifactLocation": { "uri": uri(&finding.source) } });
    if finding.line > 0 {
        place["region"] = json!({ "startLine": finding.line, "startColumn": finding.column });
    }
    json!({
        "ruleId": finding.id,
        "level": level,
        "message": { "text": said.join(": ") },
        "locations": [{ "physicalLocation": place, "logicalLocations": [{ "fullyQualifiedName": finding.path }] }],
        "properties": { "severity": finding.severity },
    })
}

/// A source as a reference to a URI (RFC 3986 §4.1): what may not stand in one is escaped, and so is what would make it
/// one with a scheme.
fn uri(source: &str) -> String {
    let mut uri = String::with_capacity(source.len());
    for byte in source.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(byte.into())
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn a_source_becomes_a_reference() {
        assert_eq!(uri("a/b-1.yaml"), "a/b-1.yaml");
        assert_eq!(uri("o/r:a b?.yaml"), "o/r%3Aa%20b%3F.yaml");
    }
}
