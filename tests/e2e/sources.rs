//! Where resources come from that another resource asks for.

use super::resources;
use super::setup::{Client, Plane, Upstream, Variant, start};

#[test]
fn endpoints_come_from_where_their_cluster_came_from() {
    for variant in [Variant::Sotw, Variant::Delta] {
        let (blue, green) = (Upstream::named("blue"), Upstream::named("green"));
        let own = "eds_config: {self: {transport_api_version: V3}}";
        let resources = resources(&blue, &green, "green", "").replace("eds_config: {ads: {}}", own);
        assert!(resources.contains(own), "the setup has another form");
        let plane = Plane::with(&resources);
        let (proxy, _directory) = start(&plane, variant);
        assert_eq!(Client::connect(&proxy).get("/"), "green", "{variant:?}");
    }
}
