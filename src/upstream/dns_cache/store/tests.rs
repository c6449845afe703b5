use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn address(last: u8) -> SocketAddr {
    ([10, 0, 0, last], 80).into()
}

fn name(name: &str) -> Arc<str> {
    Arc::from(name)
}

/// Waits until all that is to be written is.
async fn settle(store: &mut Store) {
    while store.writing.is_some() {
        tokio::select! { biased; () = store.run() => {}, () = tokio::task::yield_now() => {} }
    }
}

#[test]
fn what_is_kept_of_a_name_is_what_envoy_keeps() {
    let text = value(&[address(1), "[::1]:9".parse().expect("an address")], MINUTE, 5);
    assert_eq!(text, "10.0.0.1:80|60|5\n[::1]:9|60|5");
    let kept = Kept::read(&name("n"), &text).expect("a value");
    assert_eq!((kept.addresses.len(), kept.ttl), (2, MINUTE));
    for bad in
        ["", "x", "10.0.0.1:80", "10.0.0.1:80|60", "10.0.0.1|60|5", "10.0.0.1:80|0|5", "10.0.0.1:80|6|x"]
    {
        assert_eq!(Kept::read(&name("n"), bad), None, "{bad}");
    }
}

#[tokio::test]
async fn names_are_there_again_when_the_file_is_opened_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let config =
        KeyValueStore { filename: directory.path().join("names"), flush_interval: None, max_entries: 2 };
    let (mut store, kept) = Store::open(config.clone()).await;
    assert_eq!(kept, []);
    for (key, last) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
        store.keep(&name(key), &[address(last)], MINUTE);
    }
    settle(&mut store).await;
    let (mut again, kept) = Store::open(config.clone()).await;
    let names: Vec<_> = kept.iter().map(|kept| (&*kept.name, kept.addresses[0])).collect();
    assert_eq!(names, [("a", address(3)), ("c", address(4))], "b came before both");
    again.forget("a");
    settle(&mut again).await;
    let (_, kept) = Store::open(config).await;
    assert_eq!(kept.iter().map(|kept| &*kept.name).collect::<Vec<_>>(), ["c"]);
}

#[tokio::test(start_paused = true)]
async fn an_interval_is_waited_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let filename = directory.path().join("names");
    let config = KeyValueStore { filename: filename.clone(), flush_interval: Some(MINUTE), max_entries: 0 };
    let (mut store, _) = Store::open(config).await;
    store.keep(&name("a"), &[address(1)], MINUTE);
    tokio::select! { () = store.run() => {}, () = tokio::time::sleep(MINUTE / 2) => {} }
    assert!(!filename.exists());
    tokio::select! { () = store.run() => {}, () = tokio::time::sleep(MINUTE) => {} }
    settle(&mut store).await;
    assert!(filename.exists());
}
