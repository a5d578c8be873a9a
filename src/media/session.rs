//! One participant's connection with all that lives and dies with it.

use std::net::SocketAddr;
use std::time::Duration;

use super::congestion::Congestion;
use super::feedback::{ClockDistance, RoundTrip};
use super::handshakes::Waiting;
use super::intake::Intake;
use super::leg::Leg;
use super::outbox::Outbox;
use super::pace::Pace;
use super::silence::{Sign, Silences};
use super::slot::Slot;
use crate::base::{Bucket, Epoch, Ssrc, Time};
use crate::transport::ice::CONSENT;
use crate::transport::{Negotiated, Path};
use crate::wire::rtcp::Arrivals;

/// The share of what a listener was sent that it may ask for again, in percent.
const REPAIR_PERCENT: u64 = 15;
/// What a listener may save up or has at the start, in bytes: a lost keyframe's worth.
const MAX_ALLOWANCE: u64 = 32 * 1024;

/// What a packet has besides its payload: headers, extensions and tag.
const OVERHEAD: usize = 60;

/// How much a listener may ask for again.
#[derive(Clone, Debug)]
pub(super) struct RepairAllowance(u64);

impl Default for RepairAllowance {
    fn default() -> Self {
        Self(MAX_ALLOWANCE * 100)
    }
}

impl RepairAllowance {
    /// Notes what was sent for the first time.
    pub(super) fn earn(&mut self, bytes: usize) {
        let earned = u64::try_from(bytes).unwrap_or(0) * REPAIR_PERCENT;
        self.0 = self.0.saturating_add(earned).min(MAX_ALLOWANCE * 100);
    }

