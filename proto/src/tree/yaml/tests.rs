use super::*;

fn parse(text: &str) -> Value {
    parse_yaml(text).expect(text).root.value
}

fn string(text: &str) -> Value {
    Value::String(text.into())
}

fn refuse(text: &str, expected: &str) {
    let error = parse_yaml(text).expect_err(text).to_string();
    assert!(error.contains(expected), "{text}: {error}");
}

#[test]
fn values_know_their_place() {
    let document = parse_yaml("a:\n  - 1\n  - b: x\n").expect("YAML");
    let list = document.root.get("a").expect("a key");
    assert_eq!(list.at, Position { line: 2, column: 3 });
    let entry = &list.elements()[1].entries()[0];
    assert_eq!(
        (entry.at, entry.value.at),
        (Position { line: 3, column: 5 }, Position { line: 3, column: 8 })
    );
}

#[test]
fn comments_are_no_part_of_a_document() {
    let with = "# 1\na: {b: c} # 2\n# 3\nd:\n  # 4\n  - e\n  # 5\n  - f # 6\n# 7\n";
    let without = "\na: {b: c}\n\nd:\n\n  - e\n\n  - f\n";
    assert_eq!(parse(with), parse(without));
}

#[test]
fn only_plain_scalars_are_resolved() {
    for text in ["'5'", "\"5\"", "|-\n  5", ">-\n  5", "! 5"] {
        assert_eq!(parse(text), string("5"), "{text}");
    }
    for text in ["5", "!!int 5", "!!str 5", "!foo 5", "!!str '5'"] {
        assert_eq!(parse(text), Value::Int(5), "{text}");
    }
    assert_eq!(parse("'~'"), string("~"));
    for (text, value) in [("!!null ~", "~"), ("!!str", ""), ("!foo", "")] {
        assert_eq!(parse(text), string(value), "{text}");
    }
    assert_eq!(parse(""), Value::Null);
}

#[test]
fn the_last_of_equal_keys_counts_with_a_warning() {
    let document = parse_yaml("a:\n  b: 1\n  c: 2\n  b: 3\n").expect("YAML");
    let map = document.root.get("a").expect("a key");
    assert_eq!(map.entries().len(), 2);
    assert_eq!(map.get("b").map(|node| &node.value), Some(&Value::Int(3)));
    let warning = "4:3: a.b: `b` stands here again: this one counts, the one in line 2 does not";
    assert_eq!(document.warnings[0].to_string(), warning);
}

#[test]
fn only_the_first_document_is_read() {
    let document = parse_yaml("a: 1\n---\nb: [\n").expect("YAML");
    assert_eq!(document.root.entries().len(), 1);
    assert_eq!(document.warnings[0].line, 2);
    assert_eq!(parse_yaml("---\na: 1\n...\n").expect("YAML").warnings, []);
    assert_eq!(parse("---\n---\na: 1\n"), Value::Null);
}

#[test]
fn all_documents_are_read_when_asked_for() {
    let documents = parse_yaml_all("a: 1\n---\nb: 2\n---\n- 3\n").expect("YAML");
    assert_eq!(documents.len(), 3);
    assert_eq!(documents[1].root.get("b").map(|node| node.at.line), Some(3));
    assert_eq!(parse_yaml_all("# nothing\n").expect("YAML").len(), 0);
}

#[test]
fn aliases_stand_for_what_they_refer_to() {
    let document = parse_yaml("a: &x {b: 1}\nc: *x\n&k d: *k\n").expect("YAML");
    assert_eq!(document.root.get("c"), document.root.get("a"));
    assert_eq!(document.root.get("d").and_then(Node::as_str), Some("d"));
    refuse("a: *nope", "not valid YAML");
    refuse("a: &x [*x]", "cannot refer to what it stands in");
}

#[test]
fn aliases_cannot_exhaust_memory() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let alias = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", "));
    }
    refuse(&text, "more than 1000000 nodes");
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1_000_000), "*a, ".repeat(100));
    refuse(&long, "more than 1000000 nodes");
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse_yaml(&nested(100)).is_ok());
    refuse(&nested(101), "nested more than 100 levels deep");
    let deep =
        format!("a: &a {}{}\nb: {}*a{}\n", "[".repeat(60), "]".repeat(60), "[".repeat(60), "]".repeat(60));
    refuse(&deep, "nested more than 100 levels deep");
}

#[test]
fn keys_are_scalars_and_merge_is_no_operator() {
    assert_eq!(parse_yaml("5: a\nyes: b\n<<: {c: d}\n").expect("YAML").root.entries().len(), 3);
    let ignored = parse_yaml("!ignore a: 1\nb: 2\n").expect("YAML").root;
    assert_eq!(ignored.entries().iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["b"]);
    refuse("? [a]\n: 1\n", "a key must be a scalar, not a list");
}

#[test]
fn broken_text_is_refused_with_its_place() {
    let error = parse_yaml("a:\n\tb: 2\n").expect_err("a tab");
    assert_eq!(error.line, 2, "{error}");
    refuse("a: [1, 2", "not valid YAML");
    refuse("a: b: c", "not valid YAML");
}
