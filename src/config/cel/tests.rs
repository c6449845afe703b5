use serde_json::json;

use super::*;
use crate::base::headers::{Headers, Known};

/// A request for `/p?a=1` whose response has not come.
#[derive(Debug)]
struct Request {
    headers: Headers,
    metadata: std::collections::BTreeMap<String, serde_json::Value>,
}

impl Attributes for Request {
    fn attribute(&self, of: Root, name: &str) -> Result<Value<'_>, Failure> {
        match (of, name) {
            (Root::Request, "headers") => Ok(Value::Map(Map::Headers(&self.headers))),
            (Root::Request, "path") => Ok(Value::text("/p?a=1")),
            (Root::Request, "size") => Ok(Value::Int(7)),
            (Root::Response, _) => Err(Failure::NotYet),
            _ => Err(Failure::Error),
        }
    }

    fn has(&self, of: Root) -> bool {
        of != Root::UpstreamFilterState
    }

    fn metadata(&self) -> Value<'_> {
        Value::Metadata(Some(&self.metadata))
    }
}

fn request() -> Request {
    let mut headers = Headers::new();
    headers.append(Known::Path, b"/p?a=1");
    headers.append_received(b"x-a", b"1");
    headers.append_received(b"x-b", b"1");
    headers.append_received(b"x-b", b"2");
    let metadata = json!({"k": "v", "n": 1.5, "l": ["a", 1], "o": {"x": "y"}});
    Request { headers, metadata: [("ns".to_owned(), metadata)].into() }
}

const ALL: Options = Options { string_conversion: true, string_concat: true, string_functions: true };

fn compiled(text: &str, options: Options) -> Expression {
    Expression::parse(text, options).unwrap_or_else(|problem| panic!("{text}: {}", problem.message))
}

/// What it prints, `-` where it has no value.
fn printed(text: &str, options: Options) -> String {
    let (expression, request) = (compiled(text, options), request());
    let mut out = Vec::new();
    match expression.evaluate(&request) {
        Ok(value) => value.print(&mut out),
        Err(Failure::Error) => out.push(b'-'),
        Err(Failure::NotYet) => out.extend_from_slice(b"not yet"),
    }
    String::from_utf8(out).expect("a text")
}

// What follows is what Envoy 1.40 printed of the same expressions.

