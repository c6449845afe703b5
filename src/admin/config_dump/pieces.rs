//! A dump, made element by element.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::element::{bootstrap, element};
use super::mask::Mask;
use super::section::{List, Section};
use crate::admin::reply::indented;
use crate::admin::{Program, Resource, ResourceKind};

/// An entry of `configs`.
pub(super) struct Config {
    message: String,
    /// The fields that are no lists.
    fields: Value,
    lists: Vec<(&'static str, Vec<Element>)>,
}

/// An element of a list, not made yet.
pub(super) struct Element {
    list: &'static List,
    resources: Vec<Resource>,
    mask: Option<Mask>,
}

impl Element {
    fn make(&self) -> Value {
        let mut value = element(self.list, &self.resources);
        if let Some(mask) = &self.mask {
            mask.apply(&mut value);
        }
        value
    }
}

impl Config {
    /// A whole message.
    pub(super) fn whole(
        section: &'static Section,
        resources: &[Resource],
        program: &dyn Program,
        mask: Option<&Mask>,
    ) -> Self {
        let mut fields = json!({});
        if let Some(kind) = section.version_of {
            let version = program.version(kind);
            if !version.is_empty() {
                fields["version_info"] = version.into();
            }
        }
        let own = resources.iter().find(|one| one.kind == ResourceKind::Bootstrap);
        if let Some(resource) = own.filter(|_| section.is_bootstrap()) {
            fields = bootstrap(resource);
        }
        if let Some(mask) = mask {
            mask.apply(&mut fields);
        }
        let shown = |list: &&List| mask.is_none_or(|mask| mask.shows(list.field));
        let lists = section.lists.iter().filter(shown);
        let lists = lists.map(|list| (list.field, elements(list, resources, None))).collect();
        Config { message: section.message.to_owned(), fields, lists }
    }

    /// The elements of one repeated field, each an entry of its own.
    pub(super) fn elements(
        section: &'static Section,
        list: &'static List,
        resources: Vec<Resource>,
        mask: Option<&Mask>,
    ) -> Vec<Self> {
        let made = elements(list, &resources, mask).into_iter().map(|element| Config {
            message: format!("{}.{}", section.message, list.element),
            fields: element.make(),
            lists: Vec::new(),
        });
        made.collect()
    }
}

fn elements(list: &'static List, resources: &[Resource], mask: Option<&Mask>) -> Vec<Element> {
    let belongs = |one: &&Resource| one.kind == list.kind && list.states.contains(&one.state);
    let found = resources.iter().filter(belongs).cloned();
    let make = |resources| Element { list, resources, mask: mask.cloned() };
    if !list.is_by_name() {
        return found.map(|resource| make(vec![resource])).collect();
    }
    let mut by_name: BTreeMap<String, Vec<Resource>> = BTreeMap::new();
    for resource in found {
        by_name.entry(resource.name.clone()).or_default().push(resource);
    }
    by_name.into_values().map(make).collect()
}

/// The pieces of the answer: the object around all, the entries, and the elements of their lists one by one.
pub(super) struct Pieces {
    steps: std::vec::IntoIter<Step>,
}

enum Step {
    Text(String),
    /// An element, and whether another follows.
    Element(Element, bool),
}

impl Pieces {
    pub(super) fn new(configs: Vec<Config>) -> Self {
        let mut steps = Vec::new();
        if configs.is_empty() {
            steps.push(Step::Text("{}\n".to_owned()));
        } else {
            steps.push(Step::Text("{\n \"configs\": [\n".to_owned()));
            let last = configs.len() - 1;
            for (at, config) in configs.into_iter().enumerate() {
                config.steps(at < last, &mut steps);
            }
            steps.push(Step::Text(" ]\n}\n".to_owned()));
        }
        Pieces { steps: steps.into_iter() }
    }
}

impl Config {
    fn steps(self, another: bool, steps: &mut Vec<Step>) {
        let kind = Value::from(format!("type.googleapis.com/envoy.admin.v3.{}", self.message));
        let mut text = format!("  {{\n   \"@type\": {kind}");
        for (name, value) in self.fields.as_object().into_iter().flatten() {
            text.push_str(&format!(",\n   \"{name}\": {}", indented(value, 3)));
        }
        for (field, elements) in self.lists.into_iter().filter(|(_, elements)| !elements.is_empty()) {
            text.push_str(&format!(",\n   \"{field}\": [\n"));
            steps.push(Step::Text(std::mem::take(&mut text)));
            let last = elements.len() - 1;
            let elements = elements.into_iter().enumerate();
            steps.extend(elements.map(|(at, element)| Step::Element(element, at < last)));
            text.push_str("   ]");
        }
        text.push_str(if another { "\n  },\n" } else { "\n  }\n" });
        steps.push(Step::Text(text));
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        Some(match self.steps.next()? {
            Step::Text(text) => text.into(),
            Step::Element(element, another) => {
                let comma = if another { "," } else { "" };
                format!("    {}{comma}\n", indented(&element.make(), 4)).into()
            }
        })
    }
}
