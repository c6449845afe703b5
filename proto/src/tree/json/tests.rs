use super::*;

fn parse(text: &str) -> Value {
    parse_json(text).expect("JSON").root.value
}

fn refuse(text: &str, expected: &str) {
    let error = parse_json(text).expect_err(text).to_string();
    assert!(error.contains(expected), "{text}: {error}");
}

#[test]
fn values_know_their_place() {
    let document = parse_json("{\n  \"a\": [1, \"b\"]\n}").expect("JSON");
    let list = document.root.get("a").expect("a key");
    assert_eq!(list.at, Position { line: 2, column: 8 });
    assert_eq!(list.elements()[1].at, Position { line: 2, column: 12 });
    assert_eq!(document.root.entries()[0].at, Position { line: 2, column: 3 });
}

#[test]
fn what_envoy_takes_beyond_json_is_taken() {
    assert_eq!(parse_json("{_a1:'b',}").expect("JSON").root.get("_a1").and_then(Node::as_str), Some("b"));
    assert_eq!(parse("[1,]"), parse("[1]"));
    assert_eq!(parse("\"a\tb\""), Value::String("a\tb".into()));
}

#[test]
fn numbers_keep_their_precision() {
    assert_eq!(parse("18446744073709551615"), Value::Int(18_446_744_073_709_551_615));
    assert_eq!(parse("-0"), Value::Int(0));
    assert_eq!(parse("1e3"), Value::Float(1000.0));
    for text in ["080", "1.", "-", "1e999", "1.e3", "--1", "1-2"] {
        refuse(text, "malformed number");
    }
    for text in [".5", "+5", "NaN"] {
        refuse(text, "unexpected character");
    }
}

#[test]
fn escapes_are_decoded() {
    assert_eq!(parse(r#""\u00e4\ud83d\ude00\n\/""#), Value::String("ä😀\n/".into()));
    refuse(r#""\x""#, "unknown escape");
    refuse(r#""\ud83d""#, "surrogate");
    refuse(r#""\ude00""#, "names no character");
    refuse(r#""\u12"#, "four hexadecimal digits");
}

#[test]
fn an_error_names_its_place() {
    let error = parse_json("{\"a\": {\"b\": [1, ?]}}").expect_err("no JSON");
    assert_eq!(error.to_string(), "1:17: a.b[1]: not valid JSON: unexpected character `?`");
}

#[test]
fn broken_text_is_refused() {
    refuse("", "unexpected end");
    refuse("{} x", "after the end");
    refuse("[1 2]", "expected `,` or `]`");
    refuse("{\"a\" 1}", "expected `:`");
    refuse("[truth]", "expected a value");
    refuse(&"[".repeat(200), "nested more than 100 levels deep");
}
