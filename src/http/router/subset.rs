//! Which of a cluster's subsets a request is for: what its route says, and what filters noted of the request.

use smallvec::SmallVec;

use crate::config::metadata::Labels;
use crate::observability::stream_info::Notes;
use crate::upstream::lb::subset::Criterion;

/// What the metadata of hosts has to be, in the order of the names; few requests ask for more.
pub(crate) type Criteria<'a> = SmallVec<[Criterion<'a>; 4]>;

/// What a route says, with what the dynamic metadata `envoy.lb` of the request says in place of the same.
pub(crate) fn criteria<'a>(of_route: Option<&'a Labels>, notes: Option<&'a Notes>) -> Criteria<'a> {
    let noted = notes.and_then(|notes| notes.metadata_of(Labels::NAME));
    let of_route = of_route.into_iter().flat_map(Labels::iter);
    let kept = of_route.filter(|(name, _)| !noted.is_some_and(|noted| noted.contains_key(name.as_str())));
    let all = kept.chain(noted.into_iter().flatten());
    let mut criteria: Criteria<'a> = all.map(|(name, value)| (name.as_str(), value)).collect();
    criteria.sort_unstable_by_key(|(name, _)| *name);
    criteria
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::metadata::Metadata;

    #[test]
    fn what_was_noted_of_a_request_takes_the_place_of_what_its_route_says() {
        let metadata = json!({"stage": "prod", "version": "1"});
        let metadata =
            Metadata { filter_metadata: [(Labels::NAME.to_owned(), metadata)].into(), ..Metadata::default() };
        let of_route = Labels::of(&metadata);
        let mut notes = Notes::default();
        notes.merge_metadata(Labels::NAME, &json!({"version": "2", "canary": true}));
        let of = |route, notes| -> Vec<(String, Value)> {
            criteria(route, notes)
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).clone()))
                .collect()
        };
        let expected = [("canary", json!(true)), ("stage", json!("prod")), ("version", json!("2"))];
        let expected = expected.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(of(of_route.as_ref(), Some(&notes)), expected);
        assert_eq!(of(of_route.as_ref(), None).len(), 2);
        assert_eq!(of(None, None), []);
    }
}
