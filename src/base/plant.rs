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
    /// What is the first of its source is taken to have come on the fastest way.
    FirstPacketBelieved = "first-packet-believed", "I2";
    /// What was held up for seconds is taken for a clock that was set anew.
    HeldBelieved = "held-believed", "I2";
    /// A room on several workers is granted a move before all have revoked.
    GrantUnrevoked = "grant-unrevoked", "I5";
    /// A new connection is placed while some workers have applied a move and others have not.
    ConnectBetween = "connect-between", "I5";
    /// A move is not revoked first, and answered when the first of several workers has applied it.
    AckEarly = "ack-early", "I4";
    /// What a group blocks is forwarded.
    PauseIgnored = "pause-ignored", "I12";
    /// What somebody may not publish is forwarded.
    MuteIgnored = "mute-ignored", "I12";
    /// A slot that is bound anew begins with the number that it used last.
    SequenceRepeats = "sequence-repeats", "I9";
    /// A slot that is bound anew begins with a number that it used long ago.
    SequenceRewinds = "sequence-rewinds", "I9";
    /// An index of SRTCP is used twice.
    ControlIndexRepeats = "control-index-repeats", "I9";
    /// A slot that is bound anew goes back in time.
    TimestampGoesBack = "timestamp-goes-back", "I10";
    /// A slot that is bound anew goes on in time from where it was left.
    TimestampStandsStill = "timestamp-stands-still", "I10";
    /// Streams begin anywhere.
    FirstSequenceHigh = "first-sequence-high", "I11";
    /// A group that has ended is kept.
    GroupKept = "group-kept", "I7";
    /// Copies that a move drops are not counted.
    DropUncounted = "drop-uncounted", "I18";
    /// One of a stream's listeners gets no copies, and nobody counts that.
    CopyForgotten = "copy-forgotten", "I18";
    /// What was sent through a slot before a move can still be asked for.
    RingReadable = "ring-readable", "I2";
    /// What waits for a listener survives its move.
    QueueSurvives = "queue-survives", "I2";
    /// A placement that is past is applied.
    StaleApplied = "stale-applied", "I8";
    /// Who comes back from a breakout room stays in its list.
    MemberKept = "member-kept", "I1";
    /// Who is brought back is bound to nobody.
    RouteLost = "route-lost", "I6";
    /// An index of retransmissions is used twice.
    RepairIndexRepeats = "repair-index-repeats", "I9";
    /// What was received before is taken again.
    ReplayAccepted = "replay-accepted", "I9";
    /// A packet is its SSRC's, from wherever it comes.
    SourceBelieved = "source-believed", "I13";
    /// SRTCP without the E bit is believed.
    PlainControlBelieved = "plain-control-believed", "I13";
    /// Any certificate will do.
    FingerprintIgnored = "fingerprint-ignored", "I14";
    /// A byte of a payload is changed.
    PayloadChanged = "payload-changed", "I15";
    /// A full room takes more.
    SeatTwice = "seat-twice", "I17";
    /// The numbers of events have gaps.
    EventGap = "event-gap", "I19";
    /// People are told who talks in rooms that they are not in.
    OutsiderTold = "outsider-told", "I19";
    /// A seat is not kept for as long as was said.
    HeldTooShort = "held-too-short", "I19";
    /// An invitation can be used again.
    InvitationKept = "invitation-kept", "I19";
    /// An invitation whose time is over still lets people in.
    InvitationOutlives = "invitation-outlives", "I19";
    /// Anybody may make anybody a moderator.
    RoleUnchecked = "role-unchecked", "I21";
    /// What a fenced worker says and sends late is taken.
    FenceIgnored = "fence-ignored", "I14";
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
