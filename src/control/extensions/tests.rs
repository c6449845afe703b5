use super::*;
use crate::config::source::SourceKind;
use crate::control::references::extension_references;
use crate::control::testing::{change, inline, listener};

const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";

/// What a listener refers to one of whose upgrades has a router that is discovered.
fn references(more: &str) -> Vec<ExtensionReference> {
    let discovery = format!("{{config_source: {{ads: {{}}}}, type_urls: ['{ROUTER}']{more}}}");
    let upgrade = format!("{{upgrade_type: a, filters: [{{name: found, config_discovery: {discovery}}}]}}");
    let change = listener("l", 80, &format!("{}\n      upgrade_configs: [{upgrade}]", inline("app")));
    let Body::New(listener) = change.body else { panic!("a listener: {:?}", change.body) };
    extension_references(&listener).collect()
}

fn extensions() -> Extensions {
    let mut extensions = Extensions::new(Registry::new(0));
    extensions.refer(&references(""));
    assert_eq!(extensions.take_changed(), [(0, BTreeSet::from(["found".to_owned()]))]);
    extensions
}

fn config(name: &str, fields: &str) -> Change<DiscoveredConfig> {
    let yaml = format!("name: {name}\ntyped_config: {{'@type': {ROUTER}, {fields}}}");
    change::<DiscoveredConfig>(name, &yaml)
}

fn there(extensions: &Extensions) -> bool {
    extensions.configs().find(&SourceKind::Ads, "found").expect("it is asked for").is_some()
}

#[test]
fn a_listener_waits_for_a_configuration_unless_its_default_needs_no_warming() {
    let mut extensions = extensions();
    let [reference] = &references("")[..] else { panic!("one reference") };
    assert!(!extensions.is_settled(reference));
    let default =
        format!(", apply_default_config_without_warming: true, default_config: {{'@type': {ROUTER}}}");
    assert!(extensions.is_settled(&references(&default)[0]));
    assert!(extensions.update(0, config("found", "suppress_envoy_headers: true")).is_none());
    assert!(extensions.is_settled(reference) && there(&extensions));
}

#[test]
fn nack_keeps_the_last_good_version() {
    let mut extensions = extensions();
    assert!(extensions.update(0, config("found", "")).is_none());
    let before = Arc::clone(extensions.configs());
    let problem = extensions.update(0, config("found", "strict_check_headers: [x]")).expect("a problem");
    assert!(problem.text().starts_with("typed_config.strict_check_headers[0]: "), "{}", problem.text());
    assert!(Arc::ptr_eq(&before, extensions.configs()));
    assert_eq!(extensions.sources[0].wanted["found"].tallies[0].stats.config_fail().value(), 1);
}

#[test]
fn what_is_removed_is_there_no_more_and_what_nobody_wants_is_not_asked_for() {
    let mut extensions = extensions();
    extensions.update(0, config("found", ""));
    extensions.remove(0, &["found".to_owned()]);
    assert!(!there(&extensions));
    extensions.refer(&[]);
    assert_eq!(extensions.take_changed(), [(0, BTreeSet::new())]);
    assert!(extensions.configs().find(&SourceKind::Ads, "found").is_none());
}

#[test]
fn what_is_dropped_and_wanted_again_before_its_source_is_told_is_still_there() {
    let mut extensions = extensions();
    extensions.update(0, config("found", ""));
    extensions.refer(&[]);
    // The source does not know yet, and has sent another.
    assert!(extensions.update(0, config("found", "suppress_envoy_headers: true")).is_none());
    let newest = Arc::clone(extensions.configs());
    extensions.refer(&references(""));
    assert!(extensions.is_settled(&references("")[0]) && there(&extensions));
    assert_eq!(extensions.take_changed(), [(0, BTreeSet::from(["found".to_owned()]))]);
    assert!(Arc::ptr_eq(extensions.configs(), &newest));
}

#[test]
fn a_configuration_that_is_said_not_to_be_there_is_not_waited_for() {
    let mut extensions = extensions();
    extensions.remove(0, &["found".to_owned(), "other".to_owned()]);
    assert!(extensions.is_settled(&references("")[0]) && !there(&extensions));
}

#[test]
fn who_refers_to_a_configuration_that_does_not_suit_is_counted() {
    let mut extensions = extensions();
    extensions.update(0, config("found", ""));
    let chain = format!(
        "{{name: found, config_discovery: {{config_source: {{ads: {{}}}}, type_urls: ['{ROUTER}']}}}}, \
         {{name: router, typed_config: {{'@type': {ROUTER}}}}}"
    );
    let upgrade = format!("upgrade_configs: [{{upgrade_type: a, filters: [{chain}]}}]");
    let Body::New(listener) = listener("l", 80, &format!("{}\n      {upgrade}", inline("app"))).body else {
        panic!("a listener")
    };
    extensions.refer(&extension_references(&listener).collect::<Vec<_>>());
    assert_eq!(extensions.sources[0].wanted["found"].tallies[0].stats.config_conflict().value(), 1);
}

#[test]
fn a_source_that_nothing_is_wanted_of_goes_and_its_number_is_not_given_again() {
    let mut extensions = extensions();
    extensions.refer(&[]);
    assert_eq!(extensions.take_changed(), [(0, BTreeSet::new())]);
    extensions.forget_source(0);
    assert_eq!(extensions.resources().count(), 0);
    assert!(extensions.configs().find(&SourceKind::Ads, "found").is_none());
    extensions.refer(&references(""));
    assert_eq!(extensions.take_changed(), [(1, BTreeSet::from(["found".to_owned()]))]);
}

#[test]
fn a_router_that_came_refers_to_configurations_itself() {
    let mut extensions = extensions();
    let references = references("");
    let codec = "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec";
    let discovery = format!("{{config_source: {{ads: {{}}}}, type_urls: ['{codec}']}}");
    let filters = format!("upstream_http_filters: [{{name: behind, config_discovery: {discovery}}}]");
    assert_eq!(extensions.update(0, config("found", &filters)), None);
    assert!(extensions.take_refers_anew() && !extensions.take_refers_anew());
    let behind = extensions.behind(&references);
    assert_eq!(behind.iter().map(|reference| reference.name.as_str()).collect::<Vec<_>>(), ["behind"]);
    assert!(!extensions.is_settled(&references[0]));
    extensions.refer(&[references.clone(), behind].concat());
    let both = BTreeSet::from(["behind".to_owned(), "found".to_owned()]);
    assert_eq!(extensions.take_changed(), [(0, both)]);
    extensions.remove(0, &["behind".to_owned()]);
    assert!(extensions.is_settled(&references[0]));
}
