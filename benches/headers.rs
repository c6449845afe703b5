//! What is done to the headers of every request: reading, asking, changing.
//!
//! `cargo bench --bench headers`

use divan::{Bencher, black_box};
use dragoman::base::headers::{Headers, Known, Name};

const BROWSER: [(&str, &str); 14] = [
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Accept-Language", "en-GB,en;q=0.5"),
    ("Cache-Control", "no-cache"),
    ("Connection", "keep-alive"),
    ("Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"),
    ("DNT", "1"),
    ("Referer", "https://app.example.com/items"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Upgrade-Insecure-Requests", "1"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("X-Forwarded-For", "203.0.113.7"),
    ("X-Tenant", "blue"),
];

fn main() {
    divan::main();
}

fn fill(headers: &mut Headers) {
    headers.append(Known::Method, b"GET");
    headers.append(Known::Path, b"/items?id=7");
    headers.append(Known::Authority, b"app.example.com");
    headers.append(Known::Scheme, b"http");
    for (name, value) in BROWSER {
        headers.append_received(name.as_bytes(), value.as_bytes());
    }
}

fn browser() -> Headers {
    let mut headers = Headers::new();
    fill(&mut headers);
    headers
}

/// Into buffers that have grown before, as on a connection kept alive.
#[divan::bench]
fn receive(bencher: Bencher) {
    let mut headers = browser();
    bencher.bench_local(|| {
        headers.clear();
        fill(black_box(&mut headers));
    });
}

#[divan::bench]
fn ask_for_a_known_one(bencher: Bencher) {
    let headers = browser();
    bencher.bench(|| black_box(&headers).get(Known::XForwardedFor).map(<[u8]>::len));
}

#[divan::bench]
fn ask_for_a_known_one_that_is_not_there(bencher: Bencher) {
    let headers = browser();
    bencher.bench(|| black_box(&headers).get(Known::XEnvoyRetryOn).map(<[u8]>::len));
}

#[divan::bench]
fn ask_for_another_one(bencher: Bencher) {
    let headers = browser();
    bencher.bench(|| black_box(&headers).get_by_name(b"x-tenant").map(<[u8]>::len));
}

/// What a connection manager and a router do to a request at least.
#[divan::bench]
fn change(bencher: Bencher) {
    let original = browser();
    bencher.with_inputs(|| original.clone()).bench_local_refs(|headers| {
        headers.remove(Known::Connection);
        headers.set(Known::XForwardedProto, b"http");
        headers.set(Known::XRequestId, b"01234567-89ab-4cde-8f01-23456789abcd");
        headers.set(Known::XEnvoyExpectedRqTimeoutMs, b"15000");
        headers.append(Name::new(b"x-added"), b"1");
    });
}
