//! Identifiers. One newtype each, so that no number can stand for the wrong thing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// One seat's media, as control and the media plane name it to each other. Never reused while
    /// a node lives.
    ParticipantId(u64)
);
number_id!(
    /// What the media plane knows of a room: parent and breakout rooms are groups alike. Never
    /// reused while a node lives.
    GroupId(u64)
);
number_id!(
    /// Counts the placements of one participant. Only grows, after a restart too.
    Epoch(u64)
);
number_id!(
    /// One media worker of this node, counted from 0.
    WorkerId(u16)
);
number_id!(
    /// One signalling connection (a WebSocket, or an embedder's own).
    LinkId(u64)
);
number_id!(
    /// One batch of moves that a worker applies as a single step.
    BatchId(u64)
);
number_id!(
    /// Synchronization source of an RTP stream (RFC 3550 section 3).
    Ssrc(u32)
);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A text that is not an id of the asked kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 lower-case hexadecimal digits")]
pub struct ParseIdError;

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:032x})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            /// Reads what `Display` writes and nothing else, so that an id has one spelling.
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if text.len() != 32 || !digits {
                    return Err(ParseIdError);
                }
                u128::from_str_radix(text, 16).map(Self).map_err(|_| ParseIdError)
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;

            fn try_from(text: String) -> Result<Self, ParseIdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

random_id!(
    /// The `clientId` of a seat: random, 128 bits, written as 32 hexadecimal digits.
    ClientId
);
random_id!(
    /// The `room_id` of a breakout room: random, 128 bits, written as 32 hexadecimal digits.
    BreakoutId
);

/// The identification tag of an m-line (RFC 5888 section 4, RFC 9143).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mid(pub Box<str>);

impl Mid {
    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Mid {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Mid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_wrote() {
        let id = ClientId(0x0123_4567_89ab_cdef);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().len(), 32);
    }

    #[test]
    fn an_id_has_one_spelling() {
        for wrong in [
            "",
            "12",
            "+0000000000000000000000000000001",
            "0000000000000000000000000000000G",
            "0123456789ABCDEF0123456789ABCDEF",
        ] {
            assert_eq!(wrong.parse::<ClientId>(), Err(ParseIdError), "{wrong}");
        }
    }
}
