//! Claims of JSON Web Tokens (RFC 7519) that nobody has verified: for who trusts that somebody did before. A token has
//! to have the form that Envoy asks of one.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

/// The algorithms of signatures that Envoy knows.
const ALGORITHMS: [&str; 13] = [
    "ES256", "ES384", "ES512", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384",
    "PS512", "EdDSA",
];

/// As in Envoy there may be padding, though no token should have any (RFC 7515 §2).
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The text of a claim, which names lead to, one within the other; `None` where there is none.
pub(super) fn claim(token: &[u8], names: &[String]) -> Option<String> {
    let mut parts = token.split(|byte| *byte == b'.');
    let [header, payload, signature] = [parts.next()?, parts.next()?, parts.next()?];
    if parts.next().is_some() || !is_header(&object(header)?) {
        return None;
    }
    let claims = object(payload)?;
    decoded(signature).filter(|signature| !signature.is_empty())?;
    let (last, within) = names.split_last()?;
    let inner = within.iter().try_fold(&claims, |object, name| object.get(name)?.as_object())?;
    are_claims(&claims).then(|| inner.get(last)?.as_str().map(str::to_owned))?
}

fn decoded(part: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(part).ok()
}

fn object(part: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(&decoded(part)?).ok()
}

/// Whether these may say how a token is signed.
fn is_header(header: &Map<String, Value>) -> bool {
    let algorithm = header.get("alg").and_then(Value::as_str);
    algorithm.is_some_and(|algorithm| ALGORITHMS.contains(&algorithm)) && is_text(header.get("kid"))
}

/// Whether the claims that have a meaning of their own (RFC 7519 §4.1) are of their types.
fn are_claims(claims: &Map<String, Value>) -> bool {
    let is_audience = |audience: &Value| match audience {
        Value::Array(all) => all.iter().all(Value::is_string),
        one => one.is_string(),
    };
    let is_time = |name| claims.get(name).is_none_or(|time| time.as_f64().is_some_and(|time| time >= 0.0));
    ["iss", "sub", "jti"].into_iter().all(|name| is_text(claims.get(name)))
        && ["iat", "nbf", "exp"].into_iter().all(is_time)
        && claims.get("aud").is_none_or(is_audience)
}

fn is_text(value: Option<&Value>) -> bool {
    value.is_none_or(Value::is_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> Vec<u8> {
        let encoded = |text: &str| BASE64.encode(text);
        format!("{}.{}.c2ln", encoded(header), encoded(claims)).into_bytes()
    }

    #[test]
    fn a_claim_is_a_text_within_others() {
        let token = token(r#"{"alg":"HS256"}"#, r#"{"a":{"b":"deep"},"n":1,"empty":""}"#);
        for (names, expected) in [
            (&["a", "b"][..], Some("deep")),
            (&["n"], None),
            (&["a"], None),
            (&["empty"], Some("")),
            (&["x"], None),
        ] {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(claim(&token, &names).as_deref(), expected, "{names:?}");
        }
    }

    #[test]
    fn what_is_no_token_has_no_claim() {
        let names = ["sub".to_owned()];
        let sub = r#"{"sub":"me"}"#;
        assert!(claim(&token(r#"{"alg":"ES256","kid":"k"}"#, sub), &names).is_some());
        for (header, claims) in [
            (r#"{"alg":"none"}"#, sub),
            ("{}", sub),
            (r#"{"alg":"ES256","kid":1}"#, sub),
            (r#"{"alg":"ES256"}"#, "[]"),
            (r#"{"alg":"ES256"}"#, r#"{"sub":"me","exp":"soon"}"#),
            (r#"{"alg":"ES256"}"#, r#"{"sub":"me","aud":[1]}"#),
        ] {
            assert_eq!(claim(&token(header, claims), &names), None, "{header} {claims}");
        }
        for text in ["", "a", "a.b.c", "..", "!.!.!"] {
            assert_eq!(claim(text.as_bytes(), &names), None, "{text}");
        }
    }
}
