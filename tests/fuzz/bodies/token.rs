//! Tokens: as they are, with claims of anybody's under our key, and under another's.

use std::sync::OnceLock;

use anteroom::api::TokenDoor;
use anteroom::api::settings::TokenSettings;
use anteroom::base::{Random, Secret, is_showable};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::Value;

use super::input::Input;

/// The time at which tokens are shown, in seconds.
pub(crate) const NOW: u64 = 1_800_000_000;
/// The key of the tokens in the corpus.
pub(crate) const SECRET: &str = "a secret of thirty-two bytes....";
const ANOTHER: &str = "another secret of 32 bytes......";
const LEEWAY: u64 = 30;
const LIFETIME: u64 = 3_600;

pub(crate) fn door() -> TokenDoor {
    let settings = TokenSettings { secret: Secret::new(SECRET), ..TokenSettings::default() };
    assert_eq!(
        (u64::from(settings.leeway_seconds), u64::from(settings.max_lifetime_seconds)),
        (LEEWAY, LIFETIME)
    );
    TokenDoor::new(&settings, &mut Random::from_number(1))
}

/// URL-safe Base64 without padding (RFC 4648 section 5).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes(word);
        for at in 0..=chunk.len() {
            text.push(char::from(LETTERS[(word >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}

pub(crate) fn sign(header: &[u8], claims: &[u8], secret: &str) -> String {
    let message = format!("{}.{}", base64(header), base64(claims));
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

/// Nobody comes in whose token is not signed with our key, or whose claims do not hold.
pub fn token(data: &[u8]) {
    static DOOR: OnceLock<TokenDoor> = OnceLock::new();
    let door = DOOR.get_or_init(door);
    let mut input = Input::new(data);
    let choice = input.u8();
    if choice.is_multiple_of(4) {
        let text = String::from_utf8_lossy(input.rest());
        if door.check(&text, NOW).is_ok() || door.lapsed(&text, NOW).is_some() {
            let (message, signature) = text.rsplit_once('.').unwrap();
            let key = EncodingKey::from_secret(SECRET.as_bytes());
            let expected = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
            // The last character carries two bits that decode to nothing.
            assert_eq!(signature[..42], expected[..42], "nobody signed this");
        }
        return;
    }
    let header = input.piece();
    let claims = input.rest();
    let forged = sign(header, claims, ANOTHER);
    assert!(door.check(&forged, NOW).is_err() && door.lapsed(&forged, NOW).is_none());
    let token = sign(header, claims, SECRET);
    let (checked, lapsed) = (door.check(&token, NOW), door.lapsed(&token, NOW));
    assert!(checked.is_err() || lapsed.is_none());
    let Some(found) = checked.ok().or(lapsed) else { return };
    // The library passes over what it does not need, be it text or not.
    let header: Value = serde_json::from_str(&String::from_utf8_lossy(header)).unwrap();
    assert_eq!(header["alg"], "HS256");
    for name in [&found.room, &found.name] {
        assert!((1..=128).contains(&name.chars().count()) && is_showable(name));
    }
    let expires = found.expires_at.as_micros() / 1_000_000;
    assert_eq!(found.lapsed, expires + LEEWAY <= NOW);
    assert!(expires <= NOW + LIFETIME + LEEWAY);
}
