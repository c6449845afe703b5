//! Routes by the path that they ask for, so that a request is not held against every one of them.
//!
//! The distinct texts of all exact paths and prefixes (those of regular expressions and templates, too) lie sorted. Every text with which a path begins, the path
//! itself included, is then the last one not after the path or one of the texts with which *that* begins: one
//! binary search, and a walk along `parent`. The index only proposes routes, by ascending number; whether one
//! takes a request the matcher decides, and the first that does wins. Many routes of one text are told apart by a header,
//! where they are.

use std::cmp::Ordering;

use smallvec::SmallVec;

use crate::base::headers::Headers;
use crate::config::route::{PathMatch, Route};

use super::header_index::HeaderIndex;

/// No text: the end of a walk.
const NONE: u32 = u32::MAX;

/// Index of the routes of one virtual host.
#[derive(Default)]
pub(super) struct PathIndex {
    exact_case: Texts,
    any_case: Texts,
    /// Routes that no text proposes: regular expressions that begin with nothing certain, CONNECT.
    others: Box<[u32]>,
    others_by_header: Option<HeaderIndex>,
}

/// Lists of routes that may take a request.
type Lists<'i> = SmallVec<[&'i [u32]; 8]>;

impl PathIndex {
    /// Sorts the routes of a virtual host.
    pub(super) fn new(routes: &[Route]) -> Self {
        let mut sorted = [Vec::new(), Vec::new()];
        let mut others = Vec::new();
        for (number, route) in routes.iter().enumerate() {
            match text_of(route) {
                Some(_) => sorted[usize::from(!route.matcher.case_sensitive)].push(number as u32),
                None => others.push(number as u32),
            }
        }
        let [exact_case, any_case] = sorted;
        PathIndex {
            exact_case: Texts::new(routes, exact_case, false),
            any_case: Texts::new(routes, any_case, true),
            others_by_header: HeaderIndex::new(routes, &others),
            others: others.into_boxed_slice(),
        }
    }

    /// The routes that may take a request with this path and these headers, in their order.
    pub(super) fn candidates<'i>(
        &'i self,
        routes: &[Route],
        path: Option<&[u8]>,
        headers: &Headers,
    ) -> Candidates<'i> {
        let mut lists = Lists::new();
        if let Some(path) = path {
            self.exact_case.propose(routes, path, headers, &mut lists);
            self.any_case.propose(routes, path, headers, &mut lists);
        }
        match &self.others_by_header {
            Some(index) => index.propose(headers, &mut lists),
            None if self.others.is_empty() => {}
            None => lists.push(&self.others),
        }
        Candidates { lists }
    }
}

/// Numbers of routes, ascending, out of several ascending lists.
pub(super) struct Candidates<'i> {
    /// None of them is empty.
    lists: Lists<'i>,
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let (at, list) = self.lists.iter().enumerate().min_by_key(|(_, list)| list[0])?;
        let number = list[0];
        match &list[1..] {
            [] => drop(self.lists.swap_remove(at)),
            rest => self.lists[at] = rest,
        }
        Some(number as usize)
    }
}

/// The path, prefix or separated prefix that a route asks for, or what its regular expression or template begins with.
fn text_of(route: &Route) -> Option<&[u8]> {
    match &route.matcher.path {
        PathMatch::Path(text) | PathMatch::Prefix(text) | PathMatch::PathSeparatedPrefix(text) => {
            Some(text.as_bytes())
        }
        PathMatch::SafeRegex(regex) => {
            Some(regex.literal_prefix().as_bytes()).filter(|prefix| !prefix.is_empty())
        }
        PathMatch::UriTemplate(template) => Some(template.literal_prefix().as_bytes()),
        PathMatch::Connect => None,
    }
}

/// Distinct texts, sorted; the routes hold the text itself.
#[derive(Default)]
struct Texts {
    entries: Box<[Entry]>,
    /// The first eight bytes after what all texts have in common: most of the search looks only at these.
    heads: Box<[u64]>,
    /// Bytes that all texts have in common.
    common: usize,
    /// The routes, by text and number.
    routes: Box<[u32]>,
    /// Of the texts of many routes that a header tells apart.
    by_header: Vec<HeaderIndex>,
    ignore_case: bool,
}

struct Entry {
    /// Where its routes begin; they end where the next entry's begin.
    first: u32,
    /// The longest other text with which this one begins.
    parent: u32,
    /// Where its routes lie by a header, if they do.
    by_header: u32,
}