    /// Takes what a retransmission of this payload costs; answers whether it was there.
    pub(super) fn spend(&mut self, payload: usize) -> bool {
        let cost = u64::try_from(payload + OVERHEAD).unwrap_or(u64::MAX).saturating_mul(100);
        let left = self.0.checked_sub(cost);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// As how many bytes a packet counts at least: taking it in costs processor time whatever its length.
const LEAST_COST: usize = 800;
/// How long one may send without a pause what else takes twice as long: a keyframe's burst, and a
/// network that had held packets up.
const BURST: Duration = Duration::from_millis(500);

/// How long one counts as greedy after having sent too much.
const GREEDY: Duration = Duration::from_secs(1);

/// How much a participant may go on sending.
#[derive(Clone, Debug)]
pub(super) struct SendBudget {
    bucket: Bucket,
    greedy_until: Time,
}

impl SendBudget {
    pub(super) const fn new(kbps: u64) -> Self {
        Self { bucket: Bucket::new(kbps.saturating_mul(125), BURST), greedy_until: Time(0) }
    }

    /// What is left without a datagram, if that may be sent: what is too much need not be opened. Only what
    /// is [spent](Self::spend) counts: what is authentic, or somebody else's junk could use it up.
    pub(super) fn without(&self, now: Time, len: usize) -> Option<Bucket> {
        self.bucket.without(now, u64::try_from(len.max(LEAST_COST)).unwrap_or(u64::MAX))
    }

    /// Notes what is left. Who has left too little for another such packet sends too much: one that is beyond
    /// what there is is not even opened, and could be anybody's.
    pub(super) fn spend(&mut self, now: Time, left: Bucket) {
        let (lacks, lacked) = (left.fills_up_in(now), self.bucket.fills_up_in(now));
        if lacks + lacks.saturating_sub(lacked) > BURST {
            self.greedy_until = now + GREEDY;
        }
        self.bucket = left;
    }

    /// Whether the participant has sent too much lately.
    pub(super) fn is_greedy(&self, now: Time) -> bool {
        now < self.greedy_until
    }
}

/// What an m-line of sound may bring, in bytes a second: the most that Opus makes of them, 510 kbit/s, with
/// headers.
const SOUND: u64 = 75_000;
/// As how many bytes a packet of sound counts at least, because it costs processor time for each listener
/// whatever its length. 250 a second are enough for packets of 5 ms; our answers ask for 10 ms at least.
const LEAST_SOUND: usize = 300;

/// How much sound of one m-line may go on. Neither an overloaded worker nor a full link stops sound, so this
/// does where it comes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct SoundBudget(Bucket);

impl Default for SoundBudget {
    fn default() -> Self {
        Self(Bucket::new(SOUND, BURST))
    }
}

impl SoundBudget {
    /// Takes what a packet costs; answers whether it was there.
    pub(super) fn spend(&mut self, now: Time, len: usize) -> bool {
        self.0.take(now, u64::try_from(len.max(LEAST_SOUND)).unwrap_or(u64::MAX))
    }
}

/// For how long an address is certainly somebody's after a packet or check from there. Checks for consent
/// are 5 s apart, and between two of them there are media or reports.
const LIVES: Duration = Duration::from_secs(5);
/// Who has sent media for so long since its last check makes none. No check of its own gives back what another
/// takes from it, so that it lives for as long as it has consent.
const MAKES_NONE: Duration = Duration::from_secs(8);

/// So many numbers of one slot go by for who is not heard meanwhile, half of those that may be missing in a row.
const MOST_UNHEARD: u64 = 1 << 14;

/// Whether somebody is certainly there who was heard and whose check came at these times.
fn is_there(now: Time, heard: Time, checked: Option<Time>) -> bool {
    let checked = checked.unwrap_or(heard);
    let limit = if heard.since(checked) < MAKES_NONE { LIVES } else { CONSENT };
    now.since(heard.max(checked)) < limit
}

/// One participant's connection.
pub(super) struct Session {
    pub(super) leg: Leg,
    /// The placement of the `Connect` that made it.
    pub(super) epoch: Epoch,
    pub(super) negotiated: Negotiated,
    /// The local ICE fragments that find it: two while a restart waits for its first check.
    pub(super) ufrags: Vec<String>,
    /// The addresses that find it: those that ICE has validated.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) is_up: bool,
    /// DTLS datagrams of it that wait for their turn.
    pub(super) handshakes: Waiting,
    /// When the last authentic packet came.
    pub(super) heard_at: Time,
    /// When that was at the last tick.
    pub(super) heard_before: Time,
    /// Whether so many pictures have left since then that more might never be opened: they pause.
    pub(super) is_unheard: bool,
    pub(super) silences: Silences,
    pub(super) budget: SendBudget,
    pub(super) intake: Intake,
    pub(super) slots: Vec<Slot>,
    pub(super) outbox: Outbox,
    pub(super) pace: Pace,
    /// Whether it stands in the worker's queue of listeners with copies.
    pub(super) is_ready: bool,
    /// Whether it stands in the worker's queue of listeners whose pictures pause.
    pub(super) is_paused: bool,
    /// Whether it stands in the worker's queue of those to whom RTCP is due.
    pub(super) is_feedback_due: bool,
    pub(super) transport_cc: u16,
    pub(super) arrivals: Arrivals,
    pub(super) congestion: Congestion,
    pub(super) round_trip: RoundTrip,
    /// How far its clock is from ours.
    pub(super) clock: ClockDistance,
    pub(super) allowance: RepairAllowance,
    /// Who we are in feedback to it.
    pub(super) feedback_ssrc: Ssrc,
    pub(super) cname: String,
    /// When the last receiver report left.
    pub(super) reported_at: Option<Time>,
    /// The number in the `o=` line of its answers.
    pub(super) session_id: u64,
    /// The version of the last answer's `o=` line.
    pub(super) answer_version: u64,
}

impl Session {
    /// The measured round trip, or what is assumed of a near peer until there is a measurement.
    pub(super) fn round_trip(&self) -> Duration {
        self.round_trip.measured().unwrap_or(Duration::from_millis(50))
    }

    /// An authentic packet has come, at some time between these two.
    pub(super) fn hear(&mut self, path: Path, sign: Sign, earliest: Time, now: Time) {
        self.heard_at = now;
        self.silences.end(path, sign, earliest, now);
    }

    /// Looks at each tick whether pictures may go on; answers whether that has changed. Who hears nothing guesses
    /// the upper part of the next number by the last one (RFC 3711 appendix A), which is right for 32,768 numbers.
    /// Sound goes on, and leaves out no number any more: what is left are 546 packets a second for the 30 s that a
    /// silent listener stays, and a talker may send 250.
    pub(super) fn look_whether_heard(&mut self) -> bool {
        let is_heard = std::mem::replace(&mut self.heard_before, self.heard_at) != self.heard_at;
        let mut is_worn = false;
        for slot in &mut self.slots {
            let next = slot.outgoing.next();
            if is_heard {
                slot.next_when_heard = next;
            }
            let is_far = next.saturating_sub(slot.next_when_heard) >= MOST_UNHEARD;
            slot.outgoing.keep_gaps(!is_far);
            is_worn |= is_far && slot.line.video;
        }
        let is_unheard = is_worn || (self.is_unheard && !is_heard);
        std::mem::replace(&mut self.is_unheard, is_unheard) != is_unheard
    }

    /// Whether it is sent to this address, and has shown lately that it is there.
    pub(super) fn lives_at(&self, now: Time, address: SocketAddr) -> bool {
        self.is_up
            && self.leg.path().is_some_and(|path| path.remote == address)
            && is_there(now, self.heard_at, self.leg.checks_from(address).map(|(_, last)| last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(budget: &mut SendBudget, now: Time, len: usize) -> bool {
        budget.without(now, len).map(|left| budget.spend(now, left)).is_some()
    }

    #[test]
    fn who_makes_no_checks_is_there_for_as_long_as_it_has_consent() {
        let at = Time::from_unix_seconds;
        let (checked, heard) = (Some(at(100)), at(160));
        assert!(is_there(at(164), at(160), Some(at(157))) && !is_there(at(165), at(160), Some(at(157))));
        assert!(is_there(at(164), at(100), Some(at(160))) && !is_there(at(165), at(100), Some(at(160))));
        assert!(is_there(at(164), heard, None) && !is_there(at(165), heard, None));
        assert!(is_there(at(189), heard, checked) && !is_there(at(190), heard, checked));
    }

    #[test]
    fn what_is_over_the_rate_does_not_pass() {
        let mut budget = SendBudget::new(20_000);
        // 100 Mbit/s in packets of 1,250 bytes for three seconds.
        let at = |packet: u64| Time(1_000_000 + packet * 100);
        let passed = (0..30_000).filter(|packet| passes(&mut budget, at(*packet), 1_250)).count();
        assert!((6_900..=7_001).contains(&passed), "{passed}");
        // Short packets at the same rate: 3,125 a second.
        let mut budget = SendBudget::new(20_000);
        let passed = (0..30_000).filter(|packet| passes(&mut budget, at(*packet), 60)).count();
        assert!((10_800..=10_940).contains(&passed), "{passed}");
        let mut budget = SendBudget::new(20_000);
        let calm =
            (0..10_000).filter(|packet| passes(&mut budget, Time(1_000_000 + packet * 1_000), 1_250)).count();
        assert_eq!(calm, 10_000, "10 Mbit/s");
    }

    #[test]
    fn who_sends_too_much_is_greedy_and_nobody_is_by_what_others_send() {
        let (mut budget, now) = (SendBudget::new(20_000), Time(1_000_000));
        // Nine tenths of what is there, and a datagram of 64 KiB that nobody has opened.
        assert!((0..900).all(|_| passes(&mut budget, now, 1_250)));
        assert!((0..1_000).all(|_| budget.without(now, 1 << 18).is_none()) && !budget.is_greedy(now));
        assert!((0..100).all(|_| passes(&mut budget, now, 1_250)) && budget.is_greedy(now));
        assert!(!budget.is_greedy(now + GREEDY));
        // Twice as much as a small budget allows, for three seconds.
        let (mut budget, mut was_calm) = (SendBudget::new(500), 0);
        for packet in 0..300 {
            let now = Time(1_000_000 + packet * 10_000);
            passes(&mut budget, now, 1_250);
            was_calm += u64::from(!budget.is_greedy(now));
        }
        assert!(was_calm <= 60, "{was_calm} of 300 packets");
    }

    #[test]
    fn sound_passes_as_opus_makes_it_and_a_flood_of_it_does_not() {
        let passed = |packets: u64, micros: u64, len: usize| {
            let mut budget = SoundBudget::default();
            (0..packets).filter(|packet| budget.spend(Time(1_000_000 + packet * micros), len)).count()
        };
        // A minute at 510 kbit/s in packets of 20, 10 and 5 ms, with 40 bytes of headers; and silence.
        for (ms, len) in [(20, 1_315), (10, 678), (5, 359), (5, 43)] {
            let packets = 60_000 / ms;
            assert_eq!(passed(packets, ms * 1_000, len) as u64, packets, "{ms} ms");
        }
        // Half a second of it that the network had held up comes at once, and the rest behind it.
        let mut budget = SoundBudget::default();
        let came = |packet: u64| Time(1_000_000 + 10_000 * packet.max(50));
        assert!((0..1_000).all(|packet| budget.spend(came(packet), 678)));
        let flood = passed(30_000, 320, 43);
        assert!((2_500..2_530).contains(&flood), "{flood} of 3,125 a second for 9.6 s");
        let flood = passed(30_000, 320, 800);
        assert!((930..950).contains(&flood), "{flood} of 20 Mbit/s for 9.6 s");
    }

    #[test]
    fn what_is_asked_for_again_stays_a_small_share() {
        let mut allowance = RepairAllowance::default();
        let (mut sent, mut repaired) = (0, 0);
        for _ in 0..10_000 {
            allowance.earn(1_200);
            sent += 1_200_u64;
            while allowance.spend(1_200 - OVERHEAD) {
                repaired += 1_200_u64;
            }
        }
        assert!(repaired * 100 <= sent * 15 + MAX_ALLOWANCE * 100, "{repaired} of {sent}");
        assert!(repaired * 100 > sent * 14);
    }
}