#[test]
fn expressions_give_what_envoy_prints() {
    for (text, expected) in [
        ("request.path", "/p?a=1"),
        ("request.headers", "CelMap value"),
        ("request.headers['X-A']", "1"),
        ("request.headers['x-b']", "1,2"),
        ("request.headers['nope']", "-"),
        ("'x-a' in request.headers", "true"),
        ("has(request.headers.foo)", "false"),
        ("foo.bar", "-"),
        ("request.nope", "-"),
        ("metadata.filter_metadata.ns.k", "v"),
        ("metadata.filter_metadata['ns'].l[1]", "1"),
        ("metadata.filter_metadata.ns.n", "1.5"),
        ("metadata.filter_metadata.ns.l", "CelList value"),
        ("metadata.filter_metadata.nope.x", "-"),
        ("1 + 2", "3"),
        ("1 / 0", "-"),
        ("-5 / 2", "-2"),
        ("9223372036854775807 + 1", "-"),
        ("1u - 2u", "-"),
        ("100000000.0", "1e+08"),
        ("0.1", "0.1"),
        ("1234567.0", "1.23457e+06"),
        ("1e-7", "1e-07"),
        ("123456.789", "123457"),
        ("-0.0", "-0"),
        ("1e300*1e300", "inf"),
        ("0.0/0.0", "nan"),
        ("1 == '1'", "false"),
        ("'a' < 1", "-"),
        ("1 < 2u && 1u == 1 && 1 == 1.0", "true"),
        ("true && (1/0 == 1)", "-"),
        ("(1/0 == 1) && false", "false"),
        ("(1/0 == 1) || true", "true"),
        ("1 && true", "-"),
        ("1 ? 1 : 2", "-"),
        ("true ? 1 : 1/0", "1"),
        ("size('héé')", "3"),
        ("'abc'.size() + size(b'abc') + size([1,2]) + size({'a':1})", "9"),
        ("'xabcx'.matches('b') && matches('abc', '^a.c$')", "true"),
        ("startsWith('abc','a') && 'abc'.endsWith('c') && 'abc'.contains('b')", "true"),
        ("type(1) == int", "true"),
        ("int('5') + int(5.9) + int(5u)", "15"),
        ("int('x')", "-"),
        ("uint(-1)", "-"),
        ("duration('1h1m1.5s')", "1h1m1.5s"),
        ("duration('90m')", "1h30m"),
        ("duration('1500us')", "1.5ms"),
        ("duration('-1.5h')", "-1h30m"),
        ("duration('2.000000001s')", "2.000000001s"),
        ("duration('0s')", "0"),
        ("timestamp('2024-01-02T03:04:05.678Z')", "2024-01-02T03:04:05.678+00:00"),
        ("timestamp('2024-01-02T03:04:05Z') + duration('1h')", "2024-01-02T04:04:05+00:00"),
        ("timestamp('2024-01-02T03:04:05Z').getFullYear()", "2024"),
        ("duration('1h').getMinutes()", "60"),
        ("[1,2] + [3]", "-"),
        ("[1,2][1]", "2"),
        ("[1,2][5]", "-"),
        ("{'a':1}.a", "1"),
        ("1.0 in [1,2]", "true"),
        ("[1] == [1.0] && {'a':1} == {'a':1u}", "true"),
        ("null", "NULL"),
        ("'a' + 'b'", "-"),
        (r"r'a\b'", r"a\b"),
        ("__foo__", "-"),
        (".request.path", "/p?a=1"),
        ("response.code == 200", "not yet"),
        ("response.code == 200 || true", "true"),
        ("response.code == 200 && true", "not yet"),
    ] {
        assert_eq!(printed(text, Options::default()), expected, "{text}");
    }
    assert_eq!(
        printed("metadata", Options::default()),
        "filter_metadata { key: \"ns\" value { fields { key: \"k\" value { string_value: \"v\" } } \
         fields { key: \"l\" value { list_value { values { string_value: \"a\" } values { number_value: 1 } } } } \
         fields { key: \"n\" value { number_value: 1.5 } } \
         fields { key: \"o\" value { struct_value { fields { key: \"x\" value { string_value: \"y\" } } } } } } } "
    );
}

#[test]
fn texts_are_made_where_that_is_allowed() {
    for (text, expected) in [
        ("'a' + 'b'", "ab"),
        ("'aÄ'.lowerAscii() + 'b'.upperAscii()", "aÄB"),
        ("'aba'.replace('a','b')", "bbb"),
        ("'aba'.replace('a','b',1)", "bba"),
        ("'ab'.replace('','-')", "-a-b-"),
        ("'a,b,c'.split(',',2)[1]", "b,c"),
        ("size('a,b'.split(''))", "3"),
        ("string(1) + string(1.5) + string(true) + string(b'x')", "11.5truex"),
        ("string(duration('1h'))", "3600s"),
        ("string(timestamp('2024-01-02T03:04:05Z'))", "2024-01-02T03:04:05Z"),
        ("string(null)", "-"),
    ] {
        assert_eq!(printed(text, ALL), expected, "{text}");
    }
}

#[test]
fn what_grows_beyond_measure_is_an_error() {
    let large =
        "(".repeat(4) + "'xxxxxxxxxxxxxxxx'" + &".replace('','xxxxxxxxxxxxxxxxxxxxxxxx')".repeat(8) + "))))";
    assert_eq!(printed(&large, ALL), "-");
}