impl Texts {
    fn new(routes: &[Route], mut numbers: Vec<u32>, ignore_case: bool) -> Self {
        let text = |number: u32| text_of(&routes[number as usize]).unwrap_or_default();
        numbers.sort_by(|a, b| compare(text(*a), text(*b), ignore_case).then(a.cmp(b)));
        let mut texts = Texts { ignore_case, ..Texts::default() };
        if let [first, .., last] | [first @ last] = numbers[..] {
            texts.common = common(text(first), text(last), ignore_case);
        }
        let mut entries: Vec<Entry> = Vec::new();
        for (at, number) in numbers.iter().enumerate() {
            let previous = entries.last().map(|entry| text(numbers[entry.first as usize]));
            if previous.is_some_and(|previous| same(previous, text(*number), ignore_case)) {
                continue;
            }
            let parent =
                texts.parent_of(&entries, |entry| text(numbers[entry.first as usize]), text(*number));
            entries.push(Entry { first: at as u32, parent, by_header: NONE });
        }
        texts.heads = entries.iter().map(|entry| texts.head(text(numbers[entry.first as usize]))).collect();
        texts.entries = entries.into_boxed_slice();
        texts.routes = numbers.into_boxed_slice();
        for at in 0..texts.entries.len() {
            if let Some(index) = HeaderIndex::new(routes, texts.routes_of(at)) {
                texts.entries[at].by_header = texts.by_header.len() as u32;
                texts.by_header.push(index);
            }
        }
        texts
    }

    /// The nearest of the sorted entries before with which `text` begins.
    fn parent_of<'t>(&self, entries: &[Entry], text_of: impl Fn(&Entry) -> &'t [u8], text: &[u8]) -> u32 {
        let mut at = entries.len().checked_sub(1).map_or(NONE, |last| last as u32);
        while at != NONE {
            let entry = &entries[at as usize];
            if begins(text, text_of(entry), self.ignore_case) {
                break;
            }
            at = entry.parent;
        }
        at
    }

    fn head(&self, text: &[u8]) -> u64 {
        let mut head = [0; 8];
        let rest = text.get(self.common..).unwrap_or_default();
        for (byte, of) in head.iter_mut().zip(rest) {
            *byte = if self.ignore_case { of.to_ascii_lowercase() } else { *of };
        }
        u64::from_be_bytes(head)
    }

    fn text<'r>(&self, routes: &'r [Route], entry: usize) -> &'r [u8] {
        let number = self.routes[self.entries[entry].first as usize];
        text_of(&routes[number as usize]).unwrap_or_default()
    }

    fn propose<'i>(&'i self, routes: &[Route], path: &[u8], headers: &Headers, lists: &mut Lists<'i>) {
        if path.len() < self.common || self.entries.is_empty() {
            return;
        }
        let head = self.head(path);
        let start = self.heads.partition_point(|other| *other < head);
        let end = start + self.heads[start..].partition_point(|other| *other == head);
        let after = partition(start, end, |entry| {
            compare(self.text(routes, entry), path, self.ignore_case) != Ordering::Greater
        });
        let mut at = after.checked_sub(1).map_or(NONE, |last| last as u32);
        // From the first text with which the path begins on, all further ones are such, too.
        while at != NONE && !begins(path, self.text(routes, at as usize), self.ignore_case) {
            at = self.entries[at as usize].parent;
        }
        while at != NONE {
            match self.by_header.get(self.entries[at as usize].by_header as usize) {
                Some(index) => index.propose(headers, lists),
                None => lists.push(self.routes_of(at as usize)),
            }
            at = self.entries[at as usize].parent;
        }
    }

    fn routes_of(&self, entry: usize) -> &[u32] {
        let end = self.entries.get(entry + 1).map_or(self.routes.len(), |next| next.first as usize);
        &self.routes[self.entries[entry].first as usize..end]
    }
}

/// The first number of the range for which `holds` is false; it must hold for all before.
fn partition(start: usize, end: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (start, end);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

fn compare(a: &[u8], b: &[u8], ignore_case: bool) -> Ordering {
    if !ignore_case {
        return a.cmp(b);
    }
    a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase))
}

fn same(a: &[u8], b: &[u8], ignore_case: bool) -> bool {
    if ignore_case { a.eq_ignore_ascii_case(b) } else { a == b }
}

fn begins(text: &[u8], with: &[u8], ignore_case: bool) -> bool {
    text.len() >= with.len() && same(&text[..with.len()], with, ignore_case)
}

fn common(a: &[u8], b: &[u8], ignore_case: bool) -> usize {
    a.iter().zip(b).take_while(|(a, b)| same(&[**a], &[**b], ignore_case)).count()
}
