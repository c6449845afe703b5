//! What route tables may say to filters.

use dragoman_proto::{encode, tree};

use super::{EXTENSIONS, UPSTREAM_EXTENSIONS};
use crate::config::RouteConfiguration;
use crate::config::extension::{Extension, Extensions};
use crate::config::route::FilterConfig;
use crate::config::upstream_codec;

const CONFIG: &str = "type.googleapis.com/envoy.config.route.v3.FilterConfig";
const MUTATION: &str = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3";

/// A table whose one virtual host says this to the filter `f`: what it says to it, or the first error.
fn said(any: &str) -> Result<Option<FilterConfig>, String> {
    let yaml =
        format!("virtual_hosts: [{{ name: v, domains: ['*'], typed_per_filter_config: {{ f: {any} }} }}]");
    let document = tree::parse_yaml(&yaml).expect("YAML");
    let encoded =
        encode(&document.root, "envoy.config.route.v3.RouteConfiguration", &encode::Options::default())
            .expect("a table");
    let extensions = Extensions { http_filters: EXTENSIONS, ..Extensions::default() };
    match RouteConfiguration::parse(&encoded.bytes, &extensions) {
        Ok((table, _)) => Ok(table.virtual_hosts[0].filter_configs.get("f").cloned()),
        Err(errors) => Err(errors[0].message.clone()),
    }
}

#[test]
fn a_level_turns_a_filter_off_or_on_or_tells_it_something() {
    assert_eq!(said(&format!("{{ '@type': {CONFIG}, disabled: true }}")), Ok(Some(FilterConfig::Disabled)));
    assert_eq!(said(&format!("{{ '@type': {CONFIG}, config: {{}} }}")), Ok(Some(FilterConfig::Default)));
    let own = format!("{{ '@type': {MUTATION}.HeaderMutationPerRoute }}");
    let direct = said(&own).expect("accepted").expect("said");
    assert!(matches!(&direct, FilterConfig::Enabled(config) if config.name == "f"));
    assert_eq!(said(&format!("{{ '@type': {CONFIG}, config: {own} }}")), Ok(Some(direct)));
}

#[test]
fn what_no_filter_takes_is_refused_unless_it_is_optional() {
    let unknown = "{ '@type': type.googleapis.com/google.protobuf.Struct }";
    let error = said(unknown).expect_err("an error");
    assert!(error.starts_with("Didn't find a registered implementation for 'f'"), "{error}");
    assert_eq!(said(&format!("{{ '@type': {CONFIG}, is_optional: true, config: {unknown} }}")), Ok(None));
    assert_eq!(
        said("{ '@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }"),
        Err("The filter f doesn't support virtual host or route specific configurations".to_owned())
    );
    assert_eq!(
        said(&format!("{{ '@type': {CONFIG} }}")),
        Err("Empty route/virtual host per filter configuration for f filter".to_owned())
    );
}

#[test]
fn what_may_stand_before_a_host_may_stand_before_the_router_too() {
    let (codecs, filters): (Vec<&Extension>, Vec<&Extension>) =
        UPSTREAM_EXTENSIONS.iter().partition(|extension| extension.terminal);
    assert_eq!(codecs.iter().map(|codec| codec.type_name).collect::<Vec<_>>(), [upstream_codec::TYPE_NAME]);
    for filter in filters {
        assert!(EXTENSIONS.iter().any(|known| known.type_name == filter.type_name), "{}", filter.name);
    }
}

#[test]
fn a_message_for_chains_is_none_for_routes() {
    let error = said(&format!("{{ '@type': {MUTATION}.HeaderMutation }}")).expect_err("an error");
    assert!(error.starts_with("expected a "), "{error}");
}
