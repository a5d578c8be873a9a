//! Texts that people are shown.

/// Whether a text can be shown to people as a name: it is not blank, and has no control characters,
/// nor any that turn the direction of what is written after it (UAX #9, embeddings, overrides and
/// isolates): with these a name could rewrite the line that it stands in.
#[must_use]
pub fn is_showable(text: &str) -> bool {
    let is_bad = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.trim().is_empty() && !text.chars().any(is_bad)
}

/// Longest name, in characters. Longer ones break every screen.
pub const MAX_NAME: usize = 128;

/// Whether a text can be a name for people, of a room or of somebody.
#[must_use]
pub fn is_name(text: &str) -> bool {
    is_showable(text) && text.chars().count() <= MAX_NAME
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_it_looks_like() {
        for fine in ["Mia", "דנה", "Zoë 👩‍💻", "a\u{200f}b"] {
            assert!(is_showable(fine), "{fine:?}");
        }
        for bad in ["", " ", "\u{7}", "a\nb", "a\u{202e}b", "\u{2066}a", "a\u{85}b"] {
            assert!(!is_showable(bad), "{bad:?}");
        }
    }
}
