//! What a worker counts. Plain numbers; the edge turns them into metrics.

/// Why a packet, or one listener's copy of a packet, went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DropReason {
    /// A datagram from an address that no authenticated ICE check has named.
    UnknownSource,
    /// A STUN request for a user name that nobody here has.
    UnknownUfrag,
    /// Bytes that are no packet of their kind.
    Malformed,
    /// A packet whose authentication failed, or that is a replay.
    NotAuthentic,
    /// An ICE check from an address where another participant is.
    AddressTaken,
    /// An authentic packet or check beyond what one participant may send.
    OverRate,
    /// A packet larger than any that a browser sends.
    TooLarge,
    /// A packet whose SSRC belongs to no m-line of its sender.
    UnknownSsrc,
    /// One SSRC too many on an m-line.
    TooManySsrcs,
    /// A second SSRC on an m-line while the first is still sending.
    SecondSource,
    /// A packet whose payload type was not negotiated.
    UnknownPayloadType,
    /// A packet that waited while its worker did nothing for a while.
    Stale,
    /// A packet that was there already.
    Duplicate,
    /// A packet too old to be told from a duplicate.
    Late,
    /// A packet without payload.
    Empty,
    /// Its sender is in no group.
    NoGroup,
    /// Sent before its sender could know of a move.
    InFlight,
    /// Its sender may not publish this kind.
    NotAllowed,
    /// Its group lets nobody publish this kind.
    Blocked,
    /// Nobody hears its stream at the moment.
    Unbound,
    /// A picture, while the worker gets less processor time than its packets take.
    Overload,
    /// A picture of somebody who has just sent more than one may, or sound beyond what one may speak.
    Greedy,
    /// A picture in another codec than its stream has come in lately.
    CodecChange,
    /// Handed over by another worker, for a placement that its sender is not in here.
    Outdated,
    /// A copy whose binding is not of the current placements of both ends. Never sent; anything
    /// but zero is a defect.
    WrongEpoch,
    /// A copy that waited while one of its ends moved.
    Revoked,
    /// A copy for a listener whose connection is not up.
    ListenerDown,
    /// A copy of a video stream before its first keyframe.
    AwaitingKeyframe,
    /// A copy in a codec that the listener did not negotiate.
    Codec,
    /// A copy of a packet from before its binding, or too late to be placed.
    BeforeBinding,
    /// A copy that did not fit into its listener's queue.
    QueueFull,
    /// A copy whose packet was overwritten before it could leave.
    Overrun,
    /// A copy that could not be sealed.
    NotSealed,
    /// A retransmission of a packet that is not there, or not the listener's to ask for.
    RetransmitUnavailable,
    /// A retransmission beyond the listener's share, or asked for again too soon.
    RetransmitLimited,
}

impl DropReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 35] = [
        Self::UnknownSource,
        Self::UnknownUfrag,
        Self::Malformed,
        Self::NotAuthentic,
        Self::AddressTaken,
        Self::OverRate,
        Self::TooLarge,
        Self::UnknownSsrc,
        Self::TooManySsrcs,
        Self::SecondSource,
        Self::UnknownPayloadType,
        Self::Stale,
        Self::Duplicate,
        Self::Late,
        Self::Empty,
        Self::NoGroup,
        Self::InFlight,
        Self::NotAllowed,
        Self::Blocked,
        Self::Unbound,
        Self::Overload,
        Self::Greedy,
        Self::CodecChange,
        Self::Outdated,
        Self::WrongEpoch,
        Self::Revoked,
        Self::ListenerDown,
        Self::AwaitingKeyframe,
        Self::Codec,
        Self::BeforeBinding,
        Self::QueueFull,
        Self::Overrun,
        Self::NotSealed,
        Self::RetransmitUnavailable,
        Self::RetransmitLimited,
    ];

    /// The reason's name as a metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownSource => "unknown_source",
            Self::UnknownUfrag => "unknown_ufrag",
            Self::Malformed => "malformed",
            Self::NotAuthentic => "not_authentic",
            Self::AddressTaken => "address_taken",
            Self::OverRate => "over_rate",
            Self::TooLarge => "too_large",
            Self::UnknownSsrc => "unknown_ssrc",
            Self::TooManySsrcs => "too_many_ssrcs",
            Self::SecondSource => "second_source",
            Self::UnknownPayloadType => "unknown_payload_type",
            Self::Stale => "stale",
            Self::Duplicate => "duplicate",
            Self::Late => "late",
            Self::Empty => "empty",
            Self::NoGroup => "no_group",
            Self::InFlight => "in_flight",
            Self::NotAllowed => "not_allowed",
            Self::Blocked => "blocked",
            Self::Unbound => "unbound",
            Self::Overload => "overload",
            Self::Greedy => "greedy",
            Self::CodecChange => "codec_change",
            Self::Outdated => "outdated",
            Self::WrongEpoch => "wrong_epoch",
            Self::Revoked => "revoked",
            Self::ListenerDown => "listener_down",
            Self::AwaitingKeyframe => "awaiting_keyframe",
            Self::Codec => "codec",
            Self::BeforeBinding => "before_binding",
            Self::QueueFull => "queue_full",
            Self::Overrun => "overrun",
            Self::NotSealed => "not_sealed",
            Self::RetransmitUnavailable => "retransmit_unavailable",
            Self::RetransmitLimited => "retransmit_limited",
        }
    }

    /// Whether this is about one listener's copy rather than about a packet that came in.
    #[must_use]
    pub const fn is_of_a_copy(self) -> bool {
        matches!(
            self,
            Self::WrongEpoch
                | Self::Revoked
                | Self::ListenerDown
                | Self::AwaitingKeyframe
                | Self::Codec
                | Self::BeforeBinding
                | Self::QueueFull
                | Self::Overrun
                | Self::NotSealed
        )
    }
}

