use super::*;
use crate::base::random::Rng;
use crate::config::extension::ExtensionConfig;
use crate::config::extension_source::FilterConfigType;
use crate::config::http_connection_manager::HttpFilter;
use crate::config::upstream_codec::{self, UpstreamCodec};
use crate::upstream::testing::{ClusterBuilder, endpoint};

/// A configuration whose `version` makes it differ.
fn config(name: &str, version: u32) -> Arc<config::Cluster> {
    let mut builder = ClusterBuilder::new(name).hosts([endpoint(1)]);
    builder.config.buffer.limit_bytes = Some(version);
    builder.config()
}

fn warming(update: Update) -> Arc<Cluster> {
    match update {
        Update::Warming(cluster) => cluster,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_cluster_serves_once_it_is_warm() {
    let mut manager = Manager::new(Registry::new(0));
    let cluster = warming(manager.add_or_update(config("a", 1)));
    assert!(manager.active().is_empty());
    assert!(manager.activate(&cluster));
    assert!(Arc::ptr_eq(&manager.active()["a"], &cluster));
    assert!(!manager.activate(&cluster));
}

#[test]
fn filters_are_compiled_of_clusters_that_have_some() {
    let compile: filters::Compile = |config, _, _, _| filters::Compiled::new(config.http.http_filters.len());
    let mut manager = Manager::new(Registry::new(0)).with_filters(compile);
    let plain = warming(manager.add_or_update(config("plain", 1)));
    assert!(!plain.has_filters());
    let value = Arc::new(UpstreamCodec);
    let codec = ExtensionConfig { name: "codec".to_owned(), type_name: upstream_codec::TYPE_NAME, value };
    let codec =
        HttpFilter { name: codec.name.clone(), config: FilterConfigType::Typed(codec), disabled: false };
    let mut builder = ClusterBuilder::new("filtered");
    builder.config.http.http_filters = [codec].into();
    let filtered = warming(manager.add_or_update(builder.config()));
    assert_eq!(
        filtered.filters(&filters::Kept::new()).and_then(|filters| filters.downcast::<usize>()),
        Some(&1)
    );
}

#[test]
fn an_equal_configuration_keeps_the_live_cluster() {
    let mut manager = Manager::new(Registry::new(0));
    let cluster = warming(manager.add_or_update(config("a", 1)));
    assert!(matches!(manager.add_or_update(config("a", 1)), Update::Unchanged));
    manager.activate(&cluster);
    assert!(matches!(manager.add_or_update(config("a", 1)), Update::Unchanged));
    assert!(Arc::ptr_eq(&manager.active()["a"], &cluster));
}

#[test]
fn a_replaced_cluster_serves_until_the_new_one_is_warm() {
    let mut manager = Manager::new(Registry::new(0));
    let old = warming(manager.add_or_update(config("a", 1)));
    manager.activate(&old);
    let given_up = warming(manager.add_or_update(config("a", 2)));
    let new = warming(manager.add_or_update(config("a", 3)));
    assert!(!manager.activate(&given_up), "a cluster that was itself replaced never serves");
    assert!(Arc::ptr_eq(&manager.active()["a"], &old));
    assert!(manager.activate(&new));
    assert!(Arc::ptr_eq(&manager.active()["a"], &new));
}

#[test]
fn going_back_to_the_live_configuration_gives_up_the_warming_cluster() {
    let mut manager = Manager::new(Registry::new(0));
    let old = warming(manager.add_or_update(config("a", 1)));
    manager.activate(&old);
    let new = warming(manager.add_or_update(config("a", 2)));
    assert!(matches!(manager.add_or_update(config("a", 1)), Update::Reverted));
    assert!(!manager.activate(&new));
}

#[test]
fn clusters_of_the_bootstrap_are_neither_changed_nor_removed() {
    let mut manager = Manager::new(Registry::new(0));
    let fixed = manager.add_fixed(config("xds", 1));
    manager.activate(&fixed);
    assert!(matches!(manager.add_or_update(config("xds", 2)), Update::Unchanged));
    assert!(!manager.remove("xds"));
    assert!(Arc::ptr_eq(&manager.active()["xds"], &fixed));
}

#[test]
fn statistics_tell_what_happened() {
    let registry = Registry::new(0);
    let mut manager = Manager::new(registry.clone());
    let first = warming(manager.add_or_update(config("a", 1)));
    manager.activate(&first);
    warming(manager.add_or_update(config("a", 2)));
    warming(manager.add_or_update(config("b", 1)));
    assert!(manager.remove("b"));
    let stats = &manager.stats;
    assert_eq!((stats.cluster_added().value(), stats.cluster_modified().value()), (2, 1));
    assert_eq!((stats.cluster_removed().value(), stats.active_clusters().value()), (1, 1));
    assert_eq!(stats.warming_clusters().value(), 1);
}

#[test]
fn whatever_is_pushed_a_cluster_serves_until_it_is_removed() {
    let mut rng = Rng::seeded(9);
    let mut manager = Manager::new(Registry::new(0));
    let names = ["a", "b", "c"];
    let mut warm: Vec<Arc<Cluster>> = Vec::new();
    for _ in 0..5_000 {
        let name = names[rng.below(3) as usize];
        let serving = manager.active().contains_key(name);
        match rng.below(4) {
            0 | 1 => {
                if let Update::Warming(cluster) = manager.add_or_update(config(name, rng.below(4) as u32)) {
                    warm.push(cluster);
                }
                assert_eq!(manager.active().contains_key(name), serving);
            }
            2 if !warm.is_empty() => {
                let cluster = warm.swap_remove(rng.below(warm.len() as u64) as usize);
                let was = manager.active().get(&cluster.name).cloned();
                let activated = manager.activate(&cluster);
                let now = manager.active().get(&cluster.name);
                assert!(was.is_none() || now.is_some());
                assert!(!activated || now.is_some_and(|now| Arc::ptr_eq(now, &cluster)));
            }
            _ => {
                manager.remove(name);
                assert!(!manager.active().contains_key(name) && !manager.warming().contains_key(name));
            }
        }
    }
}
