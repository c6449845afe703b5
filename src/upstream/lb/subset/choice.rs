//! Which subset a request gets, and what it gets where there is none for it.

use std::sync::Arc;

use serde_json::Value;
use smallvec::SmallVec;

use super::{Criterion, Index, Subset};
use crate::config::cluster::{SelectorFallback, SubsetFallback, Subsets};
use crate::observability::stats::MembershipStats;
use crate::upstream::Host;

/// The key whose list says what else to ask for: `metadata_fallback_policy: FALLBACK_LIST`.
const FALLBACK_LIST: &str = "fallback_list";

/// What a request asks for; few ask for more.
type Criteria<'a> = SmallVec<[Criterion<'a>; 4]>;

/// A host of a subset, by its balancing; `None` where it has none that may be used.
type Pick<'p> = &'p mut dyn FnMut(&Subset) -> Option<Arc<Host>>;

/// The host for a request with these criteria, in the order of their names.
pub(super) fn choose(
    index: &Index,
    config: &Subsets,
    stats: &MembershipStats,
    criteria: &[Criterion<'_>],
    pick: Pick<'_>,
) -> Option<Arc<Host>> {
    let list = criteria.iter().find(|(name, _)| config.metadata_fallback_list && *name == FALLBACK_LIST);
    let Some((_, list)) = list else {
        return once(index, config, stats, criteria, pick);
    };
    let own: Criteria<'_> = criteria.iter().copied().filter(|(name, _)| *name != FALLBACK_LIST).collect();
    match list.as_array().map(Vec::as_slice).unwrap_or_default() {
        [] => once(index, config, stats, &own, pick),
        variants => {
            variants.iter().find_map(|variant| once(index, config, stats, &merged(&own, variant), pick))
        }
    }
}

/// Criteria with those of an object in place of those of the same names.
fn merged<'a>(criteria: &[Criterion<'a>], over: &'a Value) -> Criteria<'a> {
    let Some(over) = over.as_object() else { return Criteria::from_slice(criteria) };
    let kept = criteria.iter().copied().filter(|(name, _)| !over.contains_key(*name));
    let mut merged: Criteria<'a> =
        kept.chain(over.iter().map(|(name, value)| (name.as_str(), value))).collect();
    merged.sort_unstable_by_key(|(name, _)| *name);
    merged
}

fn only<'a>(criteria: &[Criterion<'a>], keys: &[String]) -> Criteria<'a> {
    criteria.iter().copied().filter(|(name, _)| keys.iter().any(|key| key == name)).collect()
}

fn once(
    index: &Index,
    config: &Subsets,
    stats: &MembershipStats,
    criteria: &[Criterion<'_>],
    pick: Pick<'_>,
) -> Option<Arc<Host>> {
    let fewer = if config.allow_redundant_keys { of_a_selector(config, criteria) } else { None };
    let mut criteria = fewer.unwrap_or_else(|| Criteria::from_slice(criteria));
    // Each round asks for fewer keys than the one before.
    loop {
        if let Some(subset) = index.find(&criteria) {
            stats.lb_subsets_selected().inc();
            return pick(subset);
        }
        match selector_fallback(config, &criteria) {
            None => break,
            Some(SelectorFallback::None) => return None,
            Some(SelectorFallback::Any) => return index.any().and_then(pick),
            Some(SelectorFallback::Default) => return index.default_subset().and_then(pick),
            Some(SelectorFallback::Keys(keys)) => {
                let fewer = only(&criteria, keys);
                criteria = match config.allow_redundant_keys {
                    true => of_a_selector(config, &fewer).unwrap_or(fewer),
                    false => fewer,
                };
            }
        }
    }
    fall_back(index, config, stats, pick)
}

/// What a selector gives whose keys are exactly those that are asked for. As in Envoy it gives nothing of its own where a
/// selector before it begins with its keys.
fn selector_fallback<'s>(config: &'s Subsets, criteria: &[Criterion<'_>]) -> Option<&'s SelectorFallback> {
    let names = || criteria.iter().map(|(name, _)| *name);
    let begins = |keys: &[String]| {
        let begin = keys.get(..criteria.len());
        begin.is_some_and(|begin| begin.iter().map(String::as_str).eq(names()))
    };
    let selector = config.selectors.iter().find(|selector| begins(&selector.keys))?;
    let is_exact = !criteria.is_empty() && selector.keys.len() == criteria.len();
    selector.fallback.as_ref().filter(|_| is_exact)
}

/// What the first selector is for all of whose keys are asked for.
fn of_a_selector<'a>(config: &Subsets, criteria: &[Criterion<'a>]) -> Option<Criteria<'a>> {
    config.selectors.iter().find_map(|selector| {
        let own = only(criteria, &selector.keys);
        (own.len() == selector.keys.len()).then_some(own)
    })
}

/// What the cluster gives where no subset fits.
fn fall_back(index: &Index, config: &Subsets, stats: &MembershipStats, pick: Pick<'_>) -> Option<Arc<Host>> {
    let subset = match config.fallback_policy {
        SubsetFallback::None => return None,
        SubsetFallback::Any => index.any(),
        SubsetFallback::Default => index.default_subset(),
    };
    if let Some(host) = subset.and_then(&mut *pick) {
        stats.lb_subsets_fallback().inc();
        return Some(host);
    }
    let host = index.any().filter(|_| config.panic_mode_any).and_then(pick)?;
    stats.lb_subsets_fallback_panic().inc();
    Some(host)
}