/// Drops by reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Default for Drops {
    fn default() -> Self {
        Self([0; DropReason::ALL.len()])
    }
}

impl Drops {
    /// Counts one drop.
    pub fn count(&mut self, reason: DropReason) {
        self.count_many(reason, 1);
    }

    /// Counts several drops.
    pub fn count_many(&mut self, reason: DropReason, how_many: u64) {
        if let Some(counter) = self.0.get_mut(reason as usize) {
            *counter += how_many;
        }
    }

    /// How many there were for this reason.
    #[must_use]
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.into_iter().map(|reason| (reason, self.get(reason)))
    }
}

/// Counters of one worker since it was made, and a few gauges.
///
/// Two sums always hold once everything has left: `media_in` + `taken_over` = `media_admitted` + the
/// drops that are not of a copy and come after authentication (`unknown_ssrc` to `outdated`), and `copies` =
/// `media_out` + the drops that are of a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerStatistics {
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Bytes of datagrams received.
    pub bytes_in: u64,
    /// Authenticated RTP packets received, less those that were over the rate.
    pub media_in: u64,
    /// RTP packets that other workers handed over.
    pub taken_over: u64,
    /// Of both, packets that were handed to at least one listener's queue or to another worker.
    pub media_admitted: u64,
    /// Packets handed to other workers: once to each that has listeners.
    pub handed_over: u64,
    /// Packets for other workers that did not fit.
    pub handover_full: u64,
    /// Copies made for listeners.
    pub copies: u64,
    /// Copies sent.
    pub media_out: u64,
    /// Packets retransmitted to listeners.
    pub retransmitted: u64,
    /// RTCP datagrams sent.
    pub rtcp_out: u64,
    /// Calls of the socket that media took: a run of equal packets is one.
    pub transmits: u64,
    /// Bytes of all datagrams sent.
    pub bytes_out: u64,
    /// Packets found missing at a publisher's and asked for.
    pub nacks_sent: u64,
    /// How often a listener's pictures had to pause, because its link was full.
    pub pauses: u64,
    /// Keyframes asked of publishers.
    pub keyframe_requests: u64,
    /// Connections made.
    pub connects: u64,
    /// Offers refused.
    pub refused_offers: u64,
    /// Connections that came up.
    pub transports_up: u64,
    /// Connections lost.
    pub transports_lost: u64,
    /// Placements applied by moves.
    pub moves: u64,
    /// Drops by reason.
    pub drops: Drops,
    /// Participants now.
    pub participants: u64,
    /// Groups now.
    pub groups: u64,
    /// Published m-lines now.
    pub streams: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter_and_name() {
        let mut drops = Drops::default();
        for reason in DropReason::ALL {
            drops.count(reason);
        }
        assert!(drops.iter().all(|(_, count)| count == 1));
        let mut names: Vec<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DropReason::ALL.len());
    }
}
