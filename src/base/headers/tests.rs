use super::*;

fn text(headers: &Headers) -> String {
    headers
        .iter()
        .map(|(name, value)| {
            format!("{}={} ", String::from_utf8_lossy(name.as_bytes()), String::from_utf8_lossy(value))
        })
        .collect()
}

#[test]
fn names_are_lower_case_and_order_is_kept() {
    let mut headers = Headers::new();
    headers.append_received(b"X-Foo", b"1");
    headers.append_received(b"Host", b"a");
    headers.append(Known::Path, b"/");
    headers.append_received(b"x-foo", b"2");
    assert_eq!(text(&headers), ":path=/ x-foo=1 host=a x-foo=2 ");
}

#[test]
fn set_replaces_the_first_value_in_place_and_drops_the_others() {
    let mut headers = Headers::new();
    for (name, value) in [("a", "1"), ("b", "2"), ("a", "3")] {
        headers.append(Name::new(name.as_bytes()), value.as_bytes());
    }
    headers.set(Name::new(b"a"), b"9");
    headers.set(Known::Via, b"x");
    assert_eq!(text(&headers), "a=9 b=2 via=x ");
}

#[test]
fn some_headers_are_received_as_one_list() {
    let mut headers = Headers::new();
    for (name, value) in [("Via", ""), ("x-a", "1"), ("via", "a"), ("x-a", "2"), ("VIA", "b"), ("via", "")] {
        headers.append_received_joined(name.as_bytes(), value.as_bytes(), joined_in_requests);
    }
    headers.join_repeated();
    assert_eq!(text(&headers), "via=a,b x-a=1 x-a=2 ");
}

#[test]
fn what_repeats_is_copied_once() {
    let mut headers = Headers::new();
    let long = "a".repeat(10_000);
    headers.append_received_joined(b"accept", long.as_bytes(), joined_in_requests);
    headers.append_received_joined(b"via", long.as_bytes(), joined_in_requests);
    for _ in 0..100 {
        headers.append_received_joined(b"accept", b"x", joined_in_requests);
        headers.append_received_joined(b"via", b"x", joined_in_requests);
    }
    headers.join_repeated();
    assert_eq!(headers.len(), 2);
    assert_eq!(headers.get(Known::Accept).map(<[u8]>::len), Some(10_200));
    assert!(headers.text.len() < 3 * 20_200, "{} bytes", headers.text.len());
}

#[test]
fn removed_headers_are_gone_from_every_lookup() {
    let mut headers = Headers::new();
    headers.append(Known::Te, b"x");
    headers.append(Name::new(b"q"), b"y");
    assert!(headers.remove(Known::Te) && headers.remove(Name::new(b"q")));
    assert!(!headers.remove(Known::Te));
    assert!(headers.is_empty() && headers.get(Known::Te).is_none() && headers.get_by_name(b"q").is_none());
}

#[test]
fn retain_updates_what_is_known_to_be_present() {
    let mut headers = Headers::new();
    headers.append(Known::Te, b"x");
    headers.append(Known::Via, b"y");
    headers.retain(|name, _| name != Name::Known(Known::Te));
    assert!(!headers.contains(Known::Te) && headers.contains(Known::Via));
}
