//! Tags: what is taken out of a statistic's name and given as a label.
//!
//! A rule (`rules`) looks at the name only; most values end at the next dot (a cluster `a.b` gives the tag `a` and
//! leaves `b` in the name).

mod rules;

#[cfg(test)]
mod tests;

use crate::config::bootstrap::{StatsConfig, TagValue};

use rules::{ENDPOINT_ADDRESS, RULES, Range};
pub(super) use rules::{RESPONSE_CODE, RESPONSE_CODE_CLASS};

/// A name without its tags, and the tags in the order in which Envoy lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// The rest of the name, dots in it.
    pub name: String,
    /// Names and values.
    pub tags: Vec<(String, String)>,
}

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
            && let Some((cut, value)) = rule.find(name)
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

/// An address as it was before names of statistics had `_` for `:`; a path stays as it is.
fn address(part: &str) -> String {
    if part.starts_with(['/', '@']) { part.to_owned() } else { part.replace('_', ":") }
}
