//! How many sources would run unchanged, and what stands in the way of the others.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use super::finding::Finding;
use super::report::{Looked, number};

/// What blocks how many sources.
pub(super) fn print(findings: &[Finding], looked: Looked, out: &mut impl Write) -> io::Result<()> {
    let mut blocked: BTreeSet<&str> = BTreeSet::new();
    let mut by_reason: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.severity.blocks()) {
        blocked.insert(&finding.source);
        by_reason.entry(reason(finding)).or_default().insert(&finding.source);
    }
    let unchanged = looked.sources - blocked.len();
    writeln!(out, "{} of {} would run unchanged", unchanged, number(looked.sources, "source"))?;
    let mut by_reason: Vec<_> = by_reason.into_iter().collect();
    by_reason.sort_by_key(|(_, sources)| std::cmp::Reverse(sources.len()));
    for (reason, sources) in by_reason {
        writeln!(out, "{:7}  {reason}", sources.len())?;
    }
    Ok(())
}

/// The same for all findings of one kind: the last steps of the path without indices and keys, and what is the matter.
fn reason(finding: &Finding) -> String {
    const STEPS: usize = 2;
    let path = without_brackets(&finding.path);
    let steps: Vec<_> = path.rsplit('.').take(STEPS).collect();
    let path = steps.into_iter().rev().collect::<Vec<_>>().join(".");
    let reason = of_any_name(&finding.reason);
    let parts = [finding.severity.name(), &path, &reason];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

/// What is said of an extension's type, without the name that a configuration gives it: it may be another in each.
fn of_any_name(reason: &str) -> Cow<'_, str> {
    const BEFORE: &str = " for '";
    const AFTER: &str = "' with type URL";
    match (reason.find(BEFORE), reason.find(AFTER)) {
        (Some(from), Some(to)) if from < to => {
            let rest = &reason[to + AFTER.len()..];
            Cow::Owned(format!("{} with type URL{rest}", &reason[..from]))
        }
        _ => Cow::Borrowed(reason),
    }
}

fn without_brackets(path: &str) -> String {
    let mut depth = 0_usize;
    let mut plain = String::with_capacity(path.len());
    for letter in path.chars() {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_type_under_two_names_is_one_reason() {
        let of = |name: &str| {
            of_any_name(&format!("Didn't find an implementation for '{name}' with type URL: 't'"))
                .into_owned()
        };
        assert_eq!(of("a"), "Didn't find an implementation with type URL: 't'");
        assert_eq!(of("a"), of("b/c"));
        assert_eq!(of_any_name("not supported: for 'a'"), "not supported: for 'a'");
    }
}
