//! Routes of one path that a header tells apart, as tenants, versions and experiments are: a request is held only against
//! those that ask for a value that it has.

use std::collections::HashMap;

use smallvec::SmallVec;

use crate::base::headers::{Headers, Name};
use crate::config::matcher::{HeaderMatcher, HeaderTest, StringMatcher, StringPattern};
use crate::config::route::Route;

/// Routes from which on looking a value up costs less than comparing it with each of them.
const WORTHWHILE: usize = 8;

/// Some routes by the value that they ask of one header.
pub(super) struct HeaderIndex {
    name: Box<str>,
    by_value: HashMap<Box<[u8]>, Box<[u32]>>,
    /// Those that ask for no certain value of it.
    others: Box<[u32]>,
}

impl HeaderIndex {
    /// Of these routes, given by ascending numbers; `None` where no header tells enough of them apart.
    pub(super) fn new(routes: &[Route], numbers: &[u32]) -> Option<Self> {
        if numbers.len() < WORTHWHILE {
            return None;
        }
        let name = usual_name(routes, numbers)?;
        let mut by_value: HashMap<Box<[u8]>, Vec<u32>> = HashMap::new();
        let mut others = Vec::new();
        for number in numbers {
            let mut asked = values_of(&routes[*number as usize]);
            match asked.find(|(known, _)| *known == name) {
                Some((_, value)) => by_value.entry(value.into()).or_default().push(*number),
                None => others.push(*number),
            }
        }
        let by_value = by_value.into_iter().map(|(value, numbers)| (value, numbers.into())).collect();
        Some(HeaderIndex { name: name.into(), by_value, others: others.into() })
    }

    /// Adds the routes that may take a request with these headers. Of a header that came several times each value counts.
    pub(super) fn propose<'i, const N: usize>(
        &'i self,
        headers: &Headers,
        lists: &mut SmallVec<[&'i [u32]; N]>,
    ) {
        let values = headers.get_all(Name::new(self.name.as_bytes()));
        lists.extend(values.filter_map(|value| self.by_value.get(value).map(|numbers| &numbers[..])));
        if !self.others.is_empty() {
            lists.push(&self.others);
        }
    }
}

/// The header of which most of the routes ask for a value; `None` where few do.
fn usual_name<'r>(routes: &'r [Route], numbers: &[u32]) -> Option<&'r str> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (name, _) in numbers.iter().flat_map(|number| values_of(&routes[*number as usize])) {
        *counts.entry(name).or_default() += 1;
    }
    // Names decide between those that are as usual, so that the same configuration becomes the same index.
    let (name, count) = counts.into_iter().max_by_key(|(name, count)| (*count, *name))?;
    (count >= WORTHWHILE).then_some(name)
}

/// The headers of which a route asks for a certain value.
fn values_of(route: &Route) -> impl Iterator<Item = (&str, &[u8])> {
    route.matcher.headers.iter().filter_map(|matcher| match matcher {
        HeaderMatcher {
            name,
            test:
                HeaderTest::String(StringMatcher { pattern: StringPattern::Exact(text), ignore_case: false }),
            invert: false,
            treat_missing_as_empty: false,
        } => Some((&name[..], text.as_bytes())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{request, route};
    use super::*;
    use crate::config::route::PathMatch;

    fn asking(name: &str, value: &str, invert: bool) -> Route {
        let mut route = route(PathMatch::Prefix("/".into()));
        let test = HeaderTest::String(StringMatcher {
            pattern: StringPattern::Exact(value.into()),
            ignore_case: false,
        });
        let matcher = HeaderMatcher { name: name.into(), test, invert, treat_missing_as_empty: false };
        route.matcher.headers.push(matcher);
        route
    }

    #[test]
    fn only_routes_that_ask_for_a_value_of_the_request_are_proposed() {
        let mut routes: Vec<_> =
            (0..10).map(|number| asking("x-tenant", &number.to_string(), false)).collect();
        routes.extend([asking("x-other", "3", false), asking("x-tenant", "3", true)]);
        let numbers: Vec<u32> = (0..12).collect();
        let index = HeaderIndex::new(&routes, &numbers).expect("an index");
        let proposed = |values: &[&str]| {
            let mut headers = request("h", "/");
            for value in values {
                headers.append_received(b"x-tenant", value.as_bytes());
            }
            let mut lists: SmallVec<[&[u32]; 4]> = SmallVec::new();
            index.propose(&headers, &mut lists);
            lists.concat()
        };
        assert_eq!(proposed(&["3"]), [3, 10, 11]);
        assert_eq!(proposed(&["3", "4"]), [3, 4, 10, 11]);
        assert_eq!(proposed(&["none"]), [10, 11]);
        assert_eq!(proposed(&[]), [10, 11]);
    }

    #[test]
    fn few_routes_are_not_worth_an_index() {
        let routes: Vec<_> = (0..7).map(|number| asking("x-tenant", &number.to_string(), false)).collect();
        assert!(HeaderIndex::new(&routes, &[0, 1, 2, 3, 4, 5, 6]).is_none());
        let routes: Vec<_> = (0..20).map(|number| asking(&format!("x-{number}"), "a", false)).collect();
        assert!(HeaderIndex::new(&routes, &(0..20).collect::<Vec<_>>()).is_none());
    }
}
