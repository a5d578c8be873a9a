use serde_json::{Value, json};

use super::*;
use crate::base::Secret;

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "a secret of thirty-two bytes....";

fn door_with(settings: TokenSettings) -> TokenDoor {
    TokenDoor::new(&settings, &mut Random::from_number(1))
}

fn door() -> TokenDoor {
    door_with(TokenSettings { secret: Secret::new(SECRET), ..TokenSettings::default() })
}

fn claims() -> Value {
    json!({"room": "daily", "name": "Mia", "role": "moderator", "exp": NOW + 60})
}

fn sign_with(header: &Header, claims: &Value, secret: &str) -> String {
    encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

fn sign(claims: &Value) -> String {
    sign_with(&Header::new(Algorithm::HS256), claims, SECRET)
}

fn changed(key: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[key] = value;
    claims
}

#[test]
fn a_good_token_says_who_comes() {
    let claims = door().check(&sign(&claims()), NOW).unwrap();
    assert_eq!((&*claims.room, &*claims.name, claims.role), ("daily", "Mia", Role::Moderator));
    assert_eq!(claims.expires_at, Time::from_unix_seconds(NOW + 60));
}

#[test]
fn only_a_token_whose_time_is_all_that_is_wrong_has_lapsed() {
    let over = changed("exp", json!(NOW - 31));
    let lapsed = door().lapsed(&sign(&over), NOW).unwrap();
    assert!(lapsed.lapsed && !door().check(&sign(&claims()), NOW).unwrap().lapsed);
    assert_eq!((&*lapsed.room, lapsed.expires_at), ("daily", Time::from_unix_seconds(NOW - 31)));
    assert_eq!(door().lapsed(&sign(&claims()), NOW), None);
    let forged = sign_with(&Header::new(Algorithm::HS256), &over, "another secret of 32 bytes......");
    assert_eq!(door().lapsed(&forged, NOW), None);
}

#[test]
fn claims_that_do_not_hold_are_refused() {
    let long = "x".repeat(129);
    let wrong = [
        ("exp", json!(NOW - 31)),
        ("exp", json!("soon")),
        ("exp", json!(-1)),
        ("exp", json!(null)),
        ("exp", json!(NOW + 3_700)),
        ("exp", json!(u64::MAX)),
        ("nbf", json!(NOW + 31)),
        ("nbf", json!("x")),
        ("room", json!("")),
        ("room", json!(" ")),
        ("room", json!("a\nb")),
        ("room", json!(long)),
        ("room", json!(["daily"])),
        ("name", json!("")),
        ("name", json!("\u{7}")),
        ("name", json!("Mia\u{202e}")),
        ("name", json!(long)),
        ("name", json!(7)),
        ("role", json!("admin")),
        ("role", json!("Moderator")),
        ("role", json!(1)),
        ("aud", json!("another service")),
        ("aud", json!(["another service"])),
        ("aud", json!(5)),
        ("aud", json!(null)),
        ("aud", json!([5])),
        ("aud", json!({"x": 1})),
        ("exp", json!(1e300)),
        ("exp", json!(-0.5)),
    ];
    for (key, value) in wrong {
        assert!(door().check(&sign(&changed(key, value.clone())), NOW).is_err(), "{key} = {value}");
    }
    for key in ["room", "name", "role", "exp"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(key);
        assert!(door().check(&sign(&claims), NOW).is_err(), "without {key}");
    }
}

#[test]
fn names_may_have_128_characters_of_any_script() {
    let long = "\u{43c}".repeat(128);
    assert_eq!(door().check(&sign(&changed("name", json!(long))), NOW).unwrap().name, long);
    assert!(door().check(&sign(&changed("name", json!(long + "x"))), NOW).is_err());
}

#[test]
fn times_may_have_a_fraction() {
    // Section 2 of RFC 7519.
    let exact = NOW as f64 + 60.75;
    let claims = door().check(&sign(&changed("exp", json!(exact))), NOW).unwrap();
    assert_eq!(claims.expires_at, Time::from_unix_seconds(NOW + 60));
    assert!(door().check(&sign(&changed("nbf", json!(NOW as f64 - 0.5))), NOW).is_ok());
}

#[test]
fn clocks_may_be_wrong_by_the_leeway_and_no_more() {
    let token = sign(&claims());
    assert!(door().check(&token, NOW + 89).is_ok());
    assert_eq!(door().check(&token, NOW + 90), Err(TokenRefusal::Expired));
    let early = sign(&changed("nbf", json!(NOW + 30)));
    assert!(door().check(&early, NOW).is_ok());
    assert_eq!(door().check(&early, NOW - 1), Err(TokenRefusal::NotYet));
}

#[test]
fn only_the_pinned_algorithm_and_the_configured_key_count() {
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        assert!(door().check(&sign_with(&Header::new(algorithm), &claims(), SECRET), NOW).is_err());
    }
    assert!(door().check(&sign_with(&Header::new(Algorithm::HS256), &claims(), "another"), NOW).is_err());
    assert!(door().check(&sign_with(&Header::new(Algorithm::HS256), &claims(), ""), NOW).is_err());
    // What a header says about keys is not looked at.
    let mut pointing = Header::new(Algorithm::HS256);
    pointing.jku = Some("https://evil.example/keys".to_owned());
    pointing.kid = Some("../../dev/null".to_owned());
    assert!(door().check(&sign_with(&pointing, &claims(), "another"), NOW).is_err());

    let good = sign(&claims());
    let (_, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    // {"alg":"none"}, {"alg":"None","typ":"JWT"}, {"alg":"RS256"}, {"typ":"JWT"}, {}.
    for header in [
        "eyJhbGciOiJub25lIn0",
        "eyJhbGciOiJOb25lIiwidHlwIjoiSldUIn0",
        "eyJhbGciOiJSUzI1NiJ9",
        "eyJ0eXAiOiJKV1QifQ",
        "e30",
    ] {
        for forged in
            [format!("{header}.{body}."), format!("{header}.{body}"), format!("{header}.{body}.{signature}")]
        {
            assert!(door().check(&forged, NOW).is_err(), "{forged}");
        }
    }
}

#[test]
fn no_changed_byte_of_a_token_goes_unseen() {
    let good = sign(&claims());
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(bytes).unwrap();
        // The last character of a signature carries two bits that decode to nothing.
        assert!(door().check(&forged, NOW).is_err() || at == good.len() - 1, "byte {at}");
        assert!(door().check(&good[..at], NOW).is_err(), "cut at {at}");
    }
    assert!(door().check(&format!("{good}.x"), NOW).is_err());
    assert_eq!(door().check(&"a".repeat(5_000), NOW), Err(TokenRefusal::Missing));
}

