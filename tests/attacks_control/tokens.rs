//! Tokens that are forged, stale, or for something else.

use std::time::{SystemTime, UNIX_EPOCH};

use anteroom::base::Secret;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::http::{ask, free_ports, get, start};
use super::raw::{HANDSHAKE, RawSocket};
use super::tally::Tally;

pub(crate) const SECRET: &str = "a secret of thirty-two bytes....";

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn claims() -> Value {
    json!({"room": "daily", "name": "Mia", "role": "moderator", "aud": "anteroom", "exp": now() + 60})
}

pub(crate) fn sign(claims: &Value) -> String {
    sign_with(&Header::new(Algorithm::HS256), claims, SECRET)
}

fn sign_with(header: &Header, claims: &Value, secret: &str) -> String {
    encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

/// Base64 without filling, as tokens have it.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

/// A claim changed, added, or taken away with `Null`.
fn bad_claims() -> Vec<Value> {
    let (long, soon) = ("x".repeat(129), now() + 60);
    let mut wrong = vec![
        ("exp", json!(now() - 31)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!(soon.to_string())),
        ("exp", json!(1e300)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(now() + 3_700)),
        ("exp", json!([soon])),
        ("nbf", json!(now() + 40)),
        ("nbf", json!("x")),
        ("aud", json!("another service")),
        ("aud", json!("")),
        ("aud", json!("ANTEROOM")),
        ("aud", json!({"anteroom": true})),
        ("role", json!("admin")),
        ("role", json!("Moderator")),
        ("role", json!("owner")),
        ("role", json!(["moderator"])),
        ("role", json!(1)),
        ("role", json!(true)),
        ("room", json!("")),
        ("room", json!(" ")),
        ("room", json!("a\nb")),
        ("room", json!(["daily", "other"])),
        ("room", json!({"$ne": ""})),
        ("room", json!(7)),
        ("room", json!(long)),
        ("name", json!("")),
        ("name", json!("Mia\u{1b}[2J")),
        ("name", json!("Mia\u{202e}")),
        ("name", json!("Mia\r\nERROR forged")),
        ("name", json!("Mia\u{0}")),
        ("name", json!(["Mia"])),
        ("name", json!(long)),
    ];
    for key in ["exp", "aud", "role", "room", "name"] {
        wrong.push((key, Value::Null));
    }
    let changed = |(key, value): (&str, Value)| {
        let mut claims = claims();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(key)),
            value => claims[key] = value,
        }
        claims
    };
    wrong.into_iter().map(changed).collect()
}

/// What is no token of this server, whatever it claims.
fn bad_tokens() -> Vec<String> {
    let good = sign(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    let (body, signature) = (parts[1], parts[2]);
    let mut tokens: Vec<String> = bad_claims().iter().map(sign).collect();
    for secret in ["", "another secret of 32 bytes......", "secret", &SECRET[1..]] {
        tokens.push(sign_with(&Header::new(Algorithm::HS256), &claims(), secret));
    }
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        tokens.push(sign_with(&Header::new(algorithm), &claims(), SECRET));
    }
    let mut pointing = Header::new(Algorithm::HS256);
    (pointing.jku, pointing.kid) =
        (Some("https://evil.example/keys".to_owned()), Some("../../dev/null".to_owned()));
    pointing.x5u = Some("https://evil.example/chain".to_owned());
    tokens.push(sign_with(&pointing, &claims(), ""));
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "None"}),
        json!({"alg": "nOnE", "typ": "JWT"}),
        json!({"alg": ""}),
        json!({"alg": "RS256"}),
        json!({"alg": "ES256"}),
        json!({"alg": "EdDSA"}),
        json!({"alg": null}),
        json!({"alg": ["HS256"]}),
        json!({"typ": "JWT"}),
        json!({}),
        json!([]),
        json!({"alg": "HS256", "jwk": {"kty": "oct", "k": ""}}),
    ] {
        let header = base64(header.to_string().as_bytes());
        tokens.push(format!("{header}.{body}."));
        tokens.push(format!("{header}.{body}.{signature}"));
    }
    let higher = base64(
        json!({"room": "daily", "name": "Eve", "role": "moderator", "exp": now() + 60})
            .to_string()
            .as_bytes(),
    );
    tokens.push(format!("{}.{higher}.{signature}", parts[0]));
    tokens.extend(["", ".", "..", "...", "x", "null", "%00"].map(str::to_owned));
    tokens.push(format!("{}.{body}", parts[0]));
    tokens.push(format!("{good}.x"));
    tokens.push(format!("{good}&token=x"));
    tokens.push(good[..good.len() - 1].to_owned());
    tokens.push("a".repeat(5_000));
    tokens
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a29_no_bad_token_enters() {
    let mut tally = Tally::of("attacks", "A29");
    let mut config = free_ports();
    config.tokens.secret = Secret::new(SECRET);
    "anteroom".clone_into(&mut config.tokens.audience);
    let (server, address) = start(&config).await;
    let tokens = bad_tokens();
    assert!(tokens.len() >= 60);
    for token in &tokens {
        let answer = ask(address, &format!("GET /v1/ws?token={token}"), HANDSHAKE, "").await;
        assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("bad_token")), "{token}");
        assert!(token.len() < 20 || !answer.body.contains(token), "the token is told again: {answer:?}");
    }
    // A good one elsewhere than in its place does not count either.
    let good = sign(&claims());
    let bearer = format!("{HANDSHAKE}Authorization: Bearer {good}\r\nCookie: token={good}\r\n");
    assert_eq!(ask(address, "GET /v1/ws", &bearer, "").await.status, 401);
    let metrics = get(server.metrics_address(), "/metrics").await.body;
    let refused = format!("anteroom_links_refused_total{{reason=\"token\"}} {}", tokens.len() + 1);
    assert!(metrics.contains(&refused) && metrics.contains("anteroom_links_opened_total 0"), "{metrics}");
    assert!(RawSocket::open(address, &good, "").head.starts_with("HTTP/1.1 101"));
    tally.count(tokens.len() as u64 + 1, "tokens");
    server.stop().await;
}
