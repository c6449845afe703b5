//! What choosing a filter chain costs, by how many there are.
//!
//! `cargo bench --bench filter_chains`

use divan::{Bencher, black_box};
use dragoman::config::listener::{ChainIndex, FilterChainMatch, Traits};

fn main() {
    divan::main();
}

/// Chains for so many names.
fn index(chains: usize) -> ChainIndex {
    let mut index = ChainIndex::default();
    for number in 0..chains {
        let server_names = vec![format!("host{number}.example.com")];
        let criteria = FilterChainMatch { server_names, ..Default::default() };
        index.add(&criteria, number).expect("names that differ");
    }
    index
}

fn asks_for(server_name: &str) -> Traits<'_> {
    let address = |port| Some(([127, 0, 0, 1], port).into());
    Traits {
        local: address(443),
        remote: address(40_000),
        direct_remote: address(40_000),
        server_name,
        transport_protocol: "tls",
        application_protocols: &[],
    }
}

#[divan::bench(args = [10, 10_000])]
fn by_name(bencher: Bencher<'_, '_>, chains: usize) {
    let index = index(chains);
    let name = format!("host{}.example.com", chains / 2);
    bencher.bench(|| black_box(&index).find(&asks_for(black_box(&name))));
}

#[divan::bench(args = [10, 10_000])]
fn that_is_not_there(bencher: Bencher<'_, '_>, chains: usize) {
    let index = index(chains);
    bencher.bench(|| black_box(&index).find(&asks_for(black_box("nobody.example.org"))));
}