#[test]
fn a_configured_audience_has_to_be_named() {
    let secret = Secret::new(SECRET);
    let door =
        door_with(TokenSettings { secret, audience: "anteroom".to_owned(), ..TokenSettings::default() });
    assert!(door.check(&sign(&changed("aud", json!("anteroom"))), NOW).is_ok());
    assert!(door.check(&sign(&changed("aud", json!("other"))), NOW).is_err());
    // Section 4.1.3 of RFC 7519: there may be several.
    assert!(door.check(&sign(&changed("aud", json!(["other", "anteroom"]))), NOW).is_ok());
    assert!(door.check(&sign(&changed("aud", json!(["other"]))), NOW).is_err());
    assert!(door.check(&sign(&claims()), NOW).is_err());
}

/// RFC 7515 section 4.1.11.
#[test]
fn what_a_token_says_has_to_be_understood_is_not_passed_over() {
    let sign = |header: &Value| {
        let parts = [header, &claims()].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = parts.join(".");
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        format!("{message}.{signature}")
    };
    assert!(door().check(&sign(&json!({"alg": "HS256", "kid": "1"})), NOW).is_ok());
    for crit in [json!(["b64"]), json!(["exp"]), json!([]), json!(null)] {
        let refused = door().check(&sign(&json!({"alg": "HS256", "crit": crit, "b64": false})), NOW);
        assert!(matches!(&refused, Err(TokenRefusal::Invalid(why)) if why.contains("crit")), "{refused:?}");
    }
}

#[test]
fn only_a_server_without_a_secret_hands_out_tokens() {
    assert!(door().development_token("daily", "Mia", Role::Moderator, NOW).is_none());
    let open = door_with(TokenSettings::default());
    let token = open.development_token("daily", "Mia", Role::Participant, NOW).unwrap().unwrap();
    assert_eq!(open.check(&token, NOW).unwrap().role, Role::Participant);
    assert!(door().check(&token, NOW).is_err());
    assert!(open.development_token("", "Mia", Role::Participant, NOW).unwrap().is_err());
    let another = TokenDoor::new(&TokenSettings::default(), &mut Random::from_number(2));
    assert!(another.check(&token, NOW).is_err(), "the random key is not random");
}