#[test]
fn values_become_json() {
    for (text, expected) in [
        ("1 + 2", json!(3)),
        ("b'abc'", json!("YWJj")),
        ("duration('1500ms')", json!("1.500s")),
        ("duration('1ns')", json!("0.000000001s")),
        ("timestamp('2024-01-02T03:04:05.678Z')", json!("2024-01-02T03:04:05.678Z")),
        ("{'b':1,'a':'x'}", json!({"a": "x", "b": 1})),
        ("{1:2}", json!({"1": 2})),
        ("[1,'a',null]", json!([1, "a", null])),
        ("metadata.filter_metadata.ns.l", json!(["a", 1])),
        ("request.headers", json!({":path": "/p?a=1", "x-a": "1", "x-b": "1,2"})),
    ] {
        let (expression, request) = (compiled(text, Options::default()), request());
        let value = expression.evaluate(&request).map(|value| value.to_json());
        assert_eq!(value, Ok(Some(expected)), "{text}");
    }
}

#[test]
fn what_envoy_refuses_is_refused() {
    for (text, expected) in [
        ("'a'.lowerAscii()", "No overload found in reference resolve step for lowerAscii"),
        ("string(1)", "No overload found in reference resolve step for string"),
        ("nofunc(1)", "No overload found in reference resolve step for nofunc"),
        ("size(1,2)", "No overload found in reference resolve step for size"),
        ("request.path()", "No overload found in reference resolve step for path"),
        (
            "getHours(timestamp('2024-01-02T03:04:05Z'))",
            "No overload found in reference resolve step for getHours",
        ),
        ("[1,2].map(x, x)", "Comprehension support is disabled"),
        ("'abc'.matches('(')", "invalid regular expression: missing ): ("),
        ("has(request.headers['x-a'])", "Not able to parse expression: INVALID_ARGUMENT"),
        ("1+", "Not able to parse expression: INVALID_ARGUMENT"),
        ("", "Not able to parse expression: INVALID_ARGUMENT"),
        ("'unterminated", "Not able to parse expression: INVALID_ARGUMENT"),
        ("1 2", "Not able to parse expression: INVALID_ARGUMENT"),
    ] {
        let problem = Expression::parse(text, Options::default()).expect_err(text);
        assert!(problem.message.contains(expected) && !problem.unsupported, "{text}: {}", problem.message);
    }
}

#[test]
fn what_only_envoy_takes_is_refused_as_such() {
    for text in [
        "envoy.config.core.v3.Locality{region: 'here'}",
        "re.extract('a', request.path, 'c')",
        "timestamp('2024-01-02T03:04:05Z').getHours(request.path)",
    ] {
        let problem = Expression::parse(text, Options::default()).expect_err(text);
        assert!(problem.unsupported, "{text}: {}", problem.message);
    }
}

#[test]
fn no_text_ends_the_process() {
    let deep = |open: &str, close: &str| open.repeat(2000) + "1" + &close.repeat(2000);
    for text in [
        deep("(", ")"),
        deep("[", "]"),
        deep("!", ""),
        deep("1+", ""),
        deep("a.", ""),
        deep("true?1:", ""),
        "a&&".repeat(2600) + "a",
        "x".repeat(9000),
        "\u{0}\u{ff}'\\u12".to_owned(),
    ] {
        // Whether it is an expression does not matter here.
        drop(Expression::parse(&text, Options::default()));
    }
}

#[test]
fn trees_of_both_packages_are_read() {
    use envoy_types::pb::google::api::expr::v1alpha1 as older;
    use proto::expr::{Call, ExprKind, Ident, Select};
    let of = |kind| proto::Expr { id: 1, expr_kind: Some(kind) };
    let ident = of(ExprKind::IdentExpr(Ident { name: "request".to_owned() }));
    let operand = Some(Box::new(ident));
    let select =
        of(ExprKind::SelectExpr(Box::new(Select { operand, field: "size".to_owned(), test_only: false })));
    let seven = proto::constant::ConstantKind::Int64Value(7);
    let seven = of(ExprKind::ConstExpr(proto::Constant { constant_kind: Some(seven) }));
    let call = Call { target: None, function: "_==_".to_owned(), args: vec![select, seven] };
    let tree = of(ExprKind::CallExpr(Box::new(call)));
    let again = newer(older::Expr::decode(tree.encode_to_vec().as_slice()).ok());
    for tree in [Some(tree), again] {
        let expression =
            Expression::of_tree(tree.expect("a tree"), Options::default()).expect("an expression");
        assert_eq!(expression.holds(&request()), Ok(true));
    }
}
