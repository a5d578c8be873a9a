//! Bugs that are planted to see whether the checks find them. Without the test-only feature
//! `planted-bugs` there are none: [`is`] is `false` before the compiler is done.

#[cfg(feature = "planted-bugs")]
use std::cell::Cell;

macro_rules! plants {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $invariant:literal;)+) => {
        /// A bug that can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Plant {
            $($(#[$doc])* $variant,)+
        }

        impl Plant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The invariant that it breaks.
            #[must_use]
            pub const fn invariant(self) -> &'static str {
                match self { $(Self::$variant => $invariant,)+ }
            }
        }
    };
}

plants! {
    /// A move takes nothing from the mover and its listeners; the last check stops the packets.
    RevokeForgotten = "revoke-forgotten", "I2";
    /// The same, and the last check is not made.
    EpochUnchecked = "epoch-unchecked", "I2";
    /// What was sent before its sender could know of a move is forwarded.
    InFlightForwarded = "in-flight-forwarded", "I2";
    /// A room on several workers is granted a move before all have revoked.
    GrantUnrevoked = "grant-unrevoked", "I5";
    /// A move is not revoked first, and answered when the first of several workers has applied it.
    AckEarly = "ack-early", "I4";
    /// What a group blocks is forwarded.
    PauseIgnored = "pause-ignored", "I12";
    /// What somebody may not publish is forwarded.
    MuteIgnored = "mute-ignored", "I12";
    /// A slot that is bound anew begins with the number that it used last.
    SequenceRepeats = "sequence-repeats", "I9";
    /// An index of SRTCP is used twice.
    ControlIndexRepeats = "control-index-repeats", "I9";
    /// A slot that is bound anew goes back in time.
    TimestampGoesBack = "timestamp-goes-back", "I10";
    /// Streams begin anywhere.
    FirstSequenceHigh = "first-sequence-high", "I11";
    /// A group that has ended is kept.
    GroupKept = "group-kept", "I7";
    /// Copies that a move drops are not counted.
    DropUncounted = "drop-uncounted", "I18";
}

#[cfg(feature = "planted-bugs")]
thread_local! {
    static CHOSEN: Cell<Option<Plant>> = const { Cell::new(None) };
}

/// Plants a bug in what this thread runs, or none.
#[cfg(feature = "planted-bugs")]
pub fn choose(plant: Option<Plant>) {
    CHOSEN.set(plant);
}

/// Whether this bug is planted.
#[cfg(feature = "planted-bugs")]
#[must_use]
pub fn is(plant: Plant) -> bool {
    CHOSEN.get() == Some(plant)
}

/// Whether this bug is planted: never in this build.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
#[must_use]
pub const fn is(_: Plant) -> bool {
    false
}
